import json

import pytest

from experiments.run.score import SCHEMA
from experiments.table.reports import READABLE, ResultError, read_result, write_result

CONTENT = {"schema": 1, "metrics": {"mAP": 0.1 + 0.2, "P@r2": 1.0}, "seeds": [0, 1], "who": "Zoë"}


@pytest.fixture
def result(tmp_path):
    path = tmp_path / "results" / "report.json"
    write_result(path, CONTENT)
    return path


def test_a_result_has_a_line_for_each_key_and_may_have_the_checksum_of_0_1_0(result):
    text = result.read_text(encoding="utf-8")
    assert read_result(result) == json.loads(text) == CONTENT
    assert list(read_result(result)) == list(CONTENT)
    assert len(text.splitlines()) == len(CONTENT) + 2
    assert "Zoë" in text
    result.write_text(json.dumps({**CONTENT, "checksum": "0" * 64}, indent=4))
    assert read_result(result) == CONTENT


@pytest.mark.parametrize("schema", [1, 2])
def test_reports_of_both_schemas_are_read(result, schema):
    write_result(result, CONTENT | {"schema": schema})
    assert read_result(result) == CONTENT | {"schema": schema}


def test_this_version_reads_the_reports_that_it_writes():
    assert SCHEMA in READABLE


@pytest.mark.parametrize(
    "content, message",
    [
        (b"{", "not a readable result file"),
        (b"\xff\xfe\x00", "not a readable result file"),
        (b"[" * 100_000, "not a readable result file"),
        (b'{"schema": 3}', "results of schema 3, this version reads 1 and 2"),
        (None, "not a readable result file"),
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path, content, message):
    path = tmp_path / "odd.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResultError, match=message) as caught:
        read_result(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_that_is_no_number_leaves_the_old_file(result):
    before = result.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(result, CONTENT | {"metrics": {"mAP": float("nan")}})
    assert result.read_bytes() == before
    assert [path.name for path in result.parent.iterdir()] == ["report.json"]
