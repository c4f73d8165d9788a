"""Train a hashing network from a YAML file: ``python train.py CONFIG --data DIR``."""

if __name__ == "__main__":
    from facehash.learning.memory import restart

    restart()  # before the other imports, which take most of a second

from pathlib import Path

import typer

from data.loading import find_source
from experiments.run.train import train_network
from facehash import methods
from facehash.command_line import DONE, make_app, run
from facehash.config import load_config
from facehash.errors import InputError
from facehash.printing import quoted
from facehash.runs.directory import RunDirectory

app = make_app("Train a hashing network from a YAML file.")


@app.command()
def train(
    config: Path = typer.Argument(help="YAML file, such as configs/quickstart.yaml."),
    data: Path | None = typer.Option(None, help="Data set; default: FACEHASH_DATA or the YAML."),
    overrides: list[str] = typer.Option(
        [], "--set", metavar="a.b=value", help="Override a key of CONFIG. May be repeated."
    ),
    runs: Path = typer.Option(Path("runs"), help="Folder of the run directories."),
    name: str | None = typer.Option(None, help="Name of the run. Default: CONFIG stem-bits-sSEED."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a run of this name."),
    print_config: bool = typer.Option(
        False, "--print-config", help="Print the configuration with all defaults and exit."
    ),
) -> int:
    """Train a hashing network. The same command resumes an interrupted run.

    With more training.epochs, a finished run with a constant learning rate goes on.

    Example: python train.py configs/ddh/pubfig83.yaml --data DIR --set bits=24
    """
    settings = load_config(config, methods.options_class, overrides)
    if print_config:
        print(settings.to_yaml(), end="")
        return DONE
    if name is not None and (Path(name).name != name or name == ".."):
        raise InputError(f"--name {name!r}: must be the name of one folder, such as mine")
    source = find_source(settings.dataset, data, config.parent)
    directory = RunDirectory(runs / (name or f"{config.stem}-{settings.bits}-s{settings.seed}"))
    outcome = train_network(settings, source, directory, overwrite, config.parent)
    if outcome is None:
        print(f"already trained: {directory.path} (use --overwrite to train it again)")
        return DONE
    print(
        f"trained {outcome.epochs} epochs, kept epoch {outcome.best_epoch} "
        f"(lowest {settings.training.monitor})\n"
        f"score it with: python evaluate.py {quoted(directory.path)}"
    )
    return DONE


if __name__ == "__main__":
    run(app, "train.py")
