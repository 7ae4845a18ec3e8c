"""The folder of a run: written, read back, listed, exported."""
