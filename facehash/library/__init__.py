"""A photo library that can be asked: one directory with a database and what follows from it."""
