"""Searching a library."""
