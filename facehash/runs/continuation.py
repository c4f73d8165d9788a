"""Going on with a run under a changed configuration: what may change, and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NO_EFFECT = frozenset(
    {
        "dataset.path",  # the data may be elsewhere on another machine
        "training.backup_seconds",
        "training.tensorboard",
        "training.checkpoint_every",
        "training.checkpoint_map",
    }
)
"""Keys that change no result, so that a run with another value is still the same run."""

_END = frozenset({"training.epochs", "training.patience"})


def why_another_run(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Explain why a run cannot go on under a changed configuration.

    More epochs, and a larger patience, continue a training exactly if its learning rate is
    constant: until then, it was the beginning of the longer training.

    Args:
        old: The configuration of the run, as ``{"section.key": value}``.
        new: The changed configuration.

    Returns:
        The keys that differ, with the reason if it is not evident; None if the run can go on.

    Example:
        >>> old = {"bits": 48, "training.epochs": 5, "training.schedule": "constant"}
        >>> why_another_run(old, old | {"training.epochs": 9}) is None
        True
        >>> why_another_run(old, old | {"bits": 24})
        'bits (was 48, now 24)'
    """
    differing = {
        key
        for key in old.keys() | new.keys()
        if old.get(key) != new.get(key) and key not in NO_EFFECT
    }
    words = ", ".join(
        f"{key} (was {old.get(key)!r}, now {new.get(key)!r})" for key in sorted(differing)
    )
    if not differing <= _END:
        return words
    if "training.epochs" in differing and new.get("training.schedule") == "cosine":
        return (
            f"{words}; with the cosine schedule the learning rate of every step depends on the "
            "number of epochs, so another number is another training (training.initial_weights "
            "can start it from the weights of this run)"
        )
    patience = [tree.get("training.patience") for tree in (old, new)]
    if "training.patience" in differing and not _larger(*patience):
        return f"{words}; a smaller patience might have stopped the training earlier"
    return None


def _larger(old: int | None, new: int | None) -> bool:
    """Whether a patience is larger than another; None is infinite."""
    return new is None or (old is not None and new > old)


def best_epoch(history: Sequence[Mapping[str, float]], monitor: str) -> int:
    """Return the epoch with the lowest value of a column, counted from 1; 0 without any epoch."""
    values = [row[monitor] for row in history]
    return 1 + values.index(min(values)) if values else 0


def is_exhausted(
    history: Sequence[Mapping[str, float]], monitor: str, patience: int | None
) -> bool:
    """Whether `patience` epochs have passed without improvement; None never stops."""
    return patience is not None and len(history) - best_epoch(history, monitor) >= patience
