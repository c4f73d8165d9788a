"""Exact search by Hamming distance over packed codes."""
