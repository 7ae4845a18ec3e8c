"""Estimates by the million: models x devices x formats x layouts x sizes, into Parquet."""
