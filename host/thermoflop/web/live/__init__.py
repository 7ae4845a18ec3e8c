"""The live page: board, GPUs, recordings."""
