"""The web server: requests, who may ask, how it ends."""
