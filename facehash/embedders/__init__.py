"""Embedders by name, and those that need Keras."""
