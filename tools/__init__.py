"""Scripts that regenerate committed text and pictures."""
