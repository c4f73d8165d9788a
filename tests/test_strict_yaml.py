import pytest

from facehash.config import load_config
from facehash.errors import InputError
from facehash.methods import options_class
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
def test_what_is_not_a_number_stays_a_string(text):
    assert parse_yaml(text, "test") == text.strip("'")


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {b: 1, b: 1}"])
def test_a_key_given_twice_is_refused_with_its_line(text):
    with pytest.raises(YamlError, match=r"test, line \d: .* is given twice"):
        parse_yaml(text, "test")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "{a: [1, 2",
        "1: a",
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


# 10^30 leaves, were they not shared.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)
)


def test_an_alias_bomb_does_not_grow():
    tree = parse_yaml(BOMB, "test")
    assert tree["a29"][0] is tree["a28"]


@pytest.mark.parametrize("end", ["? *a29\n: x", "method: *a29", "method: ddh\nbits: *a29"])
def test_an_alias_bomb_does_not_grow_in_an_error_either(tmp_path, end):
    path = tmp_path / "run.yaml"
    path.write_text(f"{BOMB}{end}\n")
    with pytest.raises(InputError) as caught:
        load_config(path, options_class)
    assert len(str(caught.value)) < 5000
