"""A table of many runs: its cells, its scores, its layout."""
