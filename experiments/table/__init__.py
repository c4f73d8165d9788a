"""Tables of results: cells, baselines, summaries, figures and published numbers."""
