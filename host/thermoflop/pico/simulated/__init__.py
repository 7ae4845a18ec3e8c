"""A simulated Pico W: the real firmware over simulated hardware, as ``sim://`` and more."""
