"""The built-in benchmark: a model's operators and its whole decoder, with random numbers."""
