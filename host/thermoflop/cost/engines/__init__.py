"""What an inference engine is, and what it does besides the model's own operators."""
