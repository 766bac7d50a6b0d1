"""Computes recipes once, in processes of its own, and keeps the results. The only part that knows Dask."""
