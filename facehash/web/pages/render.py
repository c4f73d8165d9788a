"""Rendering templates: everything is escaped, undefined names fail."""

import functools
import re
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import facehash
from facehash.web.state import session_of, state_of

_PLACES = (
    ("search", "/", "Search"),
    ("people", "/people", "People"),
    ("review", "/review", "Review"),
    ("photos", "/photos", "Photos"),
    ("status", "/status", "Library"),
)


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
    environment.filters["count"] = _counted
    return environment


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


def _counted(number: int, what: str) -> str:
    plural = {"person": "people"}.get(what, f"{what}s")
    return f"{number:,} {what if number == 1 else plural}"
