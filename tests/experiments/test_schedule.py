"""Cells side by side, with tiny processes in place of trainings."""

import os
import sys
import time

import pytest

from experiments.table import schedule as scheduler
from experiments.table.schedule import Progress, run_cells, thread_share
from facehash.errors import Interrupted
from tests.helpers.table_examples import TABLE, make_grid

FAST = "pass"
FAIL = "import sys; print('first words'); print('last words', file=sys.stderr); sys.exit(3)"


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(scheduler, "_POLL", 0.01)


@pytest.fixture
def make_progress(tmp_path):
    """Lay out a table of which nothing is done."""

    def make(jobs=1, **changes):
        grid = make_grid(tmp_path, **({"protocols": ["seen"], "seeds": [0]} | changes))
        return Progress(grid.cells, {cell.name: "waiting" for cell in grid.cells}, jobs=jobs)

    return make


class Run:
    """Runs cells as small Python programs, and keeps what was seen at every turn."""

    def __init__(self, progress, folder, programs, otherwise=FAST):
        self.progress, self.folder = progress, folder
        self.programs, self.otherwise = programs, otherwise
        self.started, self.together = [], []

    def command(self, cell):
        self.started.append(cell.name)
        return [sys.executable, "-S", "-c", self.programs.get(cell.name, self.otherwise)]

    def observe(self, progress):
        running = {name for name, state in progress.states.items() if state == "running"}
        self.together.append(running)

    def __call__(self):
        run_cells(self.progress, self.command, self.folder / "logs", self.observe)
        return self


def most_at_once(run):
    return max(map(len, run.together))


def wait_for(path):
    """A program that waits until a file is there, at most ten seconds, else fails."""
    return (
        "import os, sys, time\n"
        "for _ in range(1000):\n"
        f"    if os.path.exists({str(path)!r}): sys.exit(0)\n"
        "    time.sleep(0.01)\n"
        "sys.exit('nobody came')"
    )


def test_every_cell_is_run_once_and_a_baseline_after_its_network(make_progress, tmp_path):
    rows = [TABLE["rows"][1], TABLE["rows"][0], TABLE["rows"][2]]  # a baseline stands first
    run = Run(make_progress(rows=rows), tmp_path, {})()
    assert set(run.progress.states.values()) == {"done"}
    assert sorted(run.started) == sorted(cell.name for cell in run.progress.cells)
    network = run.started.index("ddh-24-seen-s0")
    for name in ("ddh_lsh-12-seen-s0", "ddh_lsh-24-seen-s0", "ddh_cosine-float-seen-s0"):
        assert run.started.index(name) > network
    assert most_at_once(run) == 1
    assert not run.progress.started
    assert run.progress.seconds_left() == 0


def test_a_failing_cell_does_not_stop_the_others_and_is_told_with_its_last_words(
    make_progress, tmp_path
):
    progress = make_progress()
    Run(progress, tmp_path, {"ddh-12-seen-s0": FAIL})()
    failed = {name for name, state in progress.states.items() if state == "failed"}
    assert failed == {"ddh-12-seen-s0"}
    log = tmp_path / "logs" / "ddh-12-seen-s0.log"
    assert progress.reasons == {"ddh-12-seen-s0": f"last words (see {log})"}
    assert log.read_text().split() == ["first", "words", "last", "words"]
    assert progress.count("done") == len(progress.cells) - 1


def test_a_network_that_fails_takes_its_baselines_with_it_and_only_those(make_progress, tmp_path):
    progress = make_progress(seeds=[0, 1])
    run = Run(progress, tmp_path, {"ddh-24-seen-s0": FAIL})()
    failed = {name for name, state in progress.states.items() if state == "failed"}
    dependent = {"ddh_lsh-12-seen-s0", "ddh_lsh-24-seen-s0", "ddh_cosine-float-seen-s0"}
    assert failed == {"ddh-24-seen-s0"} | dependent
    for name in dependent:
        assert progress.reasons[name] == "its network ddh-24-seen-s0 failed"
        assert name not in run.started
    assert progress.states["ddh_lsh-24-seen-s1"] == "done"


