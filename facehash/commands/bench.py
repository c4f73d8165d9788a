"""The command that measures every way to search a library."""

from __future__ import annotations

from pathlib import Path

import typer

from facehash.command_line import DONE
from facehash.commands.arguments import WeightsOption
from facehash.printing import printable


def bench(
    library: Path = typer.Argument(help="The library's folder."),
    output: Path | None = typer.Option(
        None, help="Folder for bench.json and tradeoff.png; by default LIBRARY-bench beside it."
    ),
    codes: str = typer.Option("itq,lsh", help="Codes to be made of the vectors."),
    bits: str = typer.Option("32,64,128,256,512", help="Their lengths."),
    shortlist: int = typer.Option(
        100, help="Faces that codes choose and vectors put in order; 0 leaves these ways out."
    ),
    also: list[str] = typer.Option(
        [], help="Another embedder on the same faces, such as run:runs/NAME; may be repeated."
    ),
    near_duplicate: float = typer.Option(
        0.95,
        help="From this cosine on, less the mean vector, two faces of one person are pictures of "
        "one moment, and do not count as found.",
    ),
    queries: int = typer.Option(5000, help="Queries at most; of more, so many are drawn."),
    seed: int = typer.Option(0, min=0, help="Of the draw and of the codes."),
    weights_dir: WeightsOption = None,
) -> int:
    """Measure how well and how fast a library is searched: by vectors, by codes, by both.

    Every named face of somebody who is on two photos asks for the others of that person. Nothing
    in the library is changed. What is written holds neither names nor paths.

    Example: facehash bench lib --also run:runs/pubfig83-48-s0
    """
    from facehash.bench.plot import write_tradeoff
    from facehash.bench.run import Plan
    from facehash.bench.run import bench as measure
    from facehash.bench.table import format_bench
    from facehash.files import write_json
    from facehash.library.storage.store import Store
    from facehash.pipeline import pipelines

    plan = Plan(
        hashers=_words(codes),
        bits=_numbers(bits),
        shortlist=shortlist,
        embedders=also,
        near_duplicate=near_duplicate,
        queries=queries,
        seed=seed,
    )
    library = library.resolve()
    folder = output or library.with_name(f"{library.name}-bench")
    if folder.resolve().is_relative_to(library):
        raise typer.BadParameter(f"--output {folder}: is in the library, which only holds its own")
    with Store.open(library) as store:
        result = measure(store, plan, pipelines(weights_dir))
    write_json(folder / "bench.json", result)
    asked = f"{result['library']['faces']:,} faces, {result['queries']['faces']:,} queries"
    # A shortlist of everybody is exact search, and reads more than its codes.
    drawn = [way for way in result["ways"] if way["shortlist"] < result["library"]["faces"]]
    write_tradeoff(drawn, folder / "tradeoff.png", asked)
    print(format_bench(result))
    print(f"\nwritten: {printable(folder / 'bench.json')}, {printable(folder / 'tradeoff.png')}")
    return DONE


def _numbers(text: str) -> list[int]:
    words = _words(text)
    if not words or not all(word.isdecimal() for word in words):
        raise typer.BadParameter(f"numbers are expected, such as 32,64, got {text!r}")
    return [int(word) for word in words]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
