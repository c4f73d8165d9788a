"""Clusters of faces: who is on many photos, before anybody has a name."""
