"""The analysis of a run, as pure functions of its folder."""
