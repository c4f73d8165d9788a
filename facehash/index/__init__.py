"""Nearest-neighbor search in rows of vectors or codes, one file per method."""
