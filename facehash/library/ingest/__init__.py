"""From a folder of photos to rows of a library."""
