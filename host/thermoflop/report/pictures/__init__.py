"""A run as a picture: SVG, PNG."""
