"""Predicted against measured: times, training, memory."""