def test_cells_are_run_side_by_side_but_no_more_than_asked(make_progress, tmp_path):
    # The first ends only when the second is there, and the other way round.
    progress = make_progress(jobs=2, rows=TABLE["rows"][:1], bits=[8, 16, 24])
    one, two = tmp_path / "one", tmp_path / "two"
    meet = "open({!r}, 'w').close()\n{}"
    programs = {
        "ddh-8-seen-s0": meet.format(str(one), wait_for(two)),
        "ddh-16-seen-s0": meet.format(str(two), wait_for(one)),
    }
    run = Run(progress, tmp_path, programs)()
    assert set(progress.states.values()) == {"done"}
    assert most_at_once(run) == 2


def test_baselines_of_one_network_are_not_run_at_the_same_time(make_progress, tmp_path):
    progress = make_progress(jobs=4)
    for name in ("ddh-12-seen-s0", "ddh-24-seen-s0"):
        progress.states[name] = "done"
    run = Run(progress, tmp_path, {}, otherwise="import time; time.sleep(0.1)")()
    assert set(progress.states.values()) == {"done"}
    assert most_at_once(run) == 1


def test_a_baseline_whose_network_is_not_asked_for_runs_all_the_same(make_progress, tmp_path):
    progress = make_progress()
    progress.cells = tuple(cell for cell in progress.cells if cell.row.id == "ddh_lsh")
    progress.states = {cell.name: "waiting" for cell in progress.cells}
    run = Run(progress, tmp_path, {})()
    assert run.started == ["ddh_lsh-12-seen-s0", "ddh_lsh-24-seen-s0"]
    assert set(progress.states.values()) == {"done"}


def test_cells_that_are_done_are_not_run_again(make_progress, tmp_path):
    progress = make_progress()
    progress.states = dict.fromkeys(progress.states, "done")
    progress.states["ddh_cosine-float-seen-s0"] = "waiting"
    assert Run(progress, tmp_path, {})().started == ["ddh_cosine-float-seen-s0"]


@pytest.mark.parametrize("told", [KeyboardInterrupt, RuntimeError])
def test_running_cells_are_told_to_stop_when_the_table_is_stopped(make_progress, tmp_path, told):
    marks = [tmp_path / name for name in ("ready", "stopped")]
    program = (
        "import time\n"
        "try:\n"
        f"    open({str(marks[0])!r}, 'w').close()\n"
        "    time.sleep(20)\n"
        f"except KeyboardInterrupt:\n    open({str(marks[1])!r}, 'w').close()"
    )
    run = Run(make_progress(), tmp_path, {"ddh-12-seen-s0": program})

    def stop(progress):
        if marks[0].exists():
            raise told("stop")

    run.observe = stop
    expected = Interrupted if told is KeyboardInterrupt else told
    with pytest.raises(expected) as caught:
        run()
    assert marks[1].exists()
    if told is KeyboardInterrupt:
        assert "interrupted with 0 of 5 cells done; the same command goes on" in str(caught.value)


def test_a_cell_that_does_not_stop_is_killed_in_the_end(make_progress, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "_GRACE", 0.2)
    ready = tmp_path / "pid"
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"with open({str(ready) + '.part'!r}, 'w') as file: file.write(str(os.getpid()))\n"
        f"os.replace({str(ready) + '.part'!r}, {str(ready)!r})\n"
        "time.sleep(20)"
    )
    run = Run(make_progress(), tmp_path, {"ddh-12-seen-s0": program})

    def stop(progress):
        if ready.exists():
            raise KeyboardInterrupt

    run.observe = stop
    with pytest.raises(Interrupted):
        run()
    with pytest.raises(ProcessLookupError):
        os.kill(int(ready.read_text()), 0)


def test_a_cell_sees_its_input_end_only_when_the_table_does(make_progress, tmp_path):
    # What --end-with-parent of run_cell listens to: a pipe, open while the parent lives.
    program = "import os, select, sys; sys.exit(len(select.select([0], [], [], 0.2)[0]))"
    progress = make_progress(rows=TABLE["rows"][:1], bits=[8])
    Run(progress, tmp_path, {}, otherwise=program)()
    assert set(progress.states.values()) == {"done"}


