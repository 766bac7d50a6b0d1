"""One table or question of a paper per file: a frozen dataclass that `needs` chunks and merges them into tidy rows."""
