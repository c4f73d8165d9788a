"""Search results as text, pages and pictures."""
