"""Codes for people nobody trained on: galleries, draws of queries, fits, scores and the table."""
