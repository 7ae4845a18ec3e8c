"""The first board, step by step: boot loader, MicroPython, wiring, firmware, finger test."""
