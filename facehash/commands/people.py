"""``facehash people``: list, name, merge and rename the people of a library."""

import typer

from facehash.command_line import DONE, NOTHING_FOUND, make_app
from facehash.commands.arguments import LibraryOption, counted
from facehash.library.storage.folder import write_lock
from facehash.printing import printable

app = make_app("List, name, merge and rename the people of a library.")


@app.command("list")
def list_all(library: LibraryOption) -> int:
    """Print all people with the number of their faces, and the number of unnamed faces.

    Example: facehash people list --library lib
    """
    from facehash.library.people.people import list_people
    from facehash.library.storage.store import Store

    with Store.open(library) as store:
        people = list_people(store)
        unnamed = store.database.value("SELECT count(*) FROM faces WHERE person_id IS NULL")
    width = max((len(person.name) for person in people), default=0)
    for person in people:
        print(
            f"{printable(person.name):<{width}}  {counted(person.faces, 'face'):>12} on "
            f"{counted(person.photos, 'photo')}"
        )
    print(f"{counted(len(people), 'person')}; {counted(unnamed, 'face')} without a name")
    return DONE if people else NOTHING_FOUND


@app.command("name")
def name(
    library: LibraryOption,
    called: str = typer.Argument(metavar="NAME", help="Name of the person."),
    faces: list[int] = typer.Argument(help="Faces, by the numbers after # in a search."),
) -> int:
    """Name faces. Names from folders and lists never override it.

    Example: facehash people name "Aunt May" 17 23 --library lib
    """
    from facehash.library.people.people import name_faces
    from facehash.library.storage.store import Store

    with Store.open(library) as store, write_lock(library, "people"):
        name_faces(store, called, faces)
    print(f"{counted(len(faces), 'face')} named {called}")
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
    from facehash.library.people.people import merge_people
    from facehash.library.storage.store import Store

    with Store.open(library) as store, write_lock(library, "people"):
        moved = merge_people(store, names, into)
    print(f"{counted(moved, 'face')} named {into}")
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
    from facehash.library.people.people import rename_person
    from facehash.library.storage.store import Store

    with Store.open(library) as store, write_lock(library, "people"):
        rename_person(store, old, new)
    print(f"{old} is now {new}")
    return DONE
