"""What a transformer is made of: stacks, layers, mixers, feed-forwards, formats."""
