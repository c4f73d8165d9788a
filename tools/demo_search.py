"""A page to try out, with the ORL faces: no photos of the user, and no weights are needed.

    make demo-search

The faces stand on album pages of twelve, and four people have names. If the weights of YuNet and
SFace are on this machine, they make the library; otherwise a quickstart run is trained first, which
makes codes, and OpenCV's cascade finds the faces. The photos belong to AT&T Laboratories Cambridge.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from data.orl import find_orl
from facehash.command_line import DONE, INTERRUPTED, WRONG_USE
from facehash.errors import InputError
from facehash.library.ingest.update import index_folder
from facehash.pipeline import FacePipeline, default_pipeline
from facehash.web.options import ServeOptions
from facehash.web.server import serve
from tools.search_page import name_by_place, write_album

_NAMED = (3, 7, 11, 19)
_QUERIES = (3, 7, 19, 25)
_RUN = Path("runs/quickstart-48-s0")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the library, unless it is there already, and serve it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/demo-search"))
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    given = parser.parse_args(arguments)
    library, album = given.output / "lib", given.output / "album"
    if not (given.output / "finished").exists():
        shutil.rmtree(given.output, ignore_errors=True)
        people = write_album(album)
        detector, embedder = _pipeline()
        print(f"reading 20 album pages with {detector} and {embedder} ...", flush=True)
        index_folder(album, library, detector=detector, embedder=embedder, workers=1)
        for person in _NAMED:
            name_by_place(library, people, person)
        for person in _QUERIES:
            photo = Image.open(find_orl() / f"s{person}" / "10.pgm")
            photo.resize((368, 448)).save(given.output / f"search for person {person}.png")
        (given.output / "finished").touch()
    queries = ", ".join(f"{path}" for path in sorted(given.output.glob("search for*.png")))
    print(f"pictures to search with, which are on no page: {queries}", flush=True)
    serve(ServeOptions(library, photos=(album,)), given.port, open_browser=not given.no_browser)


def _pipeline() -> tuple[str, str]:
    """Return the detector and the embedder: those with weights, or those that need none."""
    try:
        FacePipeline.create(default_pipeline("yunet", "sface"))
    except InputError:
        if not (_RUN / "model.keras").is_file():
            print("no weights of SFace here: a small network is trained first, about a minute")
            subprocess.run([sys.executable, "train.py", "configs/quickstart.yaml"], check=True)
        return "haar", f"run:{_RUN}"
    return "yunet", "sface"


def run() -> int:
    """Run `main`; return the exit code after Ctrl-C, or after an error, printed in one line."""
    try:
        main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except InputError as error:
        print(f"demo_search: {error}", file=sys.stderr)
        return WRONG_USE
    return DONE


if __name__ == "__main__":
    sys.exit(run())
