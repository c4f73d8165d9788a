"""Check, export and count a library."""
