"""The state of the library, and index runs."""

from collections.abc import Sequence
from pathlib import Path

from starlette.exceptions import HTTPException

from facehash.errors import InputError
from facehash.index.engines.address import is_loopback
from facehash.library.query import browse
from facehash.library.storage.settings import read_settings
from facehash.library.storage.store import Store
from facehash.library.upkeep.stats import count, list_without_faces
from facehash.web import models
from facehash.web.service.search import text
from facehash.web.state import State

_MOST_FILES = 200


async def is_empty(state: State) -> bool:
    """Return whether nothing was ever indexed."""
    return await state.threads.read(lambda store: read_settings(store.database) is None)


async def count_content(state: State) -> tuple[int, int]:
    """Return the numbers of photos and faces, which SQLite counts in milliseconds."""
    return await state.threads.read(
        lambda store: (browse.count_readable_photos(store), browse.count_faces(store))
    )


async def get_status(state: State) -> models.StatusInfo:
    """Return the numbers of the library and the index run."""

    def task(store: Store) -> models.StatusInfo:
        folders = [_shown(state, folder) for folder in _folders(state, store)]
        run = state.runs.info()
        if read_settings(store.database) is None:
            return models.StatusInfo(
                empty=True, photos=0, faces=0, without_faces=0, people=0, named=0, parked=0,
                forgotten=0, damaged=0, unreadable={}, megabytes=0, detector="", embedder="",
                codes=None, engines=[], folders=folders, run=run,
            )  # fmt: skip
        found = count(store)
        return models.StatusInfo(
            empty=False,
            photos=found.photos,
            faces=found.faces,
            without_faces=found.without_faces,
            people=found.people,
            named=found.named,
            parked=found.parked,
            forgotten=found.excluded,
            damaged=found.damaged,
            unreadable={
                reason.replace("_", " "): number for reason, number in found.unreadable.items()
            },
            megabytes=found.bytes / 1e6,
            detector=found.settings.detector,
            embedder=_without_folder(found.settings.embedder),
            codes=found.settings.codes,
            engines=[
                models.EngineInfo(name=one.name, by=one.by, pending_erase=bool(one.pending_erase))
                for one in found.engines
            ],
            folders=folders,
            run=run,
        )

    return await state.threads.read(task)


async def list_unread(state: State) -> list[models.UnreadInfo]:
    """Return files that could not be read, with the reason; at most 200."""

    def task(store: Store) -> list[models.UnreadInfo]:
        found = []
        for file in list_without_faces(store):
            if file.reason == "no_face":
                continue
            found.append(
                models.UnreadInfo(
                    file=text(file.path.name),
                    path=text(file.path) if state.options.show_paths else None,
                    reason=file.reason.replace("_", " "),
                    why=text(file.why),
                )
            )
            if len(found) == _MOST_FILES:
                break
        return found

    return await state.threads.read(task)


def may_choose_folder(state: State) -> bool:
    """Return whether visitors may name a folder of this machine: its own user may."""
    return is_loopback(state.options.host) and not state.options.needs_login


async def start_index(
    state: State, number: int | None = None, folder: str = "", retry: bool = False
) -> models.RunInfo:
    """Start an index run.

    Args:
        state: The server.
        number: Which of the folders of `StatusInfo.folders`, from 1.
        folder: Or the path of a folder, where `may_choose_folder` allows it.
        retry: Read files again that could not be read before.

    Raises:
        HTTPException: 400 without a folder, 403 if it may not be chosen.
        InputError: There is no such folder, or a run is going on.
    """
    if folder:
        if not may_choose_folder(state):
            raise HTTPException(403, "folders are chosen when the server starts (--photos)")
        chosen = Path(folder).expanduser()
        if not chosen.is_absolute():
            raise InputError(f"{folder}: give the whole path of the folder, from / on")
    else:
        folders = await state.threads.read(lambda store: _folders(state, store))
        if number is None or not 1 <= number <= len(folders):
            raise HTTPException(400, "choose a folder of photos")
        chosen = folders[number - 1]
    state.runs.start(chosen, retry=retry)
    return state.runs.info()


def _folders(state: State, store: Store) -> list[Path]:
    """Return the folders given at the start, and those that were indexed before."""
    settings = read_settings(store.database)
    before = (settings.folders or "").splitlines() if settings else []
    return _unique([*state.options.photos, *map(Path, before)])


def _unique(folders: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(folder.absolute() for folder in folders))


def _shown(state: State, folder: Path) -> str:
    return text(folder) if state.options.show_paths else text(folder.name or folder)


def _without_folder(embedder: str) -> str:
    """Return an embedder without the folder of its model."""
    kind, colon, path = embedder.partition(":")
    return f"{kind}:{path.rsplit('/', 1)[-1]}" if colon else embedder
