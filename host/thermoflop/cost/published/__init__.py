"""Rows that others measured, as questions that the estimator can answer."""
