"""The wrapped command: its processes, its output, and what it says about itself."""
