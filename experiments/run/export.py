"""Export a trained model for other software: ``python -m experiments.export RUN --to onnx``."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import typer
from numpy.typing import NDArray

from data.loading import find_source, load
from experiments.run.encode import load_run_data
from experiments.run.exported import (
    DECIDED,
    FORMATS,
    TOLERANCE,
    Comparison,
    ExportError,
    Format,
    compare,
)
from facehash import methods
from facehash.command_line import DONE, make_app, run
from facehash.config import load_config
from facehash.dataset import FaceDataset
from facehash.errors import InputError
from facehash.learning.backend import native_stderr_held_back, start_backend

if TYPE_CHECKING:
    from facehash.learning.hash_model import HashModel

log = logging.getLogger(__name__)
app = make_app("Export a trained model for other software.")

To = StrEnum("To", list(FORMATS))  # the choices in --help
_SAVED_MODEL = "saved_model.pb"
_ENTRIES = {_SAVED_MODEL, "variables", "assets", "fingerprint.pb", "assets.extra"}
_SEED = 20171


@app.command()
def export(
    model: Path = typer.Argument(metavar="RUN_DIR | FILE.keras", help="A finished run or a file."),
    to: To = typer.Option(help="Format to write."),  # type: ignore[valid-type]
    output: Path | None = typer.Option(
        None, help="File or folder to write. Default: in export/ of the run, or beside the file."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an earlier export."),
    config: Path | None = typer.Option(None, help="YAML file with the data set of a FILE.keras."),
    data: Path | None = typer.Option(None, help="Data set; default: FACEHASH_DATA or the YAML."),
    images: int = typer.Option(256, min=2, help="Training images on which to verify the export."),
) -> int:
    """Write a model as SavedModel, ONNX, TensorFlow Lite or linear hash, and verify it.

    The export runs on a sample of the training images, or, where these are not available, on drawn
    images. Nothing is written unless its outputs and codes are those of the model. A linear hash
    is a linear head of vectors for facehash.hashing.LinearHash, which needs no Keras.

    Example: python -m experiments.export runs/quickstart-48-s0 --to onnx
    """
    name, kind = to.value, FORMATS[to.value]
    kind.check_packages(name)
    if model.is_dir() and config is not None:
        raise InputError(f"{model}: a run directory has its own configuration; omit --config")
    if not model.is_dir() and config is None and data is not None:
        raise InputError(f"{model}: --data needs --config YAML, which says how to read it")
    target = output or default_output(model, name)
    _check_target(target, name, overwrite)
    file, _, method = methods.find_model(model)
    # A model gives the same outputs on every backend; all three formats are written by TensorFlow.
    start_backend("tensorflow")
    network = _in_float32(methods.load(file, method), file)
    faces = _faces(network, model, config, data)
    sample, described = _sample(network, faces, images)
    if kind.fitted and faces:
        # Training has them all in memory, too.
        vectors = faces.read(faces.train)
        kind = replace(kind, write=functools.partial(kind.write, vectors=vectors))
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=_made(target.parent)) as folder:
        written = Path(folder, target.name)
        try:
            result = write_and_compare(network, kind, written, sample)
        except ExportError as error:
            raise ExportError(f"{model}: no {name} written: {error}") from error
        files = [path for path in [written, *written.rglob("*")] if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        _replace(target, written, Path(folder, "old"))
    print(
        f"wrote {target}, {size / 1e6:.1f} MB\n"
        f"verified on {described}: outputs differ by at most {result.difference:.1e} (allowed: "
        f"{TOLERANCE:.0e}); {result.bits:,} bits compared, all equal; {result.undecided:,} not "
        f"compared (within {DECIDED:.0e} of 0)"
    )
    return DONE


def write_and_compare(
    model: HashModel, kind: Format, path: Path, images: NDArray[Any]
) -> Comparison:
    """Write an export, load it, and compare its outputs with the model's.

    Args:
        model: A trained model on the backend TensorFlow.
        kind: One of `FORMATS`.
        path: File or folder to write.
        images: uint8 (n, side, side, 3), or vectors float32 (n, d), two or more.

    Raises:
        ExportError: The format cannot express the model, or the outputs differ.
    """
    if kind.expected:
        expected = kind.expected(model, images)
    else:
        expected = model.predict(images, verbose=0)
    pixels = images.astype(np.float32)
    problem: Exception | None = None
    # The converters print dozens of lines about their work.
    with native_stderr_held_back():
        try:
            kind.write(model, path)
            runner = kind.load(path)
            # One image, then the others: the size of a batch must be free.
            parts = [runner(pixels[:1]), runner(pixels[1:])]
        except Exception as error:
            problem = error
    if problem is not None:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise ExportError(f"cannot be converted: {reason}") from problem
    return compare(
        expected, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    )


def default_output(model: Path, name: str) -> Path:
    """Return where an export goes by default.

    Example:
        >>> print(default_output(Path("ddh.keras"), "tflite"))
        ddh.tflite
    """
    suffix = FORMATS[name].suffix
    if model.is_dir():
        return model / "export" / (f"model{suffix}" if suffix else name)
    return model.with_name(f"{model.stem}{suffix}" if suffix else f"{model.stem}-{name}")


def _check_target(target: Path, name: str, overwrite: bool) -> None:
    """Refuse to replace anything, except with --overwrite an earlier export."""
    if not target.exists():
        return
    folder = FORMATS[name].suffix == ""
    if folder != target.is_dir():
        kinds = ("file", "folder") if folder else ("folder", "file")
        raise InputError(f"{target}: is a {kinds[0]}; --to {name} writes a {kinds[1]}")
    if not overwrite:
        raise InputError(f"{target}: exists; --overwrite replaces it")
    entries = {entry.name for entry in target.iterdir()} if folder else {_SAVED_MODEL}
    if _SAVED_MODEL not in entries or entries - _ENTRIES:
        raise InputError(f"{target}: not an earlier SavedModel; choose another --output")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _replace(target: Path, written: Path, old: Path) -> None:
    """Move an export to its place; an earlier one goes to `old`, which is deleted later."""
    if target.is_dir():
        target.rename(old)
    os.replace(written, target)


def _in_float32(model: HashModel, path: Path) -> HashModel:
    """Return a model that computes in float32, with the same weights."""
    policy = model.dtype_policy.name
    if policy == "float32":
        return model
    log.warning(
        "%s computes in %s; the export computes in float32, so that bits close to 0 can differ "
        "from the codes of the run",
        *(path, policy),
    )
    copy = type(model).from_config({**model.get_config(), "dtype": "float32"})
    copy.set_weights(model.get_weights())
    return copy


def _sample(model: HashModel, faces: FaceDataset | None, count: int) -> tuple[NDArray[Any], str]:
    """Return images or vectors for the comparison, and what they are."""
    rng = np.random.default_rng(_SEED)
    unit = _unit(model)
    if faces is None:
        return _draw(rng, count, model), f"{count} drawn {unit}"
    rows = np.sort(rng.choice(faces.train, min(count, len(faces.train)), replace=False))
    return faces.read(rows), f"{len(rows)} training {unit} of {faces.name}"


def _unit(model: HashModel) -> str:
    return "vectors" if model.input_kind == "vectors" else "images"


def _draw(rng: np.random.Generator, count: int, model: HashModel) -> NDArray[Any]:
    """Draw images or vectors with the mean of the training data."""
    if model.input_kind == "vectors":
        drawn = rng.normal(model.vector_mean, size=(count, *model.item_shape))
        return drawn.astype(np.float32)
    return draw_images(rng, count, model.side, model.pixel_mean, model.pixel_std)


def _faces(
    model: HashModel, path: Path, config: Path | None, data: Path | None
) -> FaceDataset | None:
    """Load the training data of a run, or the data set of a configuration, if there is one."""
    try:
        if path.is_dir():
            return load_run_data(path, data)[0]
        if config is None:
            return None
        wanted = load_config(config, methods.options_class).dataset
        source = find_source(wanted, data, config.parent)
        return load(wanted.model_copy(update={"side": model.side}), source)
    except InputError as error:
        if data is not None or config is not None:
            raise
        log.warning("%s; the export is verified on drawn %s instead", error, _unit(model))
        return None


def draw_images(
    rng: np.random.Generator, count: int, side: int, mean: float, std: float
) -> NDArray[np.uint8]:
    """Draw images whose pixels have a given mean and deviation, at coarse and fine scales.

    Args:
        rng: Source of randomness.
        count: Number of images.
        side: Height and width in pixels.
        mean: Mean of the pixels, 0 to 255.
        std: Standard deviation of the pixels, before they are clipped to 0 to 255.

    Returns:
        uint8 (count, side, side, 3).

    Example:
        >>> draw_images(np.random.default_rng(0), 10, 32, 120.0, 60.0).shape
        (10, 32, 32, 3)
    """
    drawn = np.zeros((count, side, side, 3))
    for cells in (2, 4, 8, 16):
        grid = rng.normal(size=(count, cells, cells, 3))
        repeat = -(-side // cells)
        drawn += grid.repeat(repeat, axis=1).repeat(repeat, axis=2)[:, :side, :side]
    drawn = (drawn - drawn.mean()) / drawn.std() * std + mean
    return np.clip(np.rint(drawn), 0, 255).astype(np.uint8)


def main() -> NoReturn:
    """Run the command line of this process."""
    run(app, "experiments.export")
