"""Timings of training and of loading data, compared with alternatives."""
