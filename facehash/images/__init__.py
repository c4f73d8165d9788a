"""Reading photos, and cutting faces out of them."""
