"""The page: search, name and review the faces of a library in a browser, and its JSON API."""
