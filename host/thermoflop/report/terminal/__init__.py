"""A run in the terminal: live, plain lines, braille."""
