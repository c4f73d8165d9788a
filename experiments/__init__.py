"""Training and scoring runs, and tables of results."""
