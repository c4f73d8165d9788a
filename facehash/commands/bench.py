"""``facehash bench``: measure every method to search a library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facehash.command_line import DONE, PARTLY_FAILED
from facehash.commands.arguments import ForceOption, WeightsOption
from facehash.errors import InputError
from facehash.printing import printable, quoted

if TYPE_CHECKING:
    from facehash.bench.lsh_sweep import Sweep

_ONLY_WITH_SWEEP = ("tables", "probes", "recall")
_BITS = "32,64,128,256,512"
_NOT_WITH_SWEEP = ("codes", "rerank", "also", "engine", "draws", "weights_dir")


def bench(
    context: typer.Context,
    library: Path = typer.Argument(help="Folder of the library."),
    output: Path | None = typer.Option(
        None,
        help="Folder for bench.json and tradeoff.png, or lsh_sweep.json and lsh_sweep.png. "
        "Default: LIBRARY-bench beside the library.",
        show_default=False,
    ),
    sweep: str | None = typer.Option(
        None,
        help="Measure one kind of index over all of its settings instead: lsh, the index of the "
        "Redis engine.",
    ),
    codes: str | None = typer.Option(
        None,
        help="Codes to make of the vectors. Default: itq,lsh, and learned,adapted for the embedder "
        "sface, which have 32, 64 or 128 bits.",
        show_default=False,
    ),
    bits: str | None = typer.Option(
        None,
        help="Lengths of these codes, default 32,64,128,256,512; with --sweep bits of a key, "
        "default 8,12,16,20,24.",
        show_default=False,
    ),
    tables: str = typer.Option("4,8,16,32,64", help="With --sweep: numbers of tables."),
    probes: str = typer.Option(
        "1,4,16,64,256", help="With --sweep: numbers of buckets that a query reads per table."
    ),
    recall: float = typer.Option(
        0.95,
        help="With --sweep: share of the ten nearest faces that the recommended setting must find.",
    ),
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
    queries: int | None = typer.Option(
        None,
        help="Maximum number of queries; if there are more, this many are drawn. Default: 5000, "
        "with --sweep 300.",
        show_default=False,
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

    With --sweep lsh, it measures which tables, key bits and probes of LSH find how much of what the
    exact index finds, and how fast, and recommends a setting.

    Example: facehash bench lib --also run:runs/pubfig83-48-s0

    Example: facehash bench lib --sweep lsh --recall 0.9
    """
    _check_sweep(context, sweep)
    given, library = library, library.resolve()
    folder = output or library.with_name(f"{library.name}-bench")
    if sweep is not None:
        from facehash.bench.lsh_sweep import Sweep

        usual = Sweep()
        return _sweep(
            library,
            folder,
            Sweep(
                tables=_numbers(tables),
                bits=usual.bits if bits is None else _numbers(bits),
                probes=_numbers(probes),
                recall=recall,
                near_duplicate=near_duplicate,
                queries=usual.queries if queries is None else queries,
                seed=seed,
            ),
            given,
            force,
        )
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
        bits=_numbers(_BITS if bits is None else bits),
        rerank=rerank,
        embedders=also,
        near_duplicate=near_duplicate,
        queries=5000 if queries is None else queries,
        seed=seed,
        draws=draws,
        engines=engine,
    )
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


def _check_sweep(context: typer.Context, sweep: str | None) -> None:
    """Refuse options that do not go together.

    Raises:
        InputError: The message names the option.
    """
    if sweep not in (None, "lsh"):
        raise InputError(f"--sweep {sweep}: there is only lsh")
    for name in _ONLY_WITH_SWEEP if sweep is None else _NOT_WITH_SWEEP:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            if sweep is None:
                raise InputError(f"{option} needs --sweep lsh")
            raise InputError(f"{option} has no meaning with --sweep {sweep}; omit one of them")


def _sweep(library: Path, folder: Path, sweep: Sweep, given: Path, force: bool) -> int:
    """Measure the settings of LSH on a library, print them, and write them to a folder.

    The commands that are printed name the library as it was `given`.
    """
    from facehash.bench.lsh_sweep import SCHEMA, read_library, sweep_lsh
    from facehash.bench.lsh_sweep_plot import write_sweep
    from facehash.bench.lsh_sweep_table import engine_options, format_sweep
    from facehash.bench.run import label_of
    from facehash.files import write_json
    from facehash.library.storage.engines import list_engines
    from facehash.library.storage.store import Store
    from facehash.library.upkeep.outputs import check_library_output
    from facehash.output import PNG, json_format, replace_output
    from facehash.runs.environment import describe_environment

    sweep.check()
    report, chart = folder / "lsh_sweep.json", folder / "lsh_sweep.png"
    with Store.open(library) as store:
        schema = json_format("schema", "sweep")
        check_library_output(store, report, schema, "--output", force=force)
        check_library_output(store, chart, PNG, "--output", force=force)
        faces = read_library(store, sweep)
        embedder = label_of(store.settings().embedder)
        engines = list_engines(store.database)
    environment = describe_environment("none", "cpu", sweep.seed)
    kept = ("python", "platform", "packages", "git_commit")
    result = {
        "schema": SCHEMA,
        "sweep": "lsh",
        "embedder": embedder,
        **sweep_lsh(faces, sweep),
        "environment": {name: environment[name] for name in kept},
    }
    with replace_output(report) as temporary:
        write_json(temporary, result)
    with replace_output(chart) as temporary:
        write_sweep(result, temporary, f"{result['faces']:,} faces, {result['queries']:,} queries")
    print(format_sweep(result))
    if result["recommended"]:
        url = f"redis://HOST:6379/0?{engine_options(result['recommended'])}"
        place = f"--library {quoted(given)}"
        print("to use this setting, with your server in place of HOST:")
        for engine in engines:
            if engine.url.startswith(("redis", "valkey")):
                print(f"  facehash engine remove {quoted(engine.name)} {place}")
        print(f"  facehash engine add {quoted(url)} --by embedding {place}")
    print(f"\nwritten: {printable(report)}, {printable(chart)}")
    return DONE


def _numbers(text: str) -> list[int]:
    words = _words(text)
    if not words or not all(word.isdecimal() for word in words):
        raise typer.BadParameter(f"expected numbers, such as 32,64, got {text!r}")
    return [int(word) for word in words]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
