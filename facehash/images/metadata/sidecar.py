"""Writing the people of a photo as an XMP sidecar that other programs read.

A sidecar has the regions of the Metadata Working Group, which digiKam, Lightroom and others read,
and the names once more as lists of people: of the IPTC (``PersonInImage``), of digiKam
(``TagsList``) and of Lightroom (``hierarchicalSubject``).
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from facehash.images.metadata.regions import Region
from facehash.images.metadata.xmp import NAMESPACES
from facehash.output import Format

TOOLKIT = "facehash"
"""First word of ``x:xmptk``: every program that writes XMP puts its own name there."""

_HEAD = 4096
_MARK = f'x:xmptk="{TOOLKIT} '.encode()
_WRITTEN = {
    **NAMESPACES,
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
}
_ROOT = "People"


def write_sidecar(regions: Sequence[Region], version: str) -> bytes:
    """Return a sidecar with these regions.

    Args:
        regions: In shares of the stored picture; all with the same `Region.drawn_on`.
        version: The version of this project, for ``x:xmptk``.

    Returns:
        UTF-8 XML; the same regions give the same bytes.
    """
    meta = Element("x:xmpmeta", {"xmlns:x": "adobe:ns:meta/", "x:xmptk": f"{TOOLKIT} {version}"})
    rdf = SubElement(meta, "rdf:RDF", {"xmlns:rdf": NAMESPACES["rdf"]})
    used = ("digiKam", "lr", "Iptc4xmpExt", "mwg-rs", "stArea", "stDim")
    about = {f"xmlns:{prefix}": _WRITTEN[prefix] for prefix in used}
    description = SubElement(rdf, "rdf:Description", {"rdf:about": "", **about})
    names = list(dict.fromkeys(region.name for region in regions))
    _add_list(description, "Iptc4xmpExt:PersonInImage", "rdf:Bag", names)
    # Tags are paths of names; a name with the separator in it would be two tags.
    for name, kind, separator in (
        ("digiKam:TagsList", "rdf:Seq", "/"),
        ("lr:hierarchicalSubject", "rdf:Bag", "|"),
    ):
        tags = [f"{_ROOT}{separator}{one}" for one in names if separator not in one]
        if tags:
            _add_list(description, name, kind, tags)
    _add_regions(description, regions)
    indent(meta, " ")
    body = tostring(meta, encoding="unicode")
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}\n{body}\n<?xpacket end="w"?>\n'.encode()


def _add_list(parent: Element, name: str, kind: str, texts: Sequence[str]) -> None:
    items = SubElement(SubElement(parent, name), kind)
    for text in texts:
        SubElement(items, "rdf:li").text = text


def _add_regions(parent: Element, regions: Sequence[Region]) -> None:
    resource = {"rdf:parseType": "Resource"}
    info = SubElement(parent, "mwg-rs:Regions", resource)
    size = next((region.drawn_on for region in regions if region.drawn_on), None)
    if size is not None:
        sides = {"stDim:w": f"{size[0]:.0f}", "stDim:h": f"{size[1]:.0f}"}
        SubElement(info, "mwg-rs:AppliedToDimensions", {**sides, "stDim:unit": "pixel"})
    items = SubElement(SubElement(info, "mwg-rs:RegionList"), "rdf:Bag")
    for region in regions:
        item = SubElement(items, "rdf:li", resource)
        SubElement(item, "mwg-rs:Name").text = region.name
        SubElement(item, "mwg-rs:Type").text = "Face"
        x, y, width, height = region.box
        numbers = {"x": x + width / 2, "y": y + height / 2, "w": width, "h": height}
        area = {f"stArea:{key}": f"{value:.6f}" for key, value in numbers.items()}
        SubElement(item, "mwg-rs:Area", {**area, "stArea:unit": "normalized"})


def is_ours(path: Path) -> bool:
    """Return whether this project wrote a sidecar last; other programs change ``x:xmptk``."""
    with path.open("rb") as file:
        return _MARK in file.read(_HEAD)


XMP = Format("an XMP sidecar", (".xmp",), is_ours)
