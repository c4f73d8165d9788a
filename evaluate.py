"""Score a trained model or a file of codes: ``python evaluate.py RUN_DIR``."""

import logging
from pathlib import Path

import typer

from experiments.run.encode import encode_checkpoint, encode_run
from experiments.run.score import CodeSource, score, table, write_all
from facehash.command_line import DONE, make_app, run
from facehash.errors import InputError, did_you_mean
from facehash.retrieval.codes_file import BitOrder, CodeSet, read_codes

log = logging.getLogger(__name__)

app = make_app("Score a trained model, or codes from any tool.")


@app.command()
def evaluate(
    model: Path | None = typer.Argument(
        None, metavar="[RUN_DIR | FILE.keras]", help="A run directory or a checkpoint."
    ),
    codes: Path | None = typer.Option(
        None, help="Score codes: a .npz, .h5, .mat or .csv, or a folder of .npy."
    ),
    bit_order: BitOrder | None = typer.Option(
        None, help="Order of the bits in packed --codes; big is the default of np.packbits."
    ),
    config: Path | None = typer.Option(None, help="YAML file with the data set of a checkpoint."),
    data: Path | None = typer.Option(None, help="Data set; default: FACEHASH_DATA or the YAML."),
    at: list[int] = typer.Option(
        [], metavar="K", min=1, help="Also mAP@K with each denominator; repeatable."
    ),
    verification: bool = typer.Option(
        False, "--verification", help="Also TAR at three FARs, EER and a threshold for pairs."
    ),
    allow_leaks: bool = typer.Option(
        False,
        "--allow-leaks",
        help="Score a model on what it was trained on, and mark the result.",
    ),
    recentre: bool = typer.Option(
        False, "--recentre", help="Also with the gallery's mean, for a model that takes vectors."
    ),
    output: Path | None = typer.Option(
        None, help="Folder for report.json and figures/. Default: the run, or beside the file."
    ),
) -> int:
    """Score codes by mAP, radius 2 and precision at 50; write report.json and figures.

    Example: python evaluate.py runs/quickstart-48-s0 --at 50 --verification, or:
    python evaluate.py --codes codes.npz

    A .csv of codes has the columns role (gallery or query), label, and code (a text of 0 and 1) or
    bit0, bit1, ...; a folder has gallery_codes.npy, query_codes.npy, gallery_labels.npy and
    query_labels.npy.
    """
    folder = output or _default_folder(model, codes)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; --output must be a folder")
    if recentre and codes is not None:
        raise InputError("--recentre needs a model that takes vectors, not --codes")
    found = _codes_of(model, codes, bit_order, config, data, allow_leaks, recentre)
    scored = score(*found, at=sorted(set(at)), verification=verification)
    written = write_all(scored, folder)
    print(table(scored.report), "", "written:", *(f"  {path}" for path in written), sep="\n")
    return DONE


def _default_folder(model: Path | None, codes: Path | None) -> Path:
    """Return the run directory, or a folder beside the file; exactly one must be given."""
    if (model is None) == (codes is None):
        raise InputError("give either a run directory or a checkpoint, or --codes FILE")
    given = model if codes is None else codes
    if not given.exists():
        beside = given.parent.iterdir() if given.parent.is_dir() else []
        names = [path.name for path in beside if not path.name.startswith(".")]
        raise InputError(f"{given}: does not exist{did_you_mean(given.name, names)}")
    if given.is_dir():
        return given if codes is None else given.resolve().with_name(f"{given.name}-report")
    return given.with_name(f"{given.stem}-report")


def _codes_of(
    model: Path | None,
    codes: Path | None,
    bit_order: BitOrder | None,
    config: Path | None,
    data: Path | None,
    allow_leaks: bool,
    recentre: bool,
) -> tuple[CodeSet, CodeSource]:
    """Check that the options fit together, and read or compute the codes."""
    if codes is not None:
        if config is not None or data is not None:
            raise InputError("--codes cannot be used with --config or --data")
        if allow_leaks:
            raise InputError("--allow-leaks needs a model: what codes were trained on is unknown")
        found = read_codes(codes, bit_order)
        if not found.bit_order_known:
            log.warning(
                "%s: packed codes without bit_order: the authors' columns (*) are omitted because "
                "they weight bits; --bit-order little or big adds them",
                codes,
            )
        return found, CodeSource()
    if bit_order is not None:
        raise InputError("--bit-order is for packed --codes")
    if model.is_dir():
        if config is not None:
            raise InputError(f"{model}: a run directory has its own configuration; omit --config")
        return encode_run(model, data, allow_leaks, recentre)
    if config is None:
        raise InputError(f"{model}: a checkpoint needs --config YAML, which names its data set")
    return encode_checkpoint(model, config, data, allow_leaks, recentre)


if __name__ == "__main__":
    run(app, "evaluate.py")
