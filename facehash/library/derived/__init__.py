"""Codes and index files, computed from the vectors of a library."""
