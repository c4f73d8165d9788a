"""The HTML pages."""

from facehash.web.pages import people, photos, review, search, status

ROUTERS = (search.router, people.router, photos.router, review.router, status.router)
"""All pages."""
