"""People in Picasa's files: ``.picasa.ini`` in each folder, and ``contacts.xml``.

Google never documented them. What is known was collected by Franz Buchinger, ``picasa.ini``
(version 0.1, in the public domain), and is used by exiftool's ``picasa_faces.config``:

* a section per photo, with ``faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;...``: left, top,
  right and bottom as four hexadecimal numbers of 65,536 parts, without leading zeros, and the
  number of a contact, ``ffffffffffffffff`` for nobody;
* the section ``Contacts2`` with ``8e62398ebda8c1a5=Ann;;`` of the people in the folder;
* ``contacts.xml`` in Picasa's own folder, with ``<contact id="8e62398ebda8c1a5" name="Ann">``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from facehash.errors import InputError
from facehash.images.metadata.regions import LARGEST_NUMBER, PhotoPeople, Region, clipped

FILE_NAMES = (".picasa.ini", "Picasa.ini")
"""Names of Picasa's file in a folder; versions before 3 wrote the second."""

MAX_BYTES = 32 << 20
NOBODY = "f" * 16
_FACE = re.compile(r"rect64\(([0-9a-f]{1,16})\)\s*,\s*([0-9a-f]{1,16})", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{1,16}", re.IGNORECASE)


@dataclass(frozen=True)
class Folder:
    """What a ``.picasa.ini`` says."""

    faces: Mapping[str, str]  # file name -> the value of faces=
    contacts: Mapping[str, str]  # number of a contact -> name


def parse_folder(content: bytes) -> Folder:
    r"""Parse a ``.picasa.ini``.

    Lines that are neither a section nor a value are ignored, as by Picasa.

    Raises:
        InputError: Too large, or not text; one line without the name of the file.

    Example:
        >>> parse_folder(b"[a.jpg]\nfaces=rect64(1),2\n[Contacts2]\n2=Ann;;\n").contacts
        {'0000000000000002': 'Ann'}
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES >> 20} MB, which no file of Picasa is")
    if b"\0" in content:
        raise InputError("not a text file of Picasa")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # early versions wrote the code page of Windows
        text = content.decode("cp1252", errors="replace")
    faces: dict[str, str] = {}
    contacts: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.rstrip()[1:-1]
            continue
        key, equals, value = line.partition("=")
        key = key.strip()
        if not equals:
            continue
        if section.casefold() == "contacts2":
            name = value.split(";")[0].strip()
            if name and _ID.fullmatch(key):
                contacts[_padded(key)] = name
        elif key.casefold() == "faces" and value.strip():
            faces[section] = value.strip()
    return Folder(faces, contacts)


def parse_contacts(content: bytes) -> dict[str, str]:
    """Return number and name of the contacts in a ``contacts.xml``.

    Raises:
        InputError: Not such a file; one line without its name.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES >> 20} MB, which no contacts.xml is")
    try:
        root = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise InputError("has a document type or entities, which contacts.xml never has") from error
    except (defusedxml.ElementTree.ParseError, LookupError, ValueError) as error:
        message = " ".join(str(error).split())[:100]
        raise InputError(f"not the contacts.xml of Picasa ({message})") from error
    if root.tag != "contacts":
        raise InputError("not the contacts.xml of Picasa (its first element is not <contacts>)")
    return {
        _padded(one.get("id", "")): one.get("name", "").strip()
        for one in root.iter("contact")
        if _ID.fullmatch(one.get("id", "")) and one.get("name", "").strip()
    }


def faces_of(value: str, contacts: Mapping[str, str]) -> PhotoPeople:
    """Return the named regions of a photo.

    Args:
        value: The value of ``faces=``.
        contacts: Number and name of people.

    Example:
        >>> contacts = {"0000000000000002": "Ann"}
        >>> faces_of("rect64(400080008000c000),2;rect64(1),ffffffffffffffff", contacts).regions
        (Region(name='Ann', box=(0.25, 0.5, 0.25, 0.25), drawn_on=None),)
    """
    regions, problems = [], []
    for part in filter(None, (one.strip() for one in value.split(";"))):
        found = _FACE.fullmatch(part)
        if found is None:
            problems.append(f"not a face of Picasa: {part[:60]!r}")
            continue
        contact = _padded(found[2])
        if contact == NOBODY:
            continue
        number = found[1].rjust(16, "0")
        left, top, right, bottom = (int(number[i : i + 4], 16) / 65536 for i in range(0, 16, 4))
        box = clipped(left, top, right - left, bottom - top)
        if box is None:
            problems.append(f"not a part of the picture: {part[:60]!r}")
        elif contact not in contacts:
            problems.append(
                f"no name for the number {contact}; give Picasa's contacts.xml: --names picasa:FILE"
            )
        else:
            regions.append(Region(contacts[contact], box))
        if len(regions) > LARGEST_NUMBER:
            return PhotoPeople(problems=(f"more than {LARGEST_NUMBER:,} faces in one photo",))
    return PhotoPeople(tuple(regions), (), tuple(problems))


def _padded(number: str) -> str:
    """Return the number of a contact with the zeros that Picasa omits."""
    return number.casefold().rjust(16, "0")
