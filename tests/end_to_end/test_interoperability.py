"""docs/interoperability.md: every block runs, from top to bottom, as it stands there."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.orl import find_orl
from facehash.retrieval.codes_file import read_codes
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "interoperability.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def run(language, block, folder):
    """Run a block in a new process; return what it prints."""
    command = [sys.executable, "-c", block] if language == "python" else ["bash", "-ec", block]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{block}\n{done.stderr}"
    return done.stdout


@pytest.mark.full
def test_every_block_runs_and_every_format_gives_the_same_code(tmp_path):
    for name in ("train.py", "evaluate.py", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    with Image.open(find_orl() / "s3" / "2.pgm") as picture:
        picture.save(tmp_path / "face.png")
    printed = []
    for language, block in BLOCKS:
        assert language in ("", "python")
        if "pip install" in block:
            continue
        if "import torch" in block and importlib.util.find_spec("torch") is None:
            continue
        # A few epochs are enough to see that a command works.
        block = re.sub(
            r"(train\.py .*)", r"\1 --name quickstart-48-s0 --set training.epochs=15", block
        )
        block = block.replace("facehash encode", f"{sys.executable} -m facehash encode")
        printed.append(run(language, block, tmp_path))
    codes = re.findall(r"\b[0-9a-f]{12}\b", "\n".join(printed))
    assert len(codes) == 5 and len(set(codes)) == 1  # Keras, facehash encode, the three formats
    exports = [text for text in printed if "verified on" in text]
    assert "\n".join(exports).count("verified on 256 training images of orl") == 4
    assert (tmp_path / "serving" / "face" / "1" / "saved_model.pb").is_file()
    run_report = json.loads((tmp_path / "runs" / "quickstart-48-s0" / "report.json").read_text())
    mat_report = json.loads((tmp_path / "codes-report" / "report.json").read_text())
    assert mat_report["metrics"] == run_report["metrics"]


@pytest.fixture
def codes(tmp_path):
    """Write codes with many ties where the document expects those of the demo."""
    rng = np.random.default_rng(5)
    centers = rng.integers(0, 256, (6, 6), dtype=np.uint8)
    labels = {"gallery_labels": np.arange(60) % 6, "query_labels": np.arange(12) % 6}
    packed = {
        f"{role}_codes": centers[labels[f"{role}_labels"]]
        ^ (1 << rng.integers(0, 12, (count, 6))).astype(np.uint8)
        for role, count in {"gallery": 60, "query": 12}.items()
    }
    folder = tmp_path / "runs" / "quickstart-48-s0"
    folder.mkdir(parents=True)
    np.savez(folder / "codes.npz", bits=48, bit_order="little", **labels, **packed)
    return tmp_path


def test_the_codes_of_a_run_are_read_and_searched_elsewhere(codes, monkeypatch):
    monkeypatch.chdir(codes)
    blocks = [block for language, block in BLOCKS if "codes.npz" in block and language]
    assert len(blocks) == 4
    for block in blocks:
        if "import torch" not in block:
            exec(block, {})
    assert read_codes(codes / "codes.mat").bits == 48
