import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.table.reports import ResultError, checksum, read_sealed, write_sealed

CONTENT = {"schema": 1, "metrics": {"mAP": 0.1 + 0.2, "P@r2": 1.0}, "seeds": [0, 1], "who": "Zoë"}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aé☺"\\\n '),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "results" / "report.json"
    write_sealed(path, CONTENT)
    return path


def test_what_is_written_is_read_to_the_last_digit(sealed):
    assert read_sealed(sealed) == CONTENT
    assert list(read_sealed(sealed)) == list(CONTENT)


@given(st.dictionaries(st.text("abc"), VALUES, max_size=4))
@settings(deadline=None, max_examples=50)
def test_any_plain_values_come_back(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("sealed") / "report.json"
    write_sealed(path, {**content, "schema": 1})
    assert read_sealed(path) == {**content, "schema": 1}


def test_the_file_is_json_with_a_line_for_each_key(sealed):
    text = sealed.read_text(encoding="utf-8")
    assert json.loads(text) == CONTENT | {"checksum": checksum(CONTENT)}
    assert len(text.splitlines()) == len(CONTENT) + 1 + 2
    assert "Zoë" in text


def test_layout_and_order_of_keys_do_not_matter(sealed):
    content = json.loads(sealed.read_text())
    sealed.write_text(json.dumps(dict(reversed(content.items())), indent=4))
    assert read_sealed(sealed) == CONTENT


def test_the_same_content_gives_the_same_file(sealed, tmp_path):
    write_sealed(tmp_path / "again.json", CONTENT)
    assert (tmp_path / "again.json").read_bytes() == sealed.read_bytes()


@pytest.mark.parametrize(
    "old, new",
    [
        ("0.30000000000000004", "0.3"),
        ("1.0", "1"),
        ("[0,1]", "[1,0]"),
        ("[0,1]", "[0]"),
        ('"seeds"', '"seed"'),
        ("Zoë", "Zoe"),
        ("1.0", "NaN"),
        ("1.0", "1e999"),
        ("Zoë", r"\ud800"),
        ('"checksum": "', '"checksum": "0'),
    ],
)
def test_any_change_by_hand_is_noticed(sealed, old, new):
    text = sealed.read_text(encoding="utf-8")
    assert old in text
    sealed.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ResultError, match="report.json: changed since it was written") as caught:
        read_sealed(sealed)
    assert "delete it to have it made again" in str(caught.value)


def test_a_file_without_a_checksum_is_not_believed(sealed):
    sealed.write_text(json.dumps(CONTENT))
    with pytest.raises(ResultError, match="checksum does not fit"):
        read_sealed(sealed)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not a readable result file"),
        ("", "not a readable result file"),
        ("[" * 100_000, "not a readable result file"),
        ("[1]", "results of schema 'list', this version reads 1"),
        ("{}", "results of schema None, this version reads 1"),
        ('{"schema": 2}', "results of schema 2, this version reads 1"),
    ],
)
def test_what_is_no_result_file_is_named(sealed, text, message):
    sealed.write_text(text)
    with pytest.raises(ResultError, match=message) as caught:
        read_sealed(sealed)
    assert str(sealed) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_a_missing_file_are_named(sealed, tmp_path):
    sealed.write_bytes(b"\xff\xfe\x00")
    for path in (sealed, tmp_path / "none.json"):
        with pytest.raises(ResultError, match=f"{path.name}: not a readable result file"):
            read_sealed(path)


def test_a_value_that_is_no_number_leaves_the_old_file(sealed):
    before = sealed.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_sealed(sealed, CONTENT | {"metrics": {"mAP": float("nan")}})
    assert sealed.read_bytes() == before
    assert [path.name for path in sealed.parent.iterdir()] == ["report.json"]
