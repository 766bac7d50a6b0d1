"""Interactions, where they come from (`sources/`), and how they are split (`splits/`)."""
