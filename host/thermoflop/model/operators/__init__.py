"""One forward step as operators, and what they add up to."""
