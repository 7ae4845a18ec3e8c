"""``thermoflop demo``: a decoder of this machine heats a simulated board."""
