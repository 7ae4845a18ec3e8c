"""The published page that compares multi-head with multi-query attention, to its digits."""
