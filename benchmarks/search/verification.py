"""Measure the distance threshold of an embedder, and its error rates.

    python -m benchmarks.verification --data DIR
    python -m benchmarks.verification --data DIR \
        --embedder keras:facenet_128.keras,size=160,normalization=per_image

DIR has one folder per person, as Labeled Faces in the Wild does. `facehash.calibration.measure`
explains what is measured.

Read the numbers with care: pairs are not independent, because each photo is in thousands of them;
several photos are from one occasion; and an embedder may have been trained on these people. The
result is written to benchmarks/results/verification.json. The threshold is copied from there by
hand, rounded, to facehash/calibration/thresholds.py; a test checks that they agree.
"""

import argparse
import json
import re
from pathlib import Path

from facehash.calibration.measure import embed_folder, measure
from facehash.files import write_json
from facehash.pipeline import FacePipeline, default_pipeline
from facehash.vectors import Space

RESULT = Path(__file__).parents[1] / "results" / "verification.json"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verification", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per person")
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--embedder", default="sface")
    parser.add_argument("--false-match-rate", type=float, default=1e-3)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    pipeline = FacePipeline.create(default_pipeline(given.detector, given.embedder))
    rows, labels, without_face = embed_folder(given.data, pipeline)
    space = Space(pipeline.embedder.metric, pipeline.embedder.dimension)
    result = {
        "detector": pipeline.detector.identity,
        "embedder": pipeline.embedder.identity,
        "metric": space.metric,
        "data": given.data.name,
        "photos_without_a_face": without_face,
        **measure(rows, labels, space, given.false_match_rate),
    }
    known = json.loads(given.output.read_text("utf-8")) if given.output.exists() else {}
    # Without the digest of the weights.
    name = re.sub("[:,]sha256=.*", "", pipeline.embedder.identity)
    write_json(given.output, known | {name: result})
    for key, value in result.items():
        print(f"{key:<38} {value}")
