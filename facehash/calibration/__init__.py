"""Distance thresholds, and how they are measured."""
