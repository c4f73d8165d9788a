"""``facehash people``: list, name, split, merge and rename the people of a library."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, NOTHING_FOUND, make_app
from facehash.commands.arguments import (
    FacesArgument,
    JsonOption,
    LibraryOption,
    NameArgument,
    WeightsOption,
    print_json,
)
from facehash.commands.engines import writing
from facehash.commands.people_history import purge, undo
from facehash.commands.people_naming import cluster, ignore, suggest, unignore
from facehash.errors import InputError
from facehash.printing import counted, printable

if TYPE_CHECKING:
    from facehash.library.storage.store import Store

app = make_app("List, suggest, name, split, merge and rename people; group unknown faces.")


@app.command("list")
def list_all(
    library: LibraryOption,
    parked: bool = typer.Option(
        False, "--parked", help="List the names that wait for their photo instead."
    ),
    as_json: JsonOption = False,
) -> int:
    """Print all people with the number of their faces, and the number of unnamed faces.

    Example: facehash people list --library lib
    """
    from facehash.library.people.parked import list_parked
    from facehash.library.people.people import earlier_names, list_people
    from facehash.library.storage.store import Store

    with Store.open(library) as store, store.database.snapshot():
        people, waiting, earlier = list_people(store), list_parked(store), earlier_names(store)
        unnamed = store.database.value("SELECT count(*) FROM faces WHERE person_id IS NULL")
    if as_json:
        value = {
            "library": str(library),
            "people": [
                {
                    "name": one.name,
                    "earlier_names": earlier.get(one.name, []),
                    "faces": one.faces,
                    "photos": one.photos,
                    "face_id": one.face_id,
                }
                for one in people
            ],
            "unnamed_faces": unnamed,
            "parked": [
                {
                    "name": one.name,
                    "path": None if one.path is None else str(one.path),
                    "digest": one.digest.hex(),
                    "box": list(one.box),
                    "reason": one.reason,
                    "since": one.since,
                }
                for one in waiting
            ],
        }
        print_json(value)
        return DONE if people or waiting else NOTHING_FOUND
    if parked:
        width = max((len(one.name) for one in waiting), default=0)
        for one in waiting:
            where = "(from a backup)" if one.path is None else printable(one.path)
            print(f"{printable(one.name):<{width}}  {_REASONS[one.reason]}: {where}")
        print(f"{counted(len(waiting), 'name')} parked")
        return DONE if waiting else NOTHING_FOUND
    width = max((len(person.name) for person in people), default=0)
    for person in people:
        print(
            f"{printable(person.name):<{width}}  {counted(person.faces, 'face'):>12} on "
            f"{counted(person.photos, 'photo')}"
        )
    print(f"{counted(len(people), 'person')}; {counted(unnamed, 'face')} without a name")
    if waiting:
        print(f"{counted(len(waiting), 'name')} parked until the photo is back (--parked)")
    return DONE if people else NOTHING_FOUND


_REASONS = {
    "gone": "the photo is gone",
    "changed": "the photo has changed",
    "restored": "the photo is not in the library",
}


@app.command("name")
def name(
    library: LibraryOption,
    called: NameArgument,
    faces: FacesArgument,
) -> int:
    """Name faces. Names from folders and lists never override it.

    Example: facehash people name "Aunt May" 17 23 --library lib
    """
    from facehash.library.people.edit import name_faces

    with writing(library, "people") as store:
        owner = name_faces(store, called, faces)
        stored, number = _stored_name(store, faces)
    print(f"{counted(number, 'face')} named {printable(stored)}")
    _explain_earlier_name(stored, owner)
    return DONE


@app.command("unname")
def unname(
    library: LibraryOption,
    faces: list[int] = typer.Argument(None, help="Faces, by the numbers after # in a search."),
    person: str | None = typer.Option(None, help="Take this person's name from all faces."),
) -> int:
    """Take names away, and remember who the faces with these numbers are not.

    Example: facehash people unname 17 23 --library lib
    """
    from facehash.library.people.edit import unname_faces, unname_person
    from facehash.library.people.people import check_name, earlier_names

    if (person is None) == (not faces):
        raise InputError("give numbers of faces, or --person")
    parked, earlier = 0, []
    with writing(library, "people") as store:
        if person is not None:
            earlier = earlier_names(store).get(check_name(person), [])
            number, parked = unname_person(store, person)
        else:
            number = unname_faces(store, faces)
    print(f"{counted(number, 'face')} without a name now")
    if parked:
        print(f"{counted(parked, 'parked name')} taken away too (facehash people undo)")
    if earlier:
        print(f"no longer known: the earlier {_names(earlier)} of {printable(person)}")
    return DONE if number or parked or earlier else NOTHING_FOUND


@app.command("split")
def split(
    library: LibraryOption,
    person: NameArgument,
    faces: FacesArgument,
    into: str = typer.Option(help="Who gets them: a new person, or a known one."),
) -> int:
    """Give some faces of a person to another person.

    Example: facehash people split "Aunt May" 17 23 --into "Aunt June" --library lib
    """
    from facehash.library.people.edit import split_person
    from facehash.library.people.people import check_name

    with writing(library, "people") as store:
        owner = split_person(store, person, faces, into)
        stored, number = _stored_name(store, faces)
        left = sum(face.name == check_name(person) for face in store.faces())
    print(
        f"{counted(number, 'face')} named {printable(stored)}; {counted(left, 'face')} left of "
        f"{printable(person)}"
    )
    _explain_earlier_name(stored, owner)
    return DONE


@app.command("merge")
def merge(
    library: LibraryOption,
    names: list[str] = typer.Argument(metavar="NAME...", help="Names of the same person."),
    into: str = typer.Option(help="The name that remains."),
) -> int:
    """Merge people into one; their folders then name that person.

    Example: facehash people merge May "M. Parker" --into "Aunt May" --library lib
    """
    from facehash.library.people.edit import merge_people
    from facehash.library.people.people import current_name, get_person

    with writing(library, "people") as store:
        moved = merge_people(store, names, into)
        stored = current_name(store, get_person(store, into))
    print(f"{counted(moved.faces, 'face')} named {printable(stored)}")
    if moved.parked:
        print(f"{counted(moved.parked, 'parked name')} too")
    return DONE


@app.command("rename")
def rename(
    library: LibraryOption,
    old: str = typer.Argument(help="Current name."),
    new: str = typer.Argument(help="New name."),
) -> int:
    """Rename a person; a folder with the old name still names the same person.

    Example: facehash people rename May "Aunt May" --library lib
    """
    from facehash.library.people.edit import rename_person
    from facehash.library.people.people import current_name, get_person

    with writing(library, "people") as store:
        before = current_name(store, get_person(store, old))
        owner = rename_person(store, old, new)
        stored = current_name(store, get_person(store, new))
    print(f"{printable(before)} is now {printable(stored)}")
    _explain_earlier_name(str(stored), owner)
    return DONE


@app.command("add-face")
def add_face(
    library: LibraryOption,
    photo: Path = typer.Argument(help="A photo of the library."),
    box: str = typer.Option(
        metavar="X,Y,W,H",
        help="Left edge, top edge, width and height of the face, in pixels of the upright photo.",
    ),
    name: str | None = typer.Option(None, help="Who it is."),
    weights_dir: WeightsOption = None,
) -> int:
    """Add a face that the detector missed. facehash people undo takes it back.

    Example: facehash people add-face party.jpg --box 812,340,96,120 --name Ann --library lib
    """
    from facehash.library.ingest.added import add_face as add
    from facehash.pipeline import pipelines

    given = _parse_box(box)
    with writing(library, "people") as store:
        added = add(store, photo, given, name, make_pipeline=pipelines(weights_dir))
        [stored] = store.faces([added.face_id])
    named = "" if stored.name is None else f", named {printable(stored.name)}"
    print(f"face {added.number} of {printable(photo)} added as #{added.face_id}{named}")
    if not added.found:
        print(
            "facehash: the detector finds no face in this box, so the crop is not aligned and "
            "searches find it less reliably",
            file=sys.stderr,
        )
    if added.owner is not None:
        print(f"{printable(stored.name)} was an earlier name of {printable(added.owner)}")
    return DONE


@app.command("remove-face")
def remove_face(library: LibraryOption, faces: FacesArgument) -> int:
    """Remove faces that facehash people add-face has added.

    Example: facehash people remove-face 217 --library lib
    """
    from facehash.library.ingest.added import refresh
    from facehash.library.people.added import remove_faces

    with writing(library, "people") as store:
        number = remove_faces(store, faces)
        refresh(store, store.settings())
    print(f"{counted(number, 'added face')} removed")
    return DONE


def _parse_box(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = map(float, text.split(","))
        if not all(map(math.isfinite, (x, y, width, height))):
            raise ValueError("not finite")
    except ValueError as error:
        raise InputError(
            f"--box {text}: give four numbers, X,Y,W,H, such as 812,340,96,120"
        ) from error
    return x, y, width, height


def _stored_name(store: Store, faces: list[int]) -> tuple[str, int]:
    """Return the name that faces have in the library, and their number."""
    found = store.faces(sorted(set(faces)))
    return found[0].name or "", len(found)


def _names(names: list[str]) -> str:
    return ("name " if len(names) == 1 else "names ") + ", ".join(map(printable, names))


def _explain_earlier_name(name: str, owner: str | None) -> None:
    if owner is not None:
        print(
            f"{printable(name)} was an earlier name of {printable(owner)}; folders and lists with "
            f"this name no longer mean {printable(owner)}"
        )


app.command("suggest")(suggest)
app.command("cluster")(cluster)
app.command("ignore")(ignore)
app.command("unignore")(unignore)
app.command("undo")(undo)
app.command("purge")(purge)