def test_a_killed_cell_is_said_to_be_killed_whatever_it_said_before(make_progress, tmp_path):
    program = "import os; print('epoch 3: fine', flush=True); os.kill(os.getpid(), {})"
    progress = make_progress(rows=TABLE["rows"][:1], bits=[8, 16, 24])
    programs = {
        "ddh-8-seen-s0": program.format(9),
        "ddh-16-seen-s0": program.format(15),
        "ddh-24-seen-s0": "import sys; sys.exit(70)",
    }
    Run(progress, tmp_path, programs)()
    reasons = [reason.partition(" (see ")[0] for reason in progress.reasons.values()]
    assert reasons == [
        "killed by SIGKILL, perhaps for want of memory",
        "killed by SIGTERM",
        "exit status 70",
    ]


def test_processors_are_divided_fairly(monkeypatch, make_progress, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert thread_share(1) == {}  # one cell may have them all, as it would by itself
    for jobs, share in ((2, "4"), (3, "2"), (8, "1"), (20, "1")):
        assert thread_share(jobs)["OMP_NUM_THREADS"] == share
        assert thread_share(jobs)["TF_NUM_INTRAOP_THREADS"] == share
    progress = make_progress(jobs=2, rows=TABLE["rows"][:1], bits=[8])
    program = "import os, sys; sys.exit(os.environ['NUMBA_NUM_THREADS'] != '4')"
    Run(progress, tmp_path, {}, otherwise=program)()
    assert progress.states == {"ddh-8-seen-s0": "done"}


def test_the_time_left_is_that_of_cells_of_the_same_row_and_protocol(make_progress):
    progress = make_progress(protocols=["seen", "unseen"], bits=[8, 16], rows=TABLE["rows"][:1])
    assert progress.seconds_left() is None
    seen_8, seen_16, unseen_8, unseen_16 = progress.cells
    progress.states[seen_8.name] = "done"
    progress.note_seconds(seen_8, 100)
    # one like it at 100; the two of the other protocol as the rest of their row
    assert progress.seconds_left() == pytest.approx(300)
    progress.states[unseen_8.name] = "done"
    progress.note_seconds(unseen_8, 40)
    assert progress.seconds_left() == pytest.approx(100 + 40)
    progress.states[seen_16.name] = "done"
    progress.note_seconds(seen_16, 60)
    progress.states[unseen_16.name] = "failed"
    assert progress.seconds_left() == 0


def test_what_a_running_cell_has_spent_is_no_longer_left(make_progress):
    progress = make_progress(rows=TABLE["rows"][:1], bits=[8, 16, 24])
    first, running, _ = progress.cells
    progress.states |= {first.name: "done", running.name: "running"}
    progress.note_seconds(first, 100)
    progress.started[running.name] = time.monotonic() - 30
    assert progress.seconds_left() == pytest.approx(70 + 100, abs=1)
    progress.started[running.name] = time.monotonic() - 500  # slower than thought
    assert progress.seconds_left() == pytest.approx(100, abs=1)


def test_jobs_share_the_time_left_but_a_single_cell_does_not_get_faster(make_progress):
    progress = make_progress(jobs=2, rows=TABLE["rows"][:1], bits=[8, 16, 24, 32, 40])
    progress.states[progress.cells[0].name] = "done"
    progress.note_seconds(progress.cells[0], 100)
    assert progress.seconds_left() == pytest.approx(200)  # four cells, two at a time
    for cell in progress.cells[1:4]:
        progress.states[cell.name] = "done"
    assert progress.seconds_left() == pytest.approx(100)


def test_a_baseline_is_not_expected_to_take_as_long_as_a_training(make_progress):
    progress = make_progress(bits=[8])
    network, lsh, _ = progress.cells
    progress.states[network.name] = "done"
    progress.note_seconds(network, 3600)
    assert progress.seconds_left() == 0
    progress.note_seconds(lsh, 20)  # and the cosine is taken to be like it
    assert progress.seconds_left() == pytest.approx(40)


def test_of_an_unknown_network_nothing_is_promised(make_progress):
    progress = make_progress(bits=[8])
    progress.note_seconds(progress.cells[1], 20)
    assert progress.seconds_left() is None
