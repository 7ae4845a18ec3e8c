"""Shared by all tests. This file's folder is importable because the file is here: ``from vm import
runner`` works in every test, whichever is collected first."""
