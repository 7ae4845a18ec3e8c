"""Serving: many users on one engine, in steady state and step by step."""
