"""One run: train, encode and score."""
