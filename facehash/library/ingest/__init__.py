"""Reading a folder of photos into a library."""
