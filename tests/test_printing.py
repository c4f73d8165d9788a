import pytest

from facehash.printing import brief, printable


@pytest.mark.parametrize("text", ["Zoë 李.jpg", "1.00\u202fPM.png", "写真\u3000１.jpg", "a\u00a0b"])
def test_text_and_spaces_of_every_width_stay_as_they_are(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "character", ["\x1b", "\n", "\r", "\x9b", "\u202e", "\u2028", "\udcff", "\x00"]
)
def test_what_moves_a_cursor_or_turns_text_around_is_replaced(character):
    assert printable(f"a{character}b") == "a\ufffdb"


def test_lists_that_hold_themselves_are_told_briefly():
    endless = []
    endless.append(endless)
    assert len(brief(endless)) < 100 and len(brief("x" * 10_000)) < 300
