"""People in XMP: regions of the Metadata Working Group, of Microsoft and of the IPTC, and names.

===========================  =================================================================
property                     written by
===========================  =================================================================
``mwg-rs:Regions``           digiKam, Lightroom, Picasa, this project:
                             Metadata Working Group, *Guidelines for Handling Image Metadata* 2.0
``MP:RegionInfo``            Windows Live Photo Gallery, digiKam: Microsoft, *People Tagging*
``Iptc4xmpExt:ImageRegion``  *IPTC Photo Metadata Standard* from 2019.1 on
``Iptc4xmpExt:Person...``    names without a region: *IPTC Photo Metadata Standard*
===========================  =================================================================

XMP is RDF: the same value may stand in attributes, in elements or in a nested description (*XMP
Specification Part 1*, 7.9). `_value` reads all of them. Entities and document types are refused.
"""

import codecs
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from facehash.errors import InputError
from facehash.images.metadata.regions import LARGEST_NUMBER, PhotoPeople, Region, clipped

MAX_BYTES = 8 << 20
"""Larger packets are refused; one with a thousand regions has half a megabyte."""

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}
_DEEPEST = 12
_XML = "{http://www.w3.org/XML/1998/namespace}"
_PREFIXES = {f"{{{address}}}": prefix for prefix, address in NAMESPACES.items()}
# Some programs use this address instead.
_PREFIXES["{http://ns.adobe.com/xmp/sType/Dimensions#}"] = "stDim"

Properties = dict[str, Any]
"""Names such as ``mwg-rs:Name`` -> text, a list of values, or a structure."""
_Reader = Callable[[Properties, list[str]], Iterator[Region]]


class Packet(NamedTuple):
    """What a packet says."""

    people: PhotoPeople
    for_extension: str | None = None  # of a sidecar: the ending of the picture it was made for


def parse_xmp(packet: bytes) -> Packet:
    """Return the people in an XMP packet.

    Args:
        packet: The packet, with or without its wrapper, as UTF-8 or UTF-16.

    Raises:
        InputError: Not XML, too large, or with a document type or entities; one line without the
            name of the file.
    """
    if len(packet) > MAX_BYTES:
        raise InputError(f"its XMP is larger than {MAX_BYTES >> 20} MB")
    content = packet.lstrip().rstrip(b"\0 \t\r\n")
    if content.startswith(codecs.BOM_UTF16_LE) and len(content) % 2:
        content += b"\0"  # of the last character
    try:
        root = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise InputError("its XMP has a document type or entities, which XMP never has") from error
    # Unknown encodings raise LookupError or ValueError.
    except (ParseError, LookupError, ValueError) as error:
        raise InputError(f"its XMP is damaged ({' '.join(str(error).split())[:100]})") from error
    properties = _properties(root)
    # Programs that write several kinds write the same faces in each, which `join` makes one.
    parts = [_part(read, properties) for read in (_mwg, _microsoft, _iptc)]
    people = PhotoPeople.join([*parts, PhotoPeople(names=_names(properties))])
    extension = properties.get("photoshop:SidecarForExtension")
    return Packet(people, extension if isinstance(extension, str) else None)


def _part(read: _Reader, properties: Properties) -> PhotoPeople:
    problems: list[str] = []
    regions = tuple(read(properties, problems))
    if len(regions) > LARGEST_NUMBER:
        return PhotoPeople(problems=(f"more than {LARGEST_NUMBER:,} regions in one photo",))
    return PhotoPeople(regions, problems=tuple(problems))


def _properties(root: Element) -> Properties:
    """Return all properties of a packet by their names with the usual prefix."""
    found: Properties = {}
    roots = [root] if _name(root.tag) == "rdf:RDF" else root.iter(_tag("rdf:RDF"))
    for rdf in roots:
        for description in rdf:
            value = _structure(description, _DEEPEST)
            found |= {key: one for key, one in value.items() if key not in found}
    return found


def _value(element: Element, depth: int) -> Any:
    """Return the value of an RDF property: text, a list or a structure."""
    if depth <= 0:
        return None
    children = list(element)
    if len(children) == 1 and _name(children[0].tag) in ("rdf:Bag", "rdf:Seq", "rdf:Alt"):
        return [_value(item, depth - 1) for item in children[0]]
    structure = _structure(element, depth)
    if structure:
        return structure
    resource = element.get(_tag("rdf:resource"))
    return resource if resource is not None else (element.text or "").strip()


def _structure(element: Element, depth: int) -> Properties:
    """Return the fields of a structure, from its attributes and elements."""
    fields: Properties = {
        _name(key): value.strip()
        for key, value in element.attrib.items()
        if not key.startswith((_XML, _tag("rdf:")))
    }
    for child in element:
        if _name(child.tag) == "rdf:Description":
            fields |= _structure(child, depth - 1) if depth > 0 else {}
        else:
            fields[_name(child.tag)] = _value(child, depth - 1)
    return fields


def _name(tag: object) -> str:
    """Return ``prefix:name`` of a name with a known address, else the name as it is."""
    text = str(tag)
    end = text.find("}") + 1
    prefix = _PREFIXES.get(text[:end])
    return f"{prefix}:{text[end:]}" if prefix else text


