import time

import pytest

from facehash import printing
from facehash.printing import listen_to_progress, printable, progress


def test_text_and_spaces_of_every_width_stay_as_they_are():
    text = "Zoë 李.jpg 1.00\u202fPM 写真\u3000１.jpg"
    assert printable(text) == text


@pytest.mark.parametrize("character", ["\x1b", "\n", "\x9b", "\u202e", "\u2028", "\udcff"])
def test_what_moves_a_cursor_or_turns_text_around_is_replaced(character):
    assert printable(f"a{character}b") == "a\ufffdb"


def test_a_bar_in_a_log_is_a_line_every_so_often(capsys, monkeypatch):
    monkeypatch.setattr(printing, "_SECONDS_BETWEEN_LINES", 0.05)
    for _ in progress(range(30), desc="working", unit=" steps"):
        time.sleep(0.01)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 9 and all(line.startswith("working: ") for line in lines)
    assert "30/30" in lines[-1]


def test_a_bar_without_stderr_is_hidden(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert list(progress([1, 2])) == [1, 2]


@pytest.mark.parametrize("shown", [True, False])
def test_listeners_hear_of_every_step(shown):
    heard = []
    with listen_to_progress(lambda *step: heard.append(step)):
        for _ in progress("ab", desc="reading", shown=shown):
            pass
        with progress(total=3, desc="writing", shown=shown) as bar:
            bar.update(2)
    assert heard[-2:] == [("writing", 0, 3), ("writing", 2, 3)]
    assert heard[:3] == [("reading", done, 2) for done in range(3)]
    for _ in progress("ab"):
        pass
    assert heard[-1] == ("writing", 2, 3)
