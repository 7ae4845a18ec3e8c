"""What ``thermoflop estimate`` prints and draws."""
