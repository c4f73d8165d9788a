"""Search results as text, HTML pages and pictures."""
