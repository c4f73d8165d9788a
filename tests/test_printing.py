import time

import pytest

from facehash import printing
from facehash.printing import brief, printable, progress, quoted


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


def test_a_path_is_one_word_of_a_command():
    assert quoted("my photos/a") == "'my photos/a'" and quoted("lib") == "lib"
    assert quoted("a\x1b[2J b") == "'a\N{REPLACEMENT CHARACTER}[2J b'"


def test_a_bar_in_a_log_is_a_line_every_so_often(capsys, monkeypatch):
    monkeypatch.setattr(printing, "_SECONDS_BETWEEN_LINES", 0.05)
    for _ in progress(range(30), desc="working", unit=" steps"):
        time.sleep(0.01)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 9 and all(line.startswith("working: ") for line in lines)
    assert "30/30" in lines[-1]


def test_short_or_hidden_work_prints_nothing(capsys):
    assert list(progress(range(3))) == list(progress([0, 1, 2], shown=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
