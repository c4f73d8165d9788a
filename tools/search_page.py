"""Make the search page shown in the README, with the ORL faces.

    python -m tools.search_page --output DIR
    chromium --headless --hide-scrollbars --window-size=1320,905 --force-device-scale-factor=1.25 \
        --screenshot=DIR/page.png DIR/page.html

The script puts six photos of each person on album pages of twelve faces, indexes the pages and
names the faces of one person by their position. Then it searches for this person with a photo that
is on no page.
The photos belong to AT&T Laboratories Cambridge.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data.orl import find_orl
from facehash.library.ingest.update import index_folder
from facehash.library.people.edit import name_faces
from facehash.library.query.library import open_library
from facehash.library.storage.folder import write_lock
from facehash.library.storage.store import Store
from facehash.library.views.html import write_page

_PEOPLE, _ON_PAGES, _QUERY = 40, 6, 10
_COLUMNS, _ROWS = 4, 3
_WIDTH, _HEIGHT, _BORDER = 92, 112, 6


def write_album(folder: Path, seed: int = 0) -> dict[tuple[str, int, int], int]:
    """Write album pages with the people in random order; return them by (page, column, row)."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    # Rounds of all people, so that a person appears again on another page.
    order = [
        (int(person), picture)
        for picture in range(1, _ON_PAGES + 1)
        for person in rng.permutation(_PEOPLE) + 1
    ]
    size = _COLUMNS * _ROWS
    people = {}
    for page in range(len(order) // size):
        sheet = Image.new(
            "L", (_COLUMNS * _WIDTH + _BORDER * 5, _ROWS * _HEIGHT + _BORDER * 4), 250
        )
        for place, (person, picture) in enumerate(order[page * size : (page + 1) * size]):
            row, column = divmod(place, _COLUMNS)
            face = Image.open(find_orl() / f"s{person}" / f"{picture}.pgm")
            left = _BORDER + column * (_WIDTH + _BORDER)
            sheet.paste(face, (left, _BORDER + row * (_HEIGHT + _BORDER)))
            people[f"page {page + 1:02}.png", column, row] = person
        sheet.save(folder / f"page {page + 1:02}.png")
    return people


def name_by_place(library: Path, people: dict[tuple[str, int, int], int], person: int) -> None:
    """Name the faces of one person, who is known by the positions."""
    with Store.open(library) as store, write_lock(library, "people"):
        faces = []
        for face in store.faces():
            x, y, width, height = face.box
            column = int((x + width / 2) // (_WIDTH + _BORDER))
            row = int((y + height / 2) // (_HEIGHT + _BORDER))
            if people[face.path.name, column, row] == person:
                faces.append(face.id)
        name_faces(store, f"Person {person}", faces)


def main(arguments: Sequence[str] | None = None) -> None:
    """Create the album, the library and the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder to create")
    parser.add_argument("--person", type=int, default=19, help="the person to search for, 1 to 40")
    parser.add_argument("-k", type=int, default=8)
    given = parser.parse_args(arguments)
    people = write_album(given.output / "album")
    library = given.output / "lib"
    index_folder(given.output / "album", library, workers=1)
    name_by_place(library, people, given.person)
    query = given.output / f"person-{given.person}.png"
    Image.open(find_orl() / f"s{given.person}" / f"{_QUERY}.pgm").save(query)
    with open_library(library) as opened:
        write_page(given.output / "page.html", opened, opened.search(query, given.k))


if __name__ == "__main__":
    main()
