"""``facehash weights``: the pretrained weights on this machine."""

from pathlib import Path

import typer

from facehash.command_line import DONE, make_app
from facehash.commands.arguments import WeightsOption

app = make_app("List, fetch and add pretrained weights.")


@app.command("list")
def list_weights(weights_dir: WeightsOption = None) -> int:
    """List all known weights, and which of them are on this machine and intact.

    Example: facehash weights list
    """
    from facehash.weights.files import locate, verify
    from facehash.weights.table import WEIGHTS

    for weights in WEIGHTS.values():
        path = locate(weights, weights_dir)
        state = f"get it with: {weights.remedy}"
        if path is not None:
            try:
                verify(weights, path)
                state = f"here: {path}"
            except ValueError as error:
                state = f"DAMAGED: {error}"
        digest = f"SHA-256 {weights.sha256}" if weights.sha256 else f"MD5 {weights.md5}"
        print(f"{weights.name:9} {weights.size / 1e6:6.1f} MB  {weights.licence:11} {state}")
        print(f"{'':9} {digest}")
        if weights.url:
            print(f"{'':9} {weights.url}")
    return DONE


@app.command("fetch")
def fetch_weights(
    names: list[str] = typer.Argument(metavar="NAME", help="A name from facehash weights list."),
    weights_dir: WeightsOption = None,
) -> int:
    """Download weights and verify them.

    Example: facehash weights fetch yunet sface
    """
    from facehash.weights.files import entry, fetch

    for name in names:
        entry(name)  # report a mistyped name before the first download
    for name in names:
        print(fetch(name, weights_dir).path)
    return DONE


@app.command("add")
def add_weights(
    files: list[Path] = typer.Argument(metavar="FILE", help="Files obtained by other means."),
    weights_dir: WeightsOption = None,
) -> int:
    """Copy files of known weights, whatever their names, to the cache.

    Example: facehash weights add face_recognition_sface_2021dec.onnx
    """
    from facehash.weights.files import add

    for file in files:
        print(add(file, weights_dir).path)
    return DONE
