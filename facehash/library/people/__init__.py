"""People of a library: their names, and forgetting them."""
