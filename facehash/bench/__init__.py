"""How well and how fast a library is searched, by its vectors and by codes of them."""
