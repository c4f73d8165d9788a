"""Score a trained model or a file of codes: ``python evaluate.py RUN_DIR``."""

from __future__ import annotations

from pathlib import Path

import typer

from experiments.checkpoints import encode_checkpoint, encode_run
from experiments.report import score, table, write_all
from facehash.command_line import DONE, make_app, run
from facehash.errors import InputError
from facehash.retrieval.codes_file import read_codes

app = make_app("Score a trained model, or codes from any tool.")


@app.command()
def evaluate(
    model: Path | None = typer.Argument(
        None, metavar="[RUN_DIR | FILE.keras]", help="A run directory or a checkpoint."
    ),
    codes: Path | None = typer.Option(None, help="Score this file (.npz, .h5, .mat) instead."),
    config: Path | None = typer.Option(None, help="YAML file that names a checkpoint's data."),
    data: Path | None = typer.Option(None, help="Where the data set is; wins over FACEHASH_DATA."),
    output: Path | None = typer.Option(
        None, help="Folder for report.json and figures/; default: the run, or beside the file."
    ),
) -> int:
    """Score codes: mAP with its tie bounds, radius 2, precision at 50; write report and figures.

    Example: python evaluate.py runs/quickstart-48-s0, or: python evaluate.py --codes codes.npz
    """
    if (model is None) == (codes is None):
        raise InputError("give either a run directory or a checkpoint, or --codes FILE")
    if codes is not None:
        if config is not None or data is not None:
            raise InputError("--codes goes without --config and --data: the file holds its labels")
        scored = score(read_codes(codes))
        folder = codes.with_name(f"{codes.stem}-report")
    elif model.is_dir():
        if config is not None:
            raise InputError(f"{model}: a run directory has its own configuration; drop --config")
        scored = score(*encode_run(model, data))
        folder = model
    else:
        if config is None:
            raise InputError(f"{model}: a checkpoint needs --config YAML, which names its data")
        scored = score(*encode_checkpoint(model, config, data))
        folder = model.with_name(f"{model.stem}-report")
    written = write_all(scored, output or folder)
    print(table(scored.report), "", "written:", *(f"  {path}" for path in written), sep="\n")
    return DONE


if __name__ == "__main__":
    run(app, "evaluate.py")
