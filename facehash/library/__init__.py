"""A photo library: one directory with a database of faces and the files computed from it."""
