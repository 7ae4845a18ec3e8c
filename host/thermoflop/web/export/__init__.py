"""What the live sources say now, for the dashboards that people already have."""