def _tag(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def _mwg(properties: Properties, problems: list[str]) -> Iterator[Region]:
    """Yield the faces of ``mwg-rs:Regions``."""
    info = _fields(properties.get("mwg-rs:Regions"))
    size = _size(_fields(info.get("mwg-rs:AppliedToDimensions")), "stDim:w", "stDim:h")
    for region in _list(info.get("mwg-rs:RegionList")):
        fields = _fields(region)
        name, kind = _text(fields.get("mwg-rs:Name")), _text(fields.get("mwg-rs:Type"))
        # The other types are Pet, Focus and BarCode. Some programs write none.
        if not name or kind.casefold() not in ("face", ""):
            continue
        box = _mwg_box(_fields(fields.get("mwg-rs:Area")), size)
        yield from _checked(name, box, size, problems)


def _mwg_box(area: Properties, size: tuple[float, float] | None) -> Sequence[float] | None:
    """Return the box of an area, which is given by its middle: a rectangle, circle or point."""
    x, y = _number(area.get("stArea:x")), _number(area.get("stArea:y"))
    width, height, diameter = (
        _number(area.get(f"stArea:{key}"), 0.0 if key not in _plain(area) else math.nan)
        for key in ("w", "h", "d")
    )
    if area.get("stArea:unit") == "pixel":
        if size is None:
            return None
        x, width, diameter = x / size[0], width / size[0], diameter / min(size)
        y, height = y / size[1], height / size[1]
    if not width and not height and diameter:
        # A share of the shorter side.
        shorter = min(size) if size else 1.0
        width, height = (diameter * shorter / side for side in (size or (1.0, 1.0)))
    return x - width / 2, y - height / 2, width, height


def _plain(area: Properties) -> set[str]:
    return {key.removeprefix("stArea:") for key, value in area.items() if value not in ("", None)}


def _microsoft(properties: Properties, problems: list[str]) -> Iterator[Region]:
    """Yield the regions of ``MP:RegionInfo``: left, top, width and height in one text."""
    info = _fields(properties.get("MP:RegionInfo"))
    for region in _list(info.get("MPRI:Regions")):
        fields = _fields(region)
        name = _text(fields.get("MPReg:PersonDisplayName"))
        rectangle = _text(fields.get("MPReg:Rectangle"))
        if name and rectangle:  # a person without a rectangle is somewhere in the photo
            numbers = [_number(part.strip()) for part in rectangle.split(",")]
            yield from _checked(name, numbers if len(numbers) == 4 else None, None, problems)


def _iptc(properties: Properties, problems: list[str]) -> Iterator[Region]:
    """Yield the rectangles and circles of ``Iptc4xmpExt:ImageRegion`` that show one person."""
    for region in _list(properties.get("Iptc4xmpExt:ImageRegion")):
        fields = _fields(region)
        people = _names(fields)
        boundary = _fields(fields.get("Iptc4xmpExt:RegionBoundary"))
        if len(people) != 1 or not boundary:
            continue
        x, y, width, height, radius = (
            _number(boundary.get(f"Iptc4xmpExt:rb{key}"), 0.0) for key in ("X", "Y", "W", "H", "Rx")
        )
        shape = _text(boundary.get("Iptc4xmpExt:rbShape"))
        if shape == "circle":
            # The radius is a share of the width; the height is not known here, so it is a square.
            x, y, width, height = x - radius, y - radius, 2 * radius, 2 * radius
        relative = _text(boundary.get("Iptc4xmpExt:rbUnit")) == "relative"
        usable = shape in ("rectangle", "circle") and relative
        yield from _checked(people[0], (x, y, width, height) if usable else None, None, problems)


def _checked(
    name: str,
    box: Sequence[float] | None,
    size: tuple[float, float] | None,
    problems: list[str],
) -> Iterator[Region]:
    """Yield a region, or note that its numbers cannot be used."""
    usable = clipped(*box) if box is not None else None
    if usable is None:
        problems.append(f"the region of {name[:60]!r} is not a part of the picture")
    else:
        yield Region(name, usable, size)


def _names(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of ``PersonInImage`` and ``PersonInImageWDetails``."""
    found = [_text(one) for one in _list(properties.get("Iptc4xmpExt:PersonInImage"))]
    for one in _list(properties.get("Iptc4xmpExt:PersonInImageWDetails")):
        found.append(_text(_fields(one).get("Iptc4xmpExt:PersonName")))
    return tuple(dict.fromkeys(name for name in found if name))[:LARGEST_NUMBER]


def _size(fields: Properties, width: str, height: str) -> tuple[float, float] | None:
    size = _number(fields.get(width)), _number(fields.get(height))
    return size if all(0 < one < 1e9 for one in size) else None


def _number(value: object, missing: float = math.nan) -> float:
    """Return a number, `missing` if there is none, and NaN if it is not a number."""
    if value is None or value == "":
        return missing
    try:
        return float(value) if isinstance(value, str) and len(value) < 60 else math.nan
    except ValueError:
        return math.nan


def _fields(value: object) -> Properties:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    """Return the items of a list; a single value is a list of one."""
    if isinstance(value, list):
        return value
    return [] if value in (None, "") else [value]


def _text(value: object) -> str:
    """Return a text; of texts in several languages, the first."""
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, str) and one), "")
    return value if isinstance(value, str) else ""
