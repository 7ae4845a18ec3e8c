"""Planning: which layout of which devices serves a load at the least cost."""
