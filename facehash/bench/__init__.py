"""Measures how accurately and how fast a library is searched, by vectors and by binary codes."""
