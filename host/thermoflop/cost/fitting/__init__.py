"""Profiles from measured rows: design matrix, regression, cross-validation."""
