"""Pretrained weights: table, lookup, download."""
