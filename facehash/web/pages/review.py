"""Pages of the review."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from facehash.errors import InputError
from facehash.web.forms import read_form
from facehash.web.models import Id
from facehash.web.pages.render import Paging, go, render, sentence
from facehash.web.paths import without_paths
from facehash.web.service import people, review
from facehash.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/review")
async def show_suggestions(request: Request) -> Response:
    """Show suggestions, each with the nearest face of the person."""
    state = state_of(request)
    found, reason = None, ""
    try:
        found = await review.list_suggestions(state)
    except InputError as error:
        reason = without_paths(str(error), state.options.library).removeprefix("the library: ")
    return render(
        request,
        "review.html",
        "review",
        found=found,
        reason=reason,
        statements=await people.list_statements(state, 1),
    )


@router.post("/review/answer")
async def answer(request: Request) -> Response:
    """Confirm or reject a suggestion, or ignore the face."""
    state, form = state_of(request), await read_form(request)
    face, name, do = form.number("face"), form.text("name"), form.text("do")
    if do == "yes":
        done = await review.confirm(state, face, name)
    elif do == "no":
        done = await review.reject(state, face, name)
    elif do == "ignore":
        done = await review.ignore(state, [face])
    else:
        raise HTTPException(400, "answer with yes, no or ignore")
    return go(request, "/review", sentence(done.message))


@router.get("/review/unknown")
async def show_clusters(request: Request, page: int = 1, ignored: bool = False) -> Response:
    """Show groups of unknown faces, to name each at once."""
    state = state_of(request)
    paging = Paging(page, review.CLUSTERS)
    found = await review.list_clusters(state, paging.start, ignored=ignored)
    return render(
        request,
        "unknown.html",
        "review",
        found=found,
        ignored=ignored,
        **paging.values(found.total),
        names=await people.names(state),
        statements=await people.list_statements(state, 1),
    )


@router.post("/review/group")
async def update_clusters(request: Request) -> Response:
    """Group the unknown faces."""
    await read_form(request)
    done = await review.update_clusters(state_of(request))
    return go(request, "/review/unknown", f"{done.message}.")


@router.post("/review/unknown/{cluster}")
async def answer_cluster(request: Request, cluster: Id) -> Response:
    """Name a group of faces, ignore it or show it again."""
    state, form = state_of(request), await read_form(request)
    do = form.text("do")
    if do == "name":
        message = (
            await review.name_cluster(state, cluster, form.text("name"), form.numbers("other"))
        ).message
    elif do in ("ignore", "show"):
        message = (await review.ignore_cluster(state, cluster, again=do == "show")).message
    else:
        raise HTTPException(400, "give a name, or ignore the group")
    return go(request, "/review/unknown", f"{message}.")
