"""Score rankings: tie-aware metrics and curves, code files, tables."""
