"""Ways to search rows of vectors or codes; one file a way."""
