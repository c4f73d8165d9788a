"""One training run: train, encode, score."""
