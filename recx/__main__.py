"""`python -m recx`."""

from recx.cli import main

if __name__ == "__main__":
    main()
