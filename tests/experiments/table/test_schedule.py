"""Cells side by side, with tiny processes in place of trainings."""

import os
import re
import sys
import threading
import time

import pytest

from experiments.table import schedule
from experiments.table.schedule import run_cells, thread_share
from facehash.errors import Interrupted
from tests.helpers.table_examples import TABLE, make_grid

FAIL = "import sys; print('first words'); print('last words', file=sys.stderr); sys.exit(3)"
NETWORK = TABLE["rows"][:1]
BASELINES = ["ddh_lsh-12-seen-s0", "ddh_lsh-24-seen-s0", "ddh_cosine-float-seen-s0"]


@pytest.fixture
def run(tmp_path):
    """Run the cells of a table as small Python programs; returns the lines shown and failures."""

    def run_programs(programs=None, otherwise="pass", jobs=1, keep=lambda _: True, **changes):
        grid = make_grid(tmp_path, **({"protocols": ["seen"], "seeds": [0]} | changes))
        lines = []

        def command(cell):
            return [sys.executable, "-S", "-c", (programs or {}).get(cell.name, otherwise)]

        cells = [cell for cell in grid.cells if keep(cell)]
        return lines, run_cells(cells, command, tmp_path / "logs", jobs, lines.append)

    return run_programs


def started(lines):
    return [line.partition(":")[0] for line in lines if line.endswith(": running")]


def most_at_once(lines):
    """Count the cells that were running at the same time, from the lines shown."""
    running = [1 if line.endswith(": running") else -1 for line in lines]
    return max(sum(running[: end + 1]) for end in range(len(running)))


def wait_for(path):
    """A program that waits until a file exists, at most ten seconds, else fails."""
    return (
        "import os, sys, time\n"
        "for _ in range(1000):\n"
        f"    if os.path.exists({str(path)!r}): sys.exit(0)\n"
        "    time.sleep(0.01)\n"
        "sys.exit('nobody came')"
    )


def test_every_cell_runs_once_and_a_baseline_after_its_network(run):
    rows = [TABLE["rows"][1], TABLE["rows"][0], TABLE["rows"][2]]  # a baseline stands first
    lines, failed = run(rows=rows)
    assert failed == {}
    assert sorted(started(lines)) == sorted(["ddh-12-seen-s0", "ddh-24-seen-s0", *BASELINES])
    network = lines.index("ddh-24-seen-s0: running")
    assert all(lines.index(f"{name}: running") > network for name in BASELINES)
    assert most_at_once(lines) == 1
    assert re.fullmatch(r"\S+: done in 0:00:0\d \[5 of 5\]", lines[-1])


def test_a_failing_cell_does_not_stop_the_others_and_its_reason_is_kept(run, tmp_path):
    killed = "import os; print('epoch 3: fine', flush=True); os.kill(os.getpid(), {})"
    programs = [FAIL, killed.format(9), killed.format(15), "import sys; sys.exit(70)"]
    names = [f"ddh-{bits}-seen-s0" for bits in (8, 16, 24, 32)]
    lines, failed = run(dict(zip(names, programs, strict=True)), rows=NETWORK, bits=[8, 16, 24, 32])
    assert [reason.partition(" (see ")[0] for reason in failed.values()] == [
        *("last words", "killed by SIGKILL, perhaps out of memory"),
        *("killed by SIGTERM", "exit status 70"),
    ]
    log = tmp_path / "logs" / f"{names[0]}.log"
    assert f"{names[0]}: failed: last words (see {log}) [1 of 4]" in lines
    assert "first words" in log.read_text()
    assert started(lines) == names


def test_baselines_of_a_failed_network_fail_without_running(run):
    lines, failed = run({"ddh-24-seen-s0": FAIL}, seeds=[0, 1])
    assert failed.keys() == {"ddh-24-seen-s0", *BASELINES}
    for name in BASELINES:
        assert failed[name] == "its network ddh-24-seen-s0 failed"
        assert name not in started(lines)
    assert "ddh_lsh-24-seen-s1" in started(lines)


def test_cells_run_in_parallel_but_no_more_than_asked_for(run, tmp_path):
    # The first ends only when the second has started, and the other way round.
    one, two = tmp_path / "one", tmp_path / "two"
    meet = "open({!r}, 'w').close()\n{}"
    programs = {
        "ddh-8-seen-s0": meet.format(str(one), wait_for(two)),
        "ddh-16-seen-s0": meet.format(str(two), wait_for(one)),
    }
    lines, failed = run(programs, jobs=2, rows=NETWORK, bits=[8, 16, 24])
    assert failed == {}
    assert most_at_once(lines) == 2


def test_baselines_of_one_network_run_one_after_another(run):
    # Here their network was trained before, and is not run.
    lines, failed = run(otherwise="import time; time.sleep(0.1)", jobs=4, keep=lambda c: c.network)
    assert failed == {}
    assert started(lines) == BASELINES
    assert most_at_once(lines) == 1


@pytest.mark.parametrize(
    ("error", "handler"),
    [
        (KeyboardInterrupt, "signal.default_int_handler"),
        (RuntimeError, "signal.default_int_handler"),
        (KeyboardInterrupt, "signal.SIG_IGN"),
    ],
)
def test_running_cells_are_interrupted_with_the_table_and_killed_if_they_do_not_stop(
    run, tmp_path, monkeypatch, error, handler
):
    part, ready, stopped = (str(tmp_path / name) for name in ("part", "ready", "stopped"))
    program = (
        "import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"signal.signal(signal.SIGTERM, {handler})\n"
        f"open({part!r}, 'w').write(str(os.getpid()))\nos.replace({part!r}, {ready!r})\n"
        f"try: time.sleep(20)\nexcept KeyboardInterrupt: open({stopped!r}, 'w').close()"
    )

    def wait(futures):
        while not os.path.exists(ready):
            time.sleep(0.01)
        raise error("stop")

    monkeypatch.setattr(schedule, "as_completed", wait)
    monkeypatch.setattr(schedule, "_SECONDS_TO_STOP", 0.2 if "IGN" in handler else 30)
    with pytest.raises(Interrupted if error is KeyboardInterrupt else error) as caught:
        run(otherwise=program)
    if error is KeyboardInterrupt:
        assert "interrupted with 0 of 5 cells done; running trainings keep" in str(caught.value)
    assert os.path.exists(stopped) == ("IGN" not in handler)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "ready").read_text()), 0)
    assert not any(t.name.startswith("ThreadPool") for t in threading.enumerate())


def test_processors_are_divided_fairly_and_stdin_stays_open(run, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert thread_share(1) == {}  # a single cell may use them all
    for jobs, share in ((2, "4"), (3, "2"), (8, "1"), (20, "1")):
        assert thread_share(jobs)["OMP_NUM_THREADS"] == share
        assert thread_share(jobs)["TF_NUM_INTRAOP_THREADS"] == share
    program = "import os, sys; sys.exit(os.environ['NUMBA_NUM_THREADS'] != '4')"
    assert run(otherwise=program, jobs=2, rows=NETWORK, bits=[8])[1] == {}
    # What --end-with-parent of run_cell listens to: a pipe that is open while the parent lives.
    program = "import os, select, sys; sys.exit(len(select.select([0], [], [], 0.2)[0]))"
    assert run(otherwise=program, rows=NETWORK, bits=[8])[1] == {}
