"""Timings of training and loading data against rivals."""
