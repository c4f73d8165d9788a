"""The folder and the database of a library."""
