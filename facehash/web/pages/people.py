"""Pages of people."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from facehash.web.forms import is_number, read_form
from facehash.web.models import Id
from facehash.web.pages.render import Paging, go, render, sentence
from facehash.web.service import people
from facehash.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/people")
async def show_people(request: Request, page: int = 1) -> Response:
    """Show all people with their clearest face."""
    state = state_of(request)
    paging = Paging(page, people.PAGE)
    found = await people.list_people(state, paging.start)
    return render(
        request,
        "people.html",
        "people",
        found=found,
        **paging.values(found.total),
        statements=await people.list_statements(state, 5),
    )


@router.get("/people/merge")
async def show_merge(request: Request) -> Response:
    """Show what a merge would do."""
    chosen = [int(one) for one in request.query_params.getlist("person") if is_number(one)]
    if len(set(chosen)) < 2:
        return go(request, "/people", "Choose at least two people to merge.")
    into = request.query_params.get("into", "")
    remains = int(into) if is_number(into) and int(into) in chosen else chosen[0]
    preview = await people.preview_merge(state_of(request), chosen, remains)
    return render(request, "merge.html", "people", preview=preview)


@router.post("/people/merge")
async def merge(request: Request) -> Response:
    """Merge people."""
    form = await read_form(request)
    done = await people.merge(state_of(request), form.numbers("person"), form.number("into"))
    return go(request, f"/people/{done.person_id}", f"{done.message}.")


@router.post("/people/undo")
async def undo(request: Request) -> Response:
    """Undo the newest statement about names."""
    form = await read_form(request)
    done = await people.undo(state_of(request), form.number("statement"))
    return go(request, "/people", sentence(done.message))


@router.get("/people/{person}")
async def show_person(request: Request, person: Id, page: int = 1) -> Response:
    """Show a person's photos, by date."""
    state = state_of(request)
    paging = Paging(page, people.PAGE)
    found = await people.get_person(state, person, paging.start)
    return render(
        request,
        "person.html",
        "people",
        person=found,
        **paging.values(found.photos),
        statements=await people.list_statements(state, 1),
        names=await people.names(state),
    )


@router.post("/people/{person}/rename")
async def rename(request: Request, person: Id) -> Response:
    """Rename a person."""
    form = await read_form(request)
    done = await people.rename(state_of(request), person, form.text("name"))
    return go(request, f"/people/{done.person_id}", f"{done.message}.")


@router.post("/people/{person}/faces")
async def change_faces(request: Request, person: Id) -> Response:
    """Give some faces of a person to another one, or take their name away."""
    state, form = state_of(request), await read_form(request)
    faces = form.numbers("face")
    if form.text("do") == "unname":
        done = await people.unname(state, faces)
        return go(request, await _back(request, person), f"{done.message}.")
    if form.text("do") != "split":
        raise HTTPException(400, "nothing was chosen")
    moved = await people.split(state, person, faces, form.text("name"))
    return go(request, f"/people/{moved.person_id}", f"{moved.message}.")


@router.get("/people/{person}/forget")
async def ask_forget(request: Request, person: Id) -> Response:
    """Ask whether a person is really to be forgotten."""
    found = await people.get_person(state_of(request), person, 0, 1)
    return render(request, "forget.html", "people", person=found, face=None)


@router.post("/people/{person}/forget")
async def forget(request: Request, person: Id) -> Response:
    """Forget a person."""
    await read_form(request)
    gone = await people.forget(state_of(request), person)
    return render(request, "forgotten.html", "people", gone=gone)


@router.get("/faces/{face}/forget")
async def ask_forget_face(request: Request, face: Id) -> Response:
    """Ask whether a face is really to be forgotten."""
    return render(request, "forget.html", "people", person=None, face=face)


@router.post("/faces/{face}/forget")
async def forget_face(request: Request, face: Id) -> Response:
    """Forget a face."""
    await read_form(request)
    gone = await people.forget(state_of(request), face_ids=[face])
    return render(request, "forgotten.html", "people", gone=gone)


async def _back(request: Request, person: int) -> str:
    """Return the page of a person, or that of all people if this one has no face any more."""
    names = await people.person_exists(state_of(request), person)
    return f"/people/{person}" if names else "/people"
