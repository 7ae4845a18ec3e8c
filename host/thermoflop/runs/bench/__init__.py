"""The built-in benchmark: a model's own operators with random numbers, on this CPU."""
