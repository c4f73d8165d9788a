"""The file of ``facehash backup``: everything that a person said.

The file is JSON with these keys:

============  ===================================================================================
``schema``    1
``made_by``   ``facehash backup``, by which a later backup recognizes the file that it may replace
``people``    names, each with the earlier names that folders and lists still use
``names``     names of faces: the SHA-256 of the photo, the box of the face in pixels of the upright
              photo, the name, whether it was given by hand (``user``) or by a list (``csv``), where
              the photo was, and how many faces it has; parked names are such names too
``rejections``  faces and the people that they are not
``ignored``   faces that ``facehash people ignore`` hides
``added``     faces that a person has added to photos, with the landmarks if there are any
``forgotten``   the SHA-256 of photos that `facehash forget` keeps out
============  ===================================================================================
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facehash.errors import InputError
from facehash.images.face import Box
from facehash.library.people.people import check_name
from facehash.output import json_format

SCHEMA = 1
MADE_BY = "facehash backup"
FORMAT = json_format("schema", made_by=MADE_BY)
_LARGEST = 1 << 29

_Landmarks = Annotated[tuple[tuple[float, float], ...], Field(min_length=5, max_length=5)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    # Lists in JSON become tuples.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class BackupPerson(_Part):
    """A person with earlier names."""

    name: str
    earlier_names: list[str]


class BackupName(_Part):
    """The name of a face."""

    name: str
    digest: _Digest
    box: Box
    given: Literal["user", "csv"]
    path: str | None
    faces: int = Field(ge=0, le=1 << 31)  # in the photo, 0 if unknown


class BackupRejection(_Part):
    """A face, and a person it is not."""

    name: str
    digest: _Digest
    box: Box


class BackupFace(_Part):
    """A face that is ignored."""

    digest: _Digest
    box: Box


class BackupAddedFace(BackupFace):
    """A face that a person has added."""

    landmarks: _Landmarks | None = None


class Backup(_Part):
    """The content of a backup."""

    people: list[BackupPerson]
    names: list[BackupName]
    rejections: list[BackupRejection]
    forgotten: list[_Digest]
    # Backups of facehash 0.1 have neither.
    ignored: list[BackupFace] = []
    added: list[BackupAddedFace] = []


def read_backup(path: Path) -> Backup:
    """Read a backup.

    Raises:
        InputError: Not a backup, one of a newer facehash, or a damaged one.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InputError(f"{path}: larger than {_LARGEST >> 20} MB, which no backup is")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a backup of facehash (not JSON: {error})") from error
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, int) or "names" not in value:
        raise InputError(f"{path}: not a backup of facehash (facehash backup writes one)")
    if schema != SCHEMA:
        raise InputError(
            f"{path}: made by a newer facehash (schema {schema}, this one reads {SCHEMA}); upgrade "
            "facehash"
        )
    try:
        found = Backup.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: damaged: {where}: {first['msg']}") from error
    names = [one.name for one in found.people] + [one.name for one in found.names]
    names += [one.name for one in found.rejections]
    names += [name for person in found.people for name in person.earlier_names]
    for name in names:
        check_name(name, str(path))
    return found
