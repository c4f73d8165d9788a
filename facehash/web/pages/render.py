"""Rendering templates: everything is escaped, undefined names fail."""

import functools
import re
from dataclasses import dataclass
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import facehash
from facehash.printing import counted
from facehash.web.state import session_of, state_of

_LAST_PAGE = 100_000
_PLACES = (
    ("search", "/", "Search"),
    ("people", "/people", "People"),
    ("review", "/review", "Review"),
    ("photos", "/photos", "Photos"),
    ("status", "/status", "Library"),
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("facehash.web", "templates"),
                # The macros of the page of `facehash search --html`.
                jinja2.PackageLoader("facehash.library.views", ""),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["parts"] = lambda value: re.split("(?<=[_/])", str(value))
    environment.filters["count"] = counted
    environment.filters["day"] = _in_words
    environment.filters["clock"] = _clock
    return environment


def _in_words(day: str) -> str:
    """Return a day such as 2019-07-14 as 14 July 2019, whatever the language of the machine."""
    year, month, number = day.split("-")
    return f"{int(number)} {_MONTHS[int(month) - 1]} {int(year)}"


def _clock(seconds: float, tenths: bool = False) -> str:
    """Return a time in a video as minutes and seconds, such as 1:23 or 1:02:03.4."""
    whole = int(10 * seconds + 1e-6) // 10
    hours, minutes = f"{whole // 3600}:" if whole >= 3600 else "", whole // 60 % 60
    fraction = f".{int(10 * seconds + 1e-6) % 10}" if tenths else ""
    return f"{hours}{minutes:0{2 if hours else 1}}:{whole % 60:02}{fraction}"


def render(
    request: Request, template: str, place: str, status: int = 200, **values: Any
) -> Response:
    """Return a page.

    Args:
        request: The request.
        template: Name of the template.
        place: The entry of the navigation that is current.
        status: Status code.
        **values: Values of the template.
    """
    session, options = session_of(request), state_of(request).options
    notice, session.notice = session.notice, None
    text = (
        _environment()
        .get_template(template)
        .render(
            places=_PLACES,
            place=place,
            csrf=session.csrf,
            notice=notice,
            may_log_out=options.needs_login and session.logged_in,
            logged_in=session.logged_in,
            show_paths=options.show_paths,
            version=facehash.__version__,
            **values,
        )
    )
    return HTMLResponse(text, status)


def go(request: Request, address: str, notice: str | None = None) -> Response:
    """Return the answer to a form: another page, which shows a notice once."""
    session_of(request).notice = notice
    return RedirectResponse(address, 303)


@dataclass(frozen=True)
class Paging:
    """A page of a long list.

    Attributes:
        asked: The number of the page in the address, counted from 1; others count as the nearest.
        size: Entries per page.
    """

    asked: int
    size: int

    @property
    def page(self) -> int:
        """Number of the page."""
        return min(max(self.asked, 1), _LAST_PAGE)

    @property
    def start(self) -> int:
        """Number of entries on earlier pages."""
        return (self.page - 1) * self.size

    def values(self, total: int) -> dict[str, int]:
        """Return what the templates need, for a list of so many entries."""
        return {"page": self.page, "pages": max(1, -(-total // self.size))}


def sentence(message: str) -> str:
    """Return a message as a sentence."""
    return f"{message[0].upper()}{message[1:]}."
