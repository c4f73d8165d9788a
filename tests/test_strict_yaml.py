import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehash.strict_yaml import YamlError, parse_yaml


@pytest.mark.parametrize(
    "text, value",
    [("1e-4", 1e-4), ("-1E5", -1e5), ("1.5e3", 1500.0), (".5e-1", 0.05), ("+2e0", 2.0)],
)
def test_numbers_in_scientific_notation_need_no_dot(text, value):
    parsed = parse_yaml(text, "test")
    assert isinstance(parsed, float)
    assert parsed == value


@pytest.mark.parametrize("text", ["e4", "1e", "1e-4x", "'1e-4'", "ae-4"])
def test_what_is_no_number_stays_a_text(text):
    assert parse_yaml(text, "test") == text.strip("'")


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {b: 1, b: 1}"])
def test_a_key_given_twice_is_refused_with_its_line(text):
    with pytest.raises(YamlError, match=r"test, line \d: .* is given twice"):
        parse_yaml(text, "test")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "{a: [1, 2",
        "1: a",
        "[a]: b",
        "x: *nowhere",
        "a: 1\n---\nb: 2",
        "\x00",
        "x: 2001-99-99",
        "[" * 5000,
    ],
)
def test_anything_but_one_document_of_plain_values_is_refused_in_one_line(text):
    with pytest.raises(YamlError, match="test.*: not valid YAML") as caught:
        parse_yaml(text, "test")
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_does_not_grow():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    tree = parse_yaml("\n".join(lines), "test")  # 10^30 leaves, were they not shared
    assert tree["a29"][0] is tree["a28"]


@given(st.text())
def test_any_text_is_parsed_or_refused_but_never_crashes(text):
    try:
        parse_yaml(text, "test")
    except YamlError as error:
        assert str(error).startswith("test")
