"""A Pico W that is not there: the real firmware over simulated hardware, as ``sim://`` and more."""
