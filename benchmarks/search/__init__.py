"""Searches and their thresholds: speed against rivals, and errors."""
