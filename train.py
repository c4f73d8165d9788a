"""Train a hashing network from a YAML file: ``python train.py CONFIG --data DIR``."""

from __future__ import annotations

import functools
from pathlib import Path

import typer

from data.configured import find, load_configured
from facehash import methods
from facehash.command_line import DONE, make_app, run
from facehash.config import load_config
from facehash.learning.backend import choose_backend, start_backend
from facehash.runs import RunDirectory

app = make_app("Train a hashing network from a YAML file.")


@app.command()
def train(
    config: Path = typer.Argument(help="YAML file, such as configs/quickstart.yaml."),
    data: Path | None = typer.Option(None, help="Where the data set is; wins over FACEHASH_DATA."),
    overrides: list[str] = typer.Option(
        [], "--set", metavar="a.b=value", help="Override a key; may be given several times."
    ),
    runs: Path = typer.Option(Path("runs"), help="Folder of run directories."),
    name: str | None = typer.Option(None, help="Of the run; default: CONFIG stem-bits-sSEED."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a run of this name."),
    print_config: bool = typer.Option(
        False, "--print-config", help="Print the configuration with all defaults, and stop."
    ),
) -> int:
    """Train a hashing network; the same command goes on with an interrupted run.

    Example: python train.py configs/ddh/pubfig83.yaml --data DIR --set bits=24
    """
    settings = load_config(config, methods.options_class, overrides)
    if print_config:
        print(settings.to_yaml(), end="")
        return DONE
    source = find(settings.dataset, data, config.parent).resolve()
    settings = settings.with_resolved(choose_backend(settings.backend), str(source))

    directory = RunDirectory(runs / (name or f"{config.stem}-{settings.bits}-s{settings.seed}"))
    directory.check(settings.to_yaml(), overwrite)
    if directory.finished and not overwrite:
        directory.tidy()
        print(f"already trained: {directory.path} (--overwrite trains it again)")
        return DONE
    faces = load_configured(settings.dataset, source)

    start_backend(settings.backend)
    from facehash.learning.training import train  # Keras must not be imported any earlier

    build = functools.partial(methods.build, settings)
    outcome = train(settings, faces, directory, build, overwrite)
    print(
        f"trained {outcome.epochs} epochs, kept epoch {outcome.best_epoch} "
        f"(lowest {settings.training.monitor})\n"
        f"score it with: python evaluate.py {directory.path}"
    )
    return DONE


if __name__ == "__main__":
    run(app, "train.py")
