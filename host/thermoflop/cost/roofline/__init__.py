"""Seconds of operators: rates, bound, curves that were measured, a generation in closed form."""
