"""Evidence: record a run, store it, read it back."""
