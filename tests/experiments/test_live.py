import io
import time

import pytest
from rich.console import Console

from experiments.table import live
from experiments.table.schedule import Progress
from tests.helpers.table_examples import TABLE, make_grid


@pytest.fixture
def progress(tmp_path):
    """Four of twenty cells done, one failed, one running since a minute and a second."""
    grid = make_grid(tmp_path)
    states = {cell.name: "waiting" for cell in grid.cells}
    for name in ("ddh-12-seen-s0", "ddh-24-seen-s0", "ddh-12-seen-s1", "ddh_lsh-12-seen-s0"):
        states[name] = "done"
    states["ddh-24-seen-s1"] = "failed"
    states["ddh-12-unseen-s0"] = "running"
    made = Progress(cells=grid.cells, states=states)
    made.reasons["ddh-24-seen-s1"] = "no memory [left] (see x.log)"
    made.started["ddh-12-unseen-s0"] = time.monotonic() - 61
    return made


def screen(width=100, terminal=False):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def drawn(progress, title="Faces"):
    console = screen()
    console.print(live.draw(title, progress))
    return console.file.getvalue()


def test_a_line_says_what_is_done_failed_running_and_left(progress):
    assert live.summary(progress) == (
        "4 of 20 done; 1 failed; running ddh-12-unseen-s0 (0:01:01); 15 left, time unknown"
    )
    progress.note_seconds(progress.cells[0], 100)
    assert "15 left, about 0:" in live.summary(progress)


def test_a_finished_table_has_nothing_left(progress):
    done = Progress(progress.cells, dict.fromkeys(progress.states, "done"))
    assert live.summary(done) == "20 of 20 done"


def test_the_table_has_a_sign_for_every_cell(progress):
    lines = [line.replace("│", " ").split() for line in drawn(progress).splitlines() if "│" in line]
    columns = {line[0]: line[1:] for line in lines}
    # columns: seen 12, seen 24, unseen 12, unseen 24, then the floats; two seeds each
    assert columns["ddh"] == ["##", "#x", ">.", ".."]
    assert columns["ddh_lsh"] == ["#.", "..", "..", ".."]
    assert columns["ddh_cosine"] == ["..", ".."]
    signs = "".join("".join(found) for found in columns.values())
    assert len(signs) == len(progress.cells)


def test_the_table_explains_its_signs_and_says_the_whole_below(progress):
    text = drawn(progress)
    assert "# done  > running  . waiting  x failed" in text
    assert "4 of 20 done; 1 failed" in text


@pytest.mark.parametrize("title", ["Faces [/bold]", "[red]Faces", "Faces [/]"])
def test_brackets_in_a_title_are_no_markup(progress, title):
    assert title in drawn(progress, title)


def test_away_from_a_terminal_there_is_a_line_for_each_change(progress):
    console = screen()
    with live.shown("Faces", console) as observe:
        observe(progress)
        observe(progress)
        progress.states["ddh-12-unseen-s0"] = "done"
        del progress.started["ddh-12-unseen-s0"]
        progress.states["ddh-24-unseen-s0"] = "running"
        progress.started["ddh-24-unseen-s0"] = time.monotonic()
        observe(progress)
    lines = console.file.getvalue().splitlines()
    # what ended before is no news; what runs at the first look is
    assert [line.partition(" [")[0] for line in lines] == [
        "ddh-12-unseen-s0 running",
        "ddh-24-seen-s1 failed: no memory",
        "ddh-12-unseen-s0 done",
        "ddh-24-unseen-s0 running",
    ]
    assert "no memory [left] (see x.log) [4 of 20 done" in lines[1]
    assert "5 of 20 done" in lines[2]


def test_a_line_is_never_wrapped(progress):
    console = screen(width=20)
    with live.shown("Faces", console) as observe:
        observe(progress)
    assert len(console.file.getvalue().splitlines()) == 2


def test_on_a_terminal_the_table_is_drawn_and_gone_at_the_end(progress):
    console = screen(terminal=True)
    with live.shown(TABLE["title"], console) as observe:
        observe(progress)
    text = console.file.getvalue()
    assert "4 of 20 done" in text
    assert text.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))
