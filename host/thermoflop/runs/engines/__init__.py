"""What the engines' own benchmark programs are asked, and what they print."""
