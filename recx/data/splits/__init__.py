"""One way of splitting per file, each a frozen dataclass with `split(data, seed) -> Split`."""
