"""Names of faces from other programs: XMP, Picasa and Google Takeout.

A region that a program has drawn gives its name to the face that it means, see
`facehash.images.metadata.matching`. A name without a region is only given where there is one face
and one name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from facehash.errors import InputError
from facehash.images.face import Box
from facehash.images.metadata.matching import match_regions
from facehash.images.metadata.packets import Header, read_header
from facehash.images.metadata.regions import PhotoPeople, Region
from facehash.images.metadata.sources import Picasa, Source, Takeout, Xmp
from facehash.library.people.people import MAX_LENGTH, check_name
from facehash.library.storage.records import UNDER, UnreadFile, path_of, under
from facehash.library.storage.store import Store
from facehash.printing import progress as progress_bar

Program = Literal["xmp", "picasa", "takeout"]
PROGRAMS: tuple[Program, ...] = get_args(Program)


@dataclass(frozen=True)
class Missed:
    """A region with a name, at a place where the library has no face."""

    path: Path
    name: str
    box: Box  # x, y, width and height in pixels of the upright photo


@dataclass(frozen=True)
class Unplaced:
    """Names of people who are somewhere in a photo."""

    path: Path
    names: tuple[str, ...]
    faces: int  # faces of the photo in the library


@dataclass(frozen=True)
class ProgramNames:
    """What a program says about the photos of a folder."""

    names: Mapping[tuple[Path, int], str]  # photo and number of the face -> name
    regions: int  # regions with a name
    photos: int  # photos with such regions, or with names
    missed: tuple[Missed, ...]
    unplaced: tuple[Unplaced, ...]
    problems: tuple[UnreadFile, ...]  # files that are not or only partly understood


@dataclass(frozen=True)
class _Photo:
    """A photo of the library."""

    size: tuple[int, int]  # upright, in pixels
    faces: dict[int, Box]  # by their numbers
    names: set[str]  # of its faces


def read_names(
    store: Store, folder: Path, program: Program, file: Path | None, progress: bool = False
) -> ProgramNames:
    """Read what a program says about photos of the library, and find the faces that it means.

    Args:
        store: The library.
        folder: An absolute path; the photos are those in it.
        program: The program or standard.
        file: For ``xmp`` a folder with the sidecars of `folder`, by default those beside the
            photos; for ``picasa`` the ``contacts.xml``.
        progress: Show a progress bar.

    Raises:
        InputError: `file` cannot be read.
    """
    photos = _photos(store, folder)
    source: Source
    if program == "xmp":
        source = Xmp(photos, folder, file)
    elif program == "picasa":
        source = Picasa(photos, file)
    else:
        source = Takeout(photos)
    names: dict[tuple[Path, int], str] = {}
    missed: list[Missed] = []
    unplaced: list[Unplaced] = []
    with_people = regions = 0
    bar = progress_bar(photos.items(), desc="names", unit=" photos", delay=1, shown=progress)
    for path, photo in bar:
        said = source.read(path)
        people = _plain(said.people)
        regions += len(people.regions)
        with_people += bool(people.regions or people.names)
        placed: dict[int, str] = {}
        if people.regions:
            try:
                header = said.header or read_header(path)
            except InputError as error:
                source.note(path, [str(error).removeprefix(f"{path}: ")])
                continue
            placed, lost, problems = _place(photo, people.regions, header)
            missed += [Missed(path, name, box) for name, box in lost]
            source.note(path, problems)
        # Names that faces of the photo have already need no place.
        rest = tuple(name for name in people.names if name not in photo.names)
        if len(rest) == 1 and len(photo.faces) == 1 and not placed:
            placed = dict.fromkeys(photo.faces, rest[0])
        elif rest:
            unplaced.append(Unplaced(path, rest, len(photo.faces)))
        names |= {(path, number): name for number, name in placed.items()}
    listed = sorted(source.problems.items())
    return ProgramNames(
        names, regions, with_people, tuple(missed), tuple(unplaced),
        tuple(UnreadFile(one, "metadata", why) for one, why in listed),
    )  # fmt: skip


def _photos(store: Store, folder: Path) -> dict[Path, _Photo]:
    """Return the photos in a folder, without videos, in the order of their paths."""
    rows = store.database.rows(
        "SELECT paths.path, photos.width, photos.height, number, x, y, faces.width, "  # noqa: S608
        "faces.height, people.name FROM paths JOIN photos ON photos.id = paths.photo_id "
        "LEFT JOIN faces ON faces.photo_id = photos.id "
        "LEFT JOIN people ON people.id = faces.person_id "
        f"WHERE photos.width > 0 AND photos.height > 0 AND photos.seconds IS NULL AND ({UNDER}) "
        "ORDER BY paths.path, number",
        under(folder),
    )
    found: dict[Path, _Photo] = {}
    for path, width, height, number, *box, name in rows:
        photo = found.setdefault(path_of(path), _Photo((width, height), {}, set()))
        if number is not None:
            x, y, across, down = box
            photo.faces[number] = (x, y, across, down)
        if name is not None:
            photo.names.add(name)
    return found


def _place(
    photo: _Photo, regions: tuple[Region, ...], header: Header
) -> tuple[dict[int, str], list[tuple[str, Box]], list[str]]:
    """Find the faces that regions mean.

    A region should measure the stored picture. If more regions of the photo mean a face when all
    are taken to measure the upright picture, they do: some programs write them so.

    Returns:
        Numbers of faces with their names; names and boxes of regions where there is no face; and
        what is wrong with other regions.
    """
    readings = [one.upright_boxes(header.size, header.orientation) for one in regions]
    problems = [
        f"the region of {one.name!r} was drawn on a picture of other proportions, "
        f"{one.drawn_on[0]:.0f} x {one.drawn_on[1]:.0f} pixels"
        for one, boxes in zip(regions, readings, strict=True)
        if boxes == (None, None) and one.drawn_on is not None
    ]
    numbers = list(photo.faces)
    best: tuple[dict[int, int], list[int], list[Box]] | None = None
    for first, second in ((0, 1), (1, 0)):
        kept = [i for i, boxes in enumerate(readings) if boxes != (None, None)]
        boxes = [_in_pixels(readings[i][first] or readings[i][second], photo.size) for i in kept]
        matches = match_regions(boxes, [photo.faces[number] for number in numbers])
        if best is None or len(matches) > len(best[0]):
            best = matches, kept, boxes
    matches, kept, boxes = best or ({}, [], [])
    placed = {numbers[face]: regions[kept[i]].name for i, face in matches.items()}
    lost = [(regions[kept[i]].name, box) for i, box in enumerate(boxes) if i not in matches]
    return placed, lost, problems


def _in_pixels(box: Box | None, size: tuple[int, int]) -> Box:
    x, y, width, height = box or (0.0, 0.0, 0.0, 0.0)
    return x * size[0], y * size[1], width * size[0], height * size[1]


def _plain(people: PhotoPeople) -> PhotoPeople:
    """Return people with names that a library can have, in one line each."""
    named = [(_name(one.name), one) for one in people.regions]
    return PhotoPeople(
        tuple(Region(name, one.box, one.drawn_on) for name, one in named if name),
        tuple(name for one in people.names if (name := _name(one))),
    )


def _name(text: str) -> str:
    words = " ".join(text.split())
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in words)
    return check_name(plain[:MAX_LENGTH]) if plain else ""
