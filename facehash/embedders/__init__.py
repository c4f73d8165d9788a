"""Embedders: networks that turn cropped faces into vectors or codes."""
