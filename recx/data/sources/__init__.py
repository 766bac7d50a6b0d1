"""One data set per file, each a frozen dataclass with `load() -> Interactions` and `files() -> list[Path]`."""
