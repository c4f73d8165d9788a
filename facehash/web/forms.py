"""Forms of the pages: read in memory, never through a temporary file, and checked for the token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

_MOST_FIELDS = 2000
_LARGEST_FIELD = 100_000


class _InMemoryParser(MultiPartParser):
    """Keeps uploads in memory, whatever their size; the guard limits it."""

    spool_max_size = 1 << 40


@dataclass(frozen=True)
class Form:
    """The fields of a form."""

    data: FormData

    def text(self, name: str) -> str:
        """Return a field, or an empty text."""
        value = self.data.get(name)
        return value.strip() if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """Return a field that is a whole number of at least 1."""
        return _number(self.text(name), name)

    def decimal(self, name: str) -> float:
        """Return a field that is a number of at most a million."""
        try:
            number = float(self.text(name).replace(",", "."))
        except ValueError:
            number = math.nan
        if not -1e6 <= number <= 1e6:
            raise HTTPException(400, f"{name} must be a number")
        return number

    def numbers(self, name: str) -> list[int]:
        """Return all whole numbers of fields with the same name."""
        return [_number(str(one), name) for one in self.data.getlist(name)]

    def texts(self, name: str) -> Sequence[str]:
        """Return all fields with the same name."""
        return [one.strip() for one in self.data.getlist(name) if isinstance(one, str)]

    async def upload(self, name: str) -> tuple[str, bytes] | None:
        """Return the name and the content of an uploaded file, None if none was chosen."""
        for value in self.data.getlist(name):
            if isinstance(value, UploadFile) and (value.filename or value.size):
                return value.filename or "", await value.read()
        return None


async def read_form(request: Request) -> Form:
    """Read a form and check its CSRF token.

    Raises:
        HTTPException: 403 without the token, 400 for a damaged form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            parser = _InMemoryParser(
                request.headers, request.stream(), max_files=2, max_fields=_MOST_FIELDS,
                max_part_size=_LARGEST_FIELD,
            )  # fmt: skip
            data = await parser.parse()
        else:
            data = await FormParser(request.headers, request.stream()).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the form cannot be read: {error.message}") from error
    except (KeyError, UnicodeError, ValueError) as error:
        raise HTTPException(400, "the form cannot be read") from error
    session = request.scope["session"]
    token = data.get("csrf")
    checked = request.scope.get("csrf_checked") or session.id == "bearer"
    if not checked and not session.is_csrf(token if isinstance(token, str) else None):
        raise HTTPException(403, "this page is too old; load it again and repeat what you did")
    return Form(data)


def is_number(text: str) -> bool:
    """Return whether a text is a whole number of at least 1, such as the id of a face."""
    return text.isascii() and text.isdecimal() and len(text) < 16 and int(text) > 0


def _number(text: str, name: str) -> int:
    if not is_number(text):
        raise HTTPException(400, f"{name} must be a whole number")
    return int(text)
