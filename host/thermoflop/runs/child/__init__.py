"""The wrapped command: its processes, its output, and its marks."""
