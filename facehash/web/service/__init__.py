"""What the pages and the API share: each function calls the library and returns plain values."""
