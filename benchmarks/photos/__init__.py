"""What is found in photos, and what finding and indexing it costs."""
