"""The same operators given symbols: the textbook formulas, derived."""
