"""What is behind each number of an estimate."""
