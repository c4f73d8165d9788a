"""Detectors: from a photo to faces."""
