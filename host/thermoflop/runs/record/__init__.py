"""Recording: sources, queue, clocks, the session around a command."""
