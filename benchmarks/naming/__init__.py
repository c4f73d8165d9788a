"""Benchmarks of ``facehash people suggest`` and ``cluster``."""
