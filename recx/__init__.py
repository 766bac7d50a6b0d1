"""recx: why a recommender recommended something, and whether the reason is true."""
