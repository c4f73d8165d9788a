"""``facehash people suggest``, ``cluster``, ``ignore`` and ``unignore``: help with naming."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facehash.command_line import DONE, NOTHING_FOUND
from facehash.commands.arguments import (
    FacesArgument,
    ForceOption,
    JsonOption,
    LibraryOption,
    print_json,
)
from facehash.commands.engines import writing
from facehash.errors import InputError
from facehash.printing import counted, printable

if TYPE_CHECKING:
    from facehash.library.people.clusters import Cluster
    from facehash.library.people.suggest import Suggestion, Suggestions
    from facehash.library.storage.records import StoredFace
    from facehash.library.storage.store import Store

_SHOWN = 5
_OptionalFaces = typer.Argument(None, help="Faces, by the numbers after #.")


def suggest(
    library: LibraryOption,
    faces: list[int] = _OptionalFaces,
    at_least: float = typer.Option(
        0.5, min=0, max=1, help="List suggestions from this probability on."
    ),
    person: str | None = typer.Option(None, help="Only this person; with --reject, who it is not."),
    confirm: bool = typer.Option(False, "--confirm", help="Name the faces as suggested."),
    all_above: float | None = typer.Option(
        None, min=0, max=1, help="Confirm all suggestions from this probability on, after a look."
    ),
    reject: bool = typer.Option(
        False, "--reject", help="Remember that faces are not --person, or not whom is suggested."
    ),
    auto: float | None = typer.Option(
        None, min=0, max=1, help="Name all faces from this probability on, and list them."
    ),
    as_json: JsonOption = False,
) -> int:
    """Suggest names for faces without one, each with its probability; confirm or reject them.

    A rejected suggestion never comes back. Names that --auto gives count like those of a list: a
    name given by hand replaces them. facehash people undo takes everything back.

    Example: facehash people suggest --library lib
    Example: facehash people suggest --confirm 17 23 --library lib
    Example: facehash people suggest --reject 42 --person "Aunt May" --library lib
    Example: facehash people suggest --auto 0.999 --library lib
    """
    from facehash.library.people import suggest as suggestions
    from facehash.library.storage.store import Store

    faces = faces or []
    _check_suggest(faces, confirm, reject, all_above, auto)
    if reject:
        return _reject(library, faces, person, as_json)
    if confirm or all_above is not None or auto is not None:
        with writing(library, "people") as store:
            if auto is not None:
                named = suggestions.name_automatically(store, auto)
            else:
                named = _to_confirm(store, faces, person, all_above)
                suggestions.confirm(store, [(one.face.id, one.name) for one in named])
        return _print_named(library, named, as_json)
    with Store.open(library) as store:
        found = suggestions.suggest(store, at_least=at_least, name=person, faces=faces or None)
    if as_json:
        value = {"library": str(library), **_counts(found)}
        print_json({**value, "suggestions": [_record(one) for one in found.items]})
    else:
        _print_suggestions(found)
    return DONE if found.items else NOTHING_FOUND


def _check_suggest(
    faces: list[int], confirm: bool, reject: bool, all_above: float | None, auto: float | None
) -> None:
    given = {
        "--confirm": confirm,
        "--reject": reject,
        "--all-above": all_above is not None,
        "--auto": auto is not None,
    }
    chosen = [option for option, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise InputError(f"give one of {' and '.join(chosen)}")
    if (confirm or reject) and not faces:
        raise InputError(f"{chosen[0]} needs numbers of faces, for example {chosen[0]} 17 23")
    if faces and (all_above is not None or auto is not None):
        raise InputError(f"{chosen[0]} is about all faces; give no numbers, or use --confirm")
    if auto == 0 or all_above == 0:
        raise InputError(f"{chosen[0]} 0 would name every face; give a probability, such as 0.999")


def _to_confirm(
    store: Store, faces: list[int], person: str | None, all_above: float | None
) -> list[Suggestion]:
    from facehash.library.people.suggest import suggest as suggest_names

    if all_above is not None:
        return suggest_names(store, at_least=all_above, name=person).items
    return _suggested(store, faces, person)


def _suggested(store: Store, faces: list[int], person: str | None = None) -> list[Suggestion]:
    """Return the suggestion for each face, whatever its probability.

    Raises:
        InputError: Nobody is suggested for a face.
    """
    from facehash.library.people.suggest import suggest as suggest_names

    found = suggest_names(store, at_least=0.0, name=person, faces=faces)
    items = {one.face.id: one for one in found.items if one.probability > 0}
    for face in faces:
        if face not in items:
            raise InputError(
                f"face {face}: nobody is suggested for it; to name it: facehash people name"
            )
    return list(items.values())


def _reject(library: Path, faces: list[int], person: str | None, as_json: bool) -> int:
    from facehash.library.people.suggest import reject

    with writing(library, "people") as store:
        if person is not None:
            by_name = {person: faces}
        else:
            by_name = {}
            for one in _suggested(store, faces):
                by_name.setdefault(one.name, []).append(one.face.id)
        number = sum(reject(store, own, name) for name, own in by_name.items())
    if as_json:
        pairs = [(face, name) for name, own in by_name.items() for face in own]
        rejected = [{"face_id": face, "name": name} for face, name in pairs]
        print_json({"library": str(library), "rejected": rejected})
    else:
        for name, own in by_name.items():
            print(f"{counted(len(own), 'face')} will not be suggested as {printable(name)} again")
    return DONE if number else NOTHING_FOUND


def _print_named(library: Path, named: list[Suggestion], as_json: bool) -> int:
    if as_json:
        print_json({"library": str(library), "named": [_record(one) for one in named]})
    else:
        for one in named:
            print(_line(one))
        print(f"{counted(len(named), 'face')} named")
    return DONE if named else NOTHING_FOUND


def _print_suggestions(found: Suggestions) -> None:
    for one in found.items:
        print(f"{_line(one)}; like #{one.nearest}, distance {one.distance:.3f}")
    print(
        f"{counted(len(found.items), 'suggestion')} for {counted(found.unnamed, 'face')} without a "
        f"name; probabilities: {found.calibration}"
    )
    if found.without_detail:
        print(
            f"{counted(found.without_detail, 'face')} without a name not compared: too small or "
            "too blurred"
        )


def _line(one: Suggestion) -> str:
    return f"{_percent(one.probability)}  {printable(one.name)}  {_where(one.face)}"


def _percent(probability: float) -> str:
    # Rounded down: 99.96 % is not shown as certain.
    return f"{int(probability * 1000) / 10:5.1f} %"


def _where(face: StoredFace) -> str:
    return f"#{face.id} {printable(face.path)} (face {face.number})"


def _face(face: StoredFace) -> dict[str, Any]:
    return {
        "face_id": face.id,
        "path": str(face.path),
        "face": face.number,
        "box": list(face.box),
    }


def _record(one: Suggestion) -> dict[str, Any]:
    return {
        **_face(one.face),
        "name": one.name,
        "probability": one.probability,
        "distance": one.distance,
        "nearest": one.nearest,
        "second": one.second,
    }


def _counts(found: Suggestions) -> dict[str, Any]:
    return {
        "calibration": found.calibration,
        "unnamed_faces": found.unnamed,
        "without_detail": found.without_detail,
    }


def cluster(
    library: LibraryOption,
    number: int | None = typer.Argument(None, metavar="[CLUSTER]", help="A cluster to look at."),
    name: str | None = typer.Option(None, help="Name all faces of the cluster."),
    ignore: bool = typer.Option(False, "--ignore", help="Ignore the cluster: nobody who matters."),
    unignore: bool = typer.Option(False, "--unignore", help="Ignore the cluster no longer."),
    split: list[int] = typer.Option(
        [], metavar="FACE", help="Move this face to a new cluster; may be repeated."
    ),
    smallest: int = typer.Option(2, min=1, help="Smallest number of faces of a listed cluster."),
    ignored: bool = typer.Option(False, "--ignored", help="List the ignored clusters instead."),
    distance: float | None = typer.Option(
        None, min=0, help="Mean distance up to which clusters are merged. Default: measured."
    ),
    html: Path | None = typer.Option(None, help="Also write a page that shows the clusters."),
    as_json: JsonOption = False,
    force: ForceOption = False,
) -> int:
    """Group the faces without a name, probably one person each, and name or ignore a whole group.

    New faces join a cluster or form new ones; the numbers of clusters stay the same.

    Example: facehash people cluster --library lib --html clusters.html
    Example: facehash people cluster 7 --name "Aunt May" --library lib
    Example: facehash people cluster 7 --split 42 --split 43 --library lib
    """
    from facehash.library.people import clusters

    changes = [name is not None, ignore, unignore, bool(split)]
    if sum(changes) > 1:
        raise InputError("give one of --name, --ignore, --unignore and --split")
    if any(changes) and number is None:
        raise InputError("give the number of a cluster; facehash people cluster lists them")
    if any(changes) and number is not None:
        return _change_cluster(library, number, name, ignore, unignore, split)
    with writing(library, "people") as store:
        if html is not None:
            _check_page(store, html, force)
        done = None if number is not None else clusters.update_clusters(store, distance)
        if number is not None:
            found = [clusters.get_cluster(store, number)]
        else:
            found = clusters.list_clusters(store, smallest=smallest, ignored=ignored)
        if html is not None:
            from facehash.library.views.sheet import write_sheet

            write_sheet(html, store, found)
        if as_json:
            value = {"library": str(library), "update": None if done is None else vars(done)}
            print_json({**value, "clusters": [_cluster_record(store, one) for one in found]})
            return DONE if found else NOTHING_FOUND
        for one in found:
            _print_cluster(store, one, most=None if number is not None else _SHOWN)
    if done is not None:
        print(
            f"{counted(len(found), 'cluster')}; {counted(done.joined, 'face')} added to earlier "
            f"clusters, {counted(done.clustered, 'face')} to new ones, "
            f"{counted(done.alone, 'face')} alone"
        )
        if done.without_detail:
            print(f"{counted(done.without_detail, 'face')} too small or too blurred to compare")
    return DONE if found else NOTHING_FOUND


def _check_page(store: Store, html: Path, force: bool) -> None:
    from facehash.library.upkeep.outputs import check_library_output
    from facehash.output import HTML

    check_library_output(store, html, HTML, "--html", force=force)


def _change_cluster(
    library: Path, number: int, name: str | None, ignore: bool, unignore: bool, split: list[int]
) -> int:
    from facehash.library.people import clusters

    with writing(library, "people") as store:
        if name is not None:
            faces = clusters.name_cluster(store, number, name)
            print(f"{counted(faces, 'face')} named {printable(name)}")
        elif ignore:
            faces = clusters.ignore_cluster(store, number)
            print(f"{counted(faces, 'face')} ignored")
        elif unignore:
            faces = clusters.unignore_cluster(store, number)
            print(f"{counted(faces, 'face')} no longer ignored")
        else:
            faces = len(set(split))
            new = clusters.split_cluster(store, number, split)
            print(f"{counted(faces, 'face')} moved to cluster {new}")
    return DONE if faces else NOTHING_FOUND


def _print_cluster(store: Store, one: Cluster, most: int | None) -> None:
    shown = store.faces(one.faces[:most])
    print(f"cluster {one.id}: {counted(len(one.faces), 'face')}{' (ignored)' * one.ignored}")
    for face in shown:
        print(f"  {_where(face)}")
    if len(one.faces) > len(shown):
        print(f"  ... and {len(one.faces) - len(shown):,} more (facehash people cluster {one.id})")


def _cluster_record(store: Store, one: Cluster) -> dict[str, Any]:
    faces = [_face(face) for face in store.faces(one.faces)]
    return {"id": one.id, "ignored": one.ignored, "faces": faces}


def ignore(
    library: LibraryOption,
    faces: list[int] = _OptionalFaces,
    list_only: bool = typer.Option(False, "--list", help="List the ignored faces instead."),
    as_json: JsonOption = False,
) -> int:
    """Ignore faces of people who do not matter: they are neither suggested nor in listed clusters.

    A search still finds them. Naming a face takes it off the list.

    Example: facehash people ignore 17 23 --library lib
    """
    from facehash.library.people.ignore import ignore_faces, ignored_faces
    from facehash.library.storage.store import Store

    if list_only == bool(faces):
        raise InputError("give numbers of faces, or --list")
    if list_only:
        with Store.open(library) as store:
            found = store.faces(sorted(ignored_faces(store)))
        if as_json:
            print_json({"library": str(library), "ignored": [_face(face) for face in found]})
            return DONE if found else NOTHING_FOUND
        for face in found:
            print(_where(face))
        print(f"{counted(len(found), 'face')} ignored")
        return DONE if found else NOTHING_FOUND
    with writing(library, "people") as store:
        number = ignore_faces(store, faces)
    if as_json:
        print_json({"library": str(library), "faces": sorted(set(faces)), "newly_ignored": number})
    else:
        print(f"{counted(number, 'face')} ignored")
    return DONE if number else NOTHING_FOUND


def unignore(library: LibraryOption, faces: FacesArgument) -> int:
    """Ignore faces no longer.

    Example: facehash people unignore 17 23 --library lib
    """
    from facehash.library.people.ignore import unignore_faces

    with writing(library, "people") as store:
        number = unignore_faces(store, faces)
    print(f"{counted(number, 'face')} no longer ignored")
    return DONE if number else NOTHING_FOUND
