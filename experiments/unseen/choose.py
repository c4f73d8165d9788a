"""Compare settings of codes on the development people: ``python -m experiments.unseen.choose``.

    python -m experiments.unseen.choose --vectors DIR

DIR has sface_train.npz. The development people are a fifth of its people, listed in
development_people.json; nothing is fitted to their labels. One photo of each of them is a query, in
five draws, and the others are the gallery, alone or with distractors up to 10,000 faces:

* ``many``: faces of people of the other four fifths, who are then not fitted to;
* ``few``: faces of the 73 of these people who have the most, 96 of each. Where there are fewer, the
  mean of the person plus the difference of a photo of another person from that person's mean. These
  73 people are not fitted to either. The distractors of the table of unseen people are such.

Every candidate is compared with ITQ fitted to the same faces, by the mAP over the same queries. The
standard error is that of a bootstrap over people.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from experiments.unseen.judge import compare_codes, relevant_groups
from experiments.unseen.protocol import (
    LabeledVectors,
    draws,
    leave_one_out,
    read_vectors,
    with_distractors,
)
from facehash.bench.queries import QuerySet
from facehash.command_line import DONE, make_app, run
from facehash.files import write_json
from facehash.hamming.labels import relevance
from facehash.hashing import (
    IterativeQuantization,
    LinearHash,
    NeighborhoodDistillation,
    WhitenedITQ,
)
from facehash.hashing.itq import principal_components, rotation
from facehash.hashing.ndh import distill
from facehash.hashing.witq import SHRINK, adapting_whitening, unit, within_whitening
from facehash.output import check_output, json_format, replace_output
from facehash.printing import progress
from facehash.retrieval import metrics
from facehash.retrieval.bootstrap import RESAMPLES, SEED, mean_samples

PEOPLE = Path(__file__).with_name("development_people.json")
RESULT = Path(__file__).parent.parent / "results" / "unseen_people_choices.json"
SIZE, DRAWS = 10_000, 5
FEW_PEOPLE, FACES_OF_EACH = 73, 96
OTHERS, ADAPTED = "itq, other people", "itq, gallery"

Matrix = NDArray[np.float64]
Fit = Callable[[LabeledVectors, Matrix, int, int], LinearHash]
Values = dict[str, NDArray[np.float64]]  # mAP of each person by distance, mean over draws

app = make_app("Compare settings of codes on the development people.")


class Scene(NamedTuple):
    """A gallery of development people, and the people that may be fitted to."""

    others: LabeledVectors
    draws: list[QuerySet]


class Candidate(NamedTuple):
    """Settings to compare: a function of other people, gallery, bits and seed."""

    name: str
    against: str
    fit: Fit


def scenes(faces: LabeledVectors, people: list[str]) -> Iterator[tuple[str, Scene]]:
    """Yield the galleries by name."""
    development = np.isin(faces.names, people)
    judged = leave_one_out(LabeledVectors(faces.rows[development], faces.names[development]))
    others = LabeledVectors(faces.rows[~development], faces.names[~development])
    yield "development people", Scene(others, draws(judged, DRAWS))
    names, person, count = np.unique(others.names, return_inverse=True, return_counts=True)
    missing = SIZE - len(draws(judged, 1)[0].faces)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(names))
    enough = order[: np.searchsorted(np.cumsum(count[order]), missing) + 1]
    chosen = np.isin(person, enough)
    distractors = LabeledVectors(others.rows[chosen], others.names[chosen])
    kept = LabeledVectors(others.rows[~chosen], others.names[~chosen])
    yield "many", Scene(kept, draws(with_distractors(judged, distractors, SIZE), DRAWS))
    most = np.argsort(-count, kind="stable")[:FEW_PEOPLE]
    chosen = np.isin(person, most)
    kept = LabeledVectors(others.rows[~chosen], others.names[~chosen])
    differences = _differences(kept)
    rows = []
    for one in most:
        own = others.rows[person == one]
        drawn = differences[rng.integers(0, len(differences), FACES_OF_EACH - len(own))]
        rows.append(np.concatenate([own, unit(own.mean(axis=0) + drawn).astype(np.float32)]))
    crowd = LabeledVectors(np.concatenate(rows), np.repeat(names[most], FACES_OF_EACH))
    yield "few", Scene(kept, draws(with_distractors(judged, crowd, SIZE), DRAWS))


def _differences(faces: LabeledVectors) -> Matrix:
    """Return photos minus the mean of their person, of people with three or more."""
    _, person, count = np.unique(faces.names, return_inverse=True, return_counts=True)
    means = np.zeros((len(count), faces.rows.shape[1]))
    np.add.at(means, person, faces.rows)
    size = count[person][:, None]
    # Of n photos, the mean takes 1/n of the variance.
    spread = (faces.rows - means[person] / size) * np.sqrt(size / np.maximum(size - 1, 1))
    return np.asarray(spread[count[person] >= 3])


def adapted(
    others: LabeledVectors,
    gallery: Matrix,
    bits: int,
    seed: int,
    *,
    exponent: float = 1.0,
    own_mean: bool = True,
    shrink: float = SHRINK,
    rotations: int = 1,
    steps: int = 0,
) -> LinearHash:
    """Fit `WhitenedITQ` adapted to a gallery, or a variant of it.

    Args:
        others: Other people, with labels.
        gallery: (n, d), to adapt to.
        bits: Length of a code.
        seed: Seed of the rotation, and of batches.
        exponent: Of the root of the share of differences that is due to people: 1 for
            `adapting_whitening`, 0 for whitening alone.
        own_mean: Whether the gallery's mean is subtracted, or that of the others.
        shrink: As for `WhitenedITQ`.
        rotations: The one with the smallest quantization error of so many is taken.
        steps: Number of batches of distillation.
    """
    rows = others.rows.astype(np.float64)
    mean = rows.mean(axis=0)
    units = unit(rows - mean)
    whitening = within_whitening(units, others.names, shrink)
    weighted = adapting_whitening(units, whitening)
    values, basis = np.linalg.eigh(np.linalg.solve(whitening, weighted))  # roots of the shares
    matrix = whitening @ (basis * values**exponent) @ basis.T
    center = gallery.mean(axis=0) if own_mean else mean
    whitened = unit(unit(gallery - center) @ matrix)
    components = principal_components(whitened, bits)
    projected = whitened @ components
    found = [rotation(projected, seed + 100 * number) for number in range(rotations)]
    best = max(found, key=lambda one: float(np.abs(projected @ one).sum()))
    weights = distill(whitened, components @ best, seed, steps)
    return LinearHash(center, matrix @ weights).with_scale(gallery)


def candidates() -> list[Candidate]:
    """Return the candidates; the first two are what the others are compared with."""

    def on_others(kind: Any, **options: Any) -> Fit:
        return lambda others, _, bits, seed: kind.fit(
            others.rows, bits, seed, labels=others.names, **options
        )

    def on_gallery(**options: Any) -> Fit:
        return lambda *arguments: adapted(*arguments, **options)

    def plain(others: LabeledVectors, _: Matrix, bits: int, seed: int) -> LinearHash:
        return IterativeQuantization.fit(others.rows, bits, seed)

    def fitted(_: LabeledVectors, gallery: Matrix, bits: int, seed: int) -> LinearHash:
        return IterativeQuantization.fit(gallery, bits, seed)

    def chosen(others: LabeledVectors, gallery: Matrix, bits: int, seed: int) -> LinearHash:
        return WhitenedITQ.fit(others.rows, bits, seed, labels=others.names, library=gallery)

    return [
        Candidate(OTHERS, OTHERS, plain),
        Candidate(ADAPTED, ADAPTED, fitted),
        Candidate("witq, other people (chosen)", OTHERS, on_others(WhitenedITQ)),
        Candidate("witq, adapted (chosen)", ADAPTED, chosen),
        Candidate("witq, other people, shrink 0.03", OTHERS, on_others(WhitenedITQ, shrink=0.03)),
        Candidate("witq, other people, shrink 0.3", OTHERS, on_others(WhitenedITQ, shrink=0.3)),
        Candidate("witq, adapted, whitening alone", ADAPTED, on_gallery(exponent=0.0)),
        Candidate("witq, adapted, share without root", ADAPTED, on_gallery(exponent=2.0)),
        Candidate("witq, adapted, mean of other people", ADAPTED, on_gallery(own_mean=False)),
        Candidate("witq, adapted, shrink 0.03", ADAPTED, on_gallery(shrink=0.03)),
        Candidate("witq, adapted, shrink 0.3", ADAPTED, on_gallery(shrink=0.3)),
        Candidate("witq, adapted, best of 4 rotations", ADAPTED, on_gallery(rotations=4)),
        Candidate("ndh, other people", OTHERS, on_others(NeighborhoodDistillation)),
        Candidate("ndh, adapted", ADAPTED, on_gallery(steps=500)),
    ]


def measure(candidate: Candidate, scene: Scene, bits: int) -> Values:
    """Return the mAP of each person by both distances, means over draws; draw d has seed d."""
    drawn: dict[str, list[NDArray[np.float64]]] = {"hamming": [], "asymmetric": []}
    for seed, queries in enumerate(scene.draws):
        gallery = queries.faces.all_rows.astype(np.float64)
        hasher = candidate.fit(scene.others, gallery, bits, seed)
        right = relevance(queries.faces.people, queries.people)
        for name, nearness in compare_codes(hasher, queries.faces.rows, queries.rows).items():
            groups = relevant_groups(nearness, right)
            drawn[name].append(metrics.average_precision(*groups).expected)
    return {name: np.mean(values, axis=0) for name, values in drawn.items()}


def compared(values: Values, reference: Values) -> dict[str, Any]:
    """Return the mAP by both distances, and its differences with standard errors."""
    entry: dict[str, Any] = {}
    for name, own in values.items():
        difference = own - reference[name]
        samples = mean_samples(difference[:, None], np.arange(len(own)), RESAMPLES, SEED)
        entry[name] = {
            "mAP": round(float(own.mean()), 4),
            "difference": round(float(difference.mean()), 4),
            "standard_error": round(float(samples.std()), 4),
        }
    return entry


def compare(gallery: str, scene: Scene, bits: int, known: Mapping[str, Any]) -> Iterator[Any]:
    """Yield an entry for each candidate on a gallery, those of `known` (by name) unchanged."""
    references: dict[str, Values] = {}
    for candidate in candidates():
        if candidate.name in known and candidate.name != candidate.against:
            yield known[candidate.name]
            continue
        values = measure(candidate, scene, bits)
        references.setdefault(candidate.name, values)
        reference = references[candidate.against]
        entry = {"gallery": gallery, "bits": bits, "name": candidate.name}
        yield entry | {"against": candidate.against} | compared(values, reference)


@app.command()
def main(
    vectors: Path = typer.Option(help="Folder of sface_train.npz."),
    bits: int = typer.Option(64, help="Length of a code."),
    output: Path = typer.Option(RESULT, help="JSON to write; what it has is not measured again."),
) -> int:
    """Measure all candidates, and write their scores after each.

    Example: python -m experiments.unseen.choose --vectors DIR
    """
    check_output(output, json_format("draws", "entries"), "--output")
    faces = read_vectors(vectors / "sface_train.npz")
    people = [str(one) for one in json.loads(PEOPLE.read_text("utf-8"))["people"]]
    entries = json.loads(output.read_text("utf-8"))["entries"] if output.is_file() else []
    stored = {(one["gallery"], one["bits"], one["name"]): one for one in entries}
    for gallery, scene in progress(list(scenes(faces, people)), desc="Comparing", unit="gallery"):
        known = {key[2]: one for key, one in stored.items() if key[:2] == (gallery, bits)}
        for entry in compare(gallery, scene, bits, known):
            stored[gallery, bits, entry["name"]] = entry
            found = {"draws": DRAWS, "people": len(people), "entries": list(stored.values())}
            with replace_output(output) as temporary:
                write_json(temporary, found)
    return DONE


if __name__ == "__main__":
    run(app, "python -m experiments.unseen.choose")
