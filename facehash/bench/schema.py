"""The keys of ``bench.json``: schema 2, and those of schema 1, which go in 0.3.0."""

from collections.abc import Mapping
from typing import Any

SCHEMA = 2

# Key of schema 2 -> key of schema 1, where they differ.
_METHOD = {
    "name": "method",
    "is_embedder": "of_embedder",
    "rerank": "shortlist",
    "bytes_per_face": "bytes_a_face",
    "knn_accuracy": "neighbours",
}
_PARTS = {
    "queries": {"max_P@5": "most_P@5", "majority_accuracy": "share_of_the_commonest_person"},
    "excluded": {
        "same_photo_pairs": "pairs_on_one_photo",
        "cross_person_pairs": "as_near_pairs_of_two_people",
        "queries_without_match": "queries_without_a_match",
    },
    "plan": {"rerank": "shortlist"},
}
_TOP = {"excluded": "left_out", "methods": "ways"}


def with_schema_1_keys(result: Mapping[str, Any]) -> dict[str, Any]:
    """Add the keys of schema 1, with the values that 0.1.0 wrote."""
    both = dict(result)
    for part, names in _PARTS.items():
        old = _renamed(result[part], names)
        if part in _TOP:
            both[_TOP[part]] = old
        else:
            both[part] = {**result[part], **old}
    # 0.1.0 knew no asymmetric distance.
    known = [one for one in result["methods"] if one.get("distance") != "asymmetric"]
    both["ways"] = [_renamed(method, _METHOD) for method in known]
    for method in both["ways"]:
        if method["shortlist"]:
            method["method"] = f"{method['hasher']}, {method['shortlist']} put in order by vectors"
    return both


def upgrade(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of any schema with the keys of schema 2."""
    if result["schema"] >= SCHEMA:
        return dict(result)
    new = _renamed(result, _inverse(_TOP)) | {"schema": SCHEMA}
    for part, names in _PARTS.items():
        new[part] = _renamed(new[part], _inverse(names))
    new["methods"] = [_renamed(method, _inverse(_METHOD)) for method in new["methods"]]
    for method in new["methods"]:
        method.setdefault("distance", None if method["bits"] is None else "hamming")
        method.setdefault("held_out", None)
        if method["rerank"]:
            method["name"] = f"{method['hasher']}, top {method['rerank']} re-ranked"
    return new


def _renamed(part: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in part.items()}


def _inverse(names: Mapping[str, str]) -> dict[str, str]:
    return {old: new for new, old in names.items()}
