"""The HTML pages."""

from facehash.web.pages import people, photos, search, status

ROUTERS = (search.router, people.router, photos.router, status.router)
"""All pages."""
