"""Hash functions that were learned from faces of other people, each for one embedder."""
