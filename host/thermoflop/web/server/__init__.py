"""The web server: routes, access control, shutdown."""
