"""Devices and profiles by name, and the machine that ``calibrate`` measured."""
