"""Scripts that measure this project against a named rival in the same run, and store the result."""
