"""The JSON API under ``/api/v1``."""

from facehash.web.api import people, photos, review, search, status

ROUTERS = (status.router, search.router, people.router, review.router, photos.router)
"""All parts of the API."""
