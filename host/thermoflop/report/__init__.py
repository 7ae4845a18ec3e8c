"""Pictures and summaries made from a run."""
