"""The keys of `bench.json`, and those that scripts written for 0.1.0 read."""

import json
import zipfile

import pytest

from facehash.bench.run import Plan, bench
from facehash.bench.schema import upgrade, with_schema_1_keys
from facehash.library.storage.store import Store
from tests.conftest import ROOT
from tests.library import fakes

MADE_BY_0_1_0 = ROOT / "tests" / "fixtures" / "library-0.1.0"
TIMES = {"p50_ms", "p99_ms", "build_seconds"}


def check_old_keys(old, new, learned=False):
    """Check that a new result has every key of an old one, with equal values but for times.

    ITQ learns its rotation, which depends on how a processor rounds: its scores may differ.
    """
    if isinstance(old, dict):
        learned = learned or old.get("hasher") == "itq"
        for key in old.keys() - TIMES - {"schema", "environment"}:
            check_old_keys(old[key], new[key], learned)
    elif isinstance(old, list):
        for one, other in zip(old, new, strict=True):
            check_old_keys(one, other, learned)
    elif isinstance(old, float):
        assert isinstance(new, float) and (learned or new == pytest.approx(old, abs=1e-6))
    else:
        assert new == old


def test_the_keys_of_0_1_0_are_kept_with_equal_values(tmp_path):
    old = json.loads((MADE_BY_0_1_0 / "bench.json").read_text("utf-8"))
    zipfile.ZipFile(MADE_BY_0_1_0 / "library.zip").extractall(tmp_path)
    plan = Plan(bits=(8,), rerank=3, near_duplicate=2, queries=100)
    with Store.open(tmp_path / "library") as store:
        new = bench(store, plan, fakes.make_pipeline, progress=False)
    assert (old["schema"], new["schema"]) == (1, 2)
    check_old_keys(old, new)
    assert len(new["ways"]) == len(old["ways"]) == 5 == len(new["methods"]) - 2


def test_a_result_of_0_1_0_is_read_with_the_keys_of_today():
    old = json.loads((MADE_BY_0_1_0 / "bench.json").read_text("utf-8"))
    new = upgrade(old)
    assert new["methods"][2]["name"] == "itq, top 3 re-ranked" and "ways" not in new
    assert new["methods"][1]["distance"] == "hamming" and new["methods"][1]["held_out"] is None
    check_old_keys(old, with_schema_1_keys(new))
    assert upgrade(new) == new
