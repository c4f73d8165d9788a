"""The results of a table as one self-contained HTML page with tables and figures."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.table.layout import (
    distances_note,
    heading,
    html_table,
    protocols_of,
    published_note,
    statistics_note,
)
from experiments.table.published import Published

_CAPTIONS = {
    "map": "mAP over the full ranking, the expectation over tie orders. Bands: one standard "
    "deviation over seeds. Horizontal lines: exact cosine similarity of the float features.",
    "precision_radius2": "An empty ball counts as precision 0. Short codes share few balls, long "
    "codes leave most balls empty: the curve depends on the code length as much as on the method.",
    "recall_radius2": "The share of a query's relevant images found within radius 2.",
    "precision_recall": "One point per Hamming radius, averaged over queries.",
    "precision_at": "Expected precision among the nearest N gallery images.",
    "ties": "The same codes, scored with tied items in the worst and in the best order. The result "
    "of an evaluation that leaves the order of ties to its sort lies anywhere in the band.",
    "packing": "The same codes scored by the published evaluation, which counts 7 of 8 bits.",
}

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.55 system-ui, sans-serif; color: #222; margin: 2.5rem auto; max-width: 74rem;
  padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
p { max-width: 52rem; } .quiet, figcaption { color: #6b6b6b; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid #999; } .groups th { border-bottom: 0; color: #6b6b6b;
  font-weight: 500; text-align: center; }
tr.first td { border-top: 1px solid #ddd; } tbody tr:hover { background: #f4f8fb; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { max-width: 52rem; }
"""


def write_page(
    summary: dict[str, Any], published: Published, charts: Sequence[Path], path: Path
) -> str:
    """Return the page, an HTML document without references to other files.

    `charts` are the .png files of the figures; the page contains the .svg file beside each. The
    name in `path` is a part of the title.
    """
    title = html.escape(summary["title"])
    parts = [f"<h1>{title}</h1>", f"<p>{html.escape(summary['note'])}</p>", _made_with(summary)]
    for protocol in protocols_of(summary):
        parts.append(f"<h2>{html.escape(heading(summary, protocol))}</h2>")
        parts.append(f'<div class="wide">{html_table(summary, published, protocol)}</div>')
        note = html.escape(published_note(summary, published, protocol))
        parts.append(f'<p class="quiet">{note}</p>')
        for note in (distances_note(summary, protocol), statistics_note(summary)):
            if note:
                parts.append(f'<p class="quiet">{html.escape(note)}</p>')
    if summary["missing"]:
        missing = html.escape(", ".join(summary["missing"]))
        parts.append(f'<p class="quiet">Not measured yet: {missing}.</p>')
    parts.append("<h2>Figures</h2>")
    for chart in charts:
        parts.append(figure(chart, _CAPTIONS[chart.stem]))
    return whole_page(title, path, parts)


def whole_page(title: str, path: Path, parts: Sequence[str]) -> str:
    """Return a page of these parts; `title` is HTML, the name in `path` follows it."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title} - {html.escape(path.stem)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _made_with(summary: dict[str, Any]) -> str:
    cells = summary["cells"]
    commits = sorted({str(cell["commit"])[:10] for cell in cells})
    devices = sorted({f"{cell['backend']} on {cell['device']}" for cell in cells})
    keras = sorted({cell["packages"].get("keras", "?") for cell in cells})
    # A baseline reports the training time of its network: count each network once.
    hours = sum({cell["network"]: cell["train_seconds"] for cell in cells}.values()) / 3600
    words = (
        f"{len(cells)} cells; {', '.join(devices)}; Keras {', '.join(keras)}; "
        f"commit {', '.join(commits)}; {hours:.1f} hours of training. ± is the standard "
        "deviation over seeds; an en dash means not applicable."
    )
    return f'<p class="quiet">{html.escape(words)}</p>'


def figure(chart: Path, caption: str) -> str:
    """Return a figure with the drawing in the .svg file beside `chart`, and a caption of text."""
    drawing = _inline(chart.with_suffix(".svg"), chart.stem)
    return f"<figure>{drawing}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _inline(path: Path, prefix: str) -> str:
    """Return an SVG without its XML header, with ids that are unique within the page."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    for mark in ('id="', 'href="#', "url(#"):
        text = text.replace(mark, f"{mark}{prefix}-")
    return text
