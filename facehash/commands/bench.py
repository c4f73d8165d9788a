"""``facehash bench``: measure every method to search a library."""

from pathlib import Path

import typer

from facehash.command_line import DONE, PARTLY_FAILED
from facehash.commands.arguments import ForceOption, WeightsOption
from facehash.printing import printable


def bench(
    library: Path = typer.Argument(help="Folder of the library."),
    output: Path | None = typer.Option(
        None,
        help="Folder for bench.json and tradeoff.png. Default: LIBRARY-bench beside the library.",
        show_default=False,
    ),
    codes: str | None = typer.Option(
        None,
        help="Codes to make of the vectors. Default: itq,lsh, and learned,adapted for the embedder "
        "sface, which have 32, 64 or 128 bits.",
        show_default=False,
    ),
    bits: str = typer.Option("32,64,128,256,512", help="Lengths of these codes."),
    rerank: int = typer.Option(
        100, help="Number of candidates that codes select and vectors re-rank; 0 for none."
    ),
    also: list[str] = typer.Option(
        [],
        help="Another embedder to measure on the same faces, such as run:runs/NAME; may be "
        "repeated.",
    ),
    engine: list[str] = typer.Option(
        [],
        help="An engine of the library to compare with its exact index (see facehash engine "
        "status); may be repeated. Exit code 3 if one fails.",
    ),
    near_duplicate: float = typer.Option(
        0.95,
        help="Two faces of one person are near duplicates, pictures of one moment, and do not "
        "count, if the cosine of their vectors less the mean vector is at least this.",
    ),
    queries: int = typer.Option(
        5000, help="Maximum number of queries; if there are more, this many are drawn."
    ),
    draws: int = typer.Option(
        5,
        help="Draws of held-out queries, one face of each person; 0 for leave-one-out only.",
    ),
    seed: int = typer.Option(0, min=0, help="Seed of the draws and of the codes."),
    force: ForceOption = False,
    weights_dir: WeightsOption = None,
) -> int:
    """Measure how accurately and how fast a library is searched, by vectors, codes or both.

    One face of each person with at least two photos is held out and used as a query; codes are
    fitted to the remaining faces. Leave-one-out, in which each face is used once as a query, is
    measured too, and flatters codes. The library is not changed. The output contains neither names
    nor paths.

    Example: facehash bench lib --also run:runs/pubfig83-48-s0
    """
    from facehash.bench.plot import write_tradeoff
    from facehash.bench.run import Plan
    from facehash.bench.run import bench as measure
    from facehash.bench.table import format_bench
    from facehash.files import write_json
    from facehash.library.storage.store import Store
    from facehash.library.upkeep.outputs import check_library_output
    from facehash.output import PNG, json_format, replace_output
    from facehash.pipeline import pipelines

    plan = Plan(
        hashers=None if codes is None else _words(codes),
        bits=_numbers(bits),
        rerank=rerank,
        embedders=also,
        near_duplicate=near_duplicate,
        queries=queries,
        seed=seed,
        draws=draws,
        engines=engine,
    )
    library = library.resolve()
    folder = output or library.with_name(f"{library.name}-bench")
    report, chart = folder / "bench.json", folder / "tradeoff.png"
    schema = json_format("schema", "library")
    with Store.open(library) as store:
        check_library_output(store, report, schema, "--output", force=force)
        # The chart beside an earlier report is ours; facehash 0.1.0 did not mark it.
        mine = force or report.is_file()
        check_library_output(store, chart, PNG, "--output", force=mine)
        result = measure(store, plan, pipelines(weights_dir))
    with replace_output(report) as temporary:
        write_json(temporary, result)
    faces, queried = result["library"]["faces"], result["queries"]["faces"]
    # Re-ranking all faces is exact search, and reads more than the codes.
    drawn = [method for method in result["methods"] if method["rerank"] < faces]
    with replace_output(chart) as temporary:
        write_tradeoff(drawn, temporary, f"{faces:,} faces, {queried:,} queries")
    print(format_bench(result))
    print(f"\nwritten: {printable(report)}, {printable(chart)}")
    return DONE if len(result["engines"]) == len(set(engine)) else PARTLY_FAILED


def _numbers(text: str) -> list[int]:
    words = _words(text)
    if not words or not all(word.isdecimal() for word in words):
        raise typer.BadParameter(f"expected numbers, such as 32,64, got {text!r}")
    return [int(word) for word in words]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
