"""The board: find, link, decode, clock, flash, simulate."""
