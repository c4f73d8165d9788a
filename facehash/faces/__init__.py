"""From a photo to what a network or an embedder takes: read, crop, align, embed."""
