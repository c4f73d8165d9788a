"""Timings of searching and indexing against rivals."""
