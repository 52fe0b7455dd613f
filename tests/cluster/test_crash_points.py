"""kill -9 at every named place, twice in a row, then a run to the end."""

from __future__ import annotations

import re
import signal

import pytest

from cluster.case import END_SECONDS, END_WHEN_IDLE, Case, Expected
from devtool import paths
from harness import millrace
from harness.millrace import Job

# Passed only while a job starts: the first life dies at the first arrival there, in the others in
# the middle of its work.
AT_START = ("claimed", "publisher_initialise", "publisher_initialised", "register_read")
OF_SAVEPOINTS = ("savepoint", "savepoint_written")  # test_savepoints.py
ARRIVAL = 3
LIVES_MAX = 30


def crash_points() -> list[str]:
    """Every CrashPoint("name") of the sources."""
    return sorted(
        {
            name
            for folder in ("engine", "worker", "coordinator", "tools")
            for path in (paths.ROOT / folder).rglob("*.cpp")
            for name in re.findall(r'CrashPoint\("(\w+)"\)', path.read_text())
        }
    )


def test_there_are_enough_places() -> None:
    assert len(crash_points()) >= 20


@pytest.mark.parametrize("point", [name for name in crash_points() if name not in OF_SAVEPOINTS])
def test_killed_at(point: str, case: Case, expected: Expected) -> None:
    first = 1 if point in AT_START else ARRIVAL
    case.send_chunk()
    for arrival in (first, 1):
        with case.start(crash_at=f"{point}:{arrival}", executable=millrace.crash_program()) as job:
            feed_until_death(case, job)
    case.check(case.finish(), expected)


# Where the end of a job may be cut: a manifest says that it is finished, or not yet.
AT_THE_END = ("manifest_written", "manifest_committed", "transaction_committed", "roll_written")


@pytest.mark.parametrize("point", AT_THE_END)
def test_killed_while_it_ends(point: str, case: Case, expected: Expected) -> None:
    """Each life goes on one arrival longer, until one ends by itself."""
    case.send_rest()
    for arrival in range(1, LIVES_MAX):
        crash_at = f"{point}:{arrival}"
        with case.start(
            *END_WHEN_IDLE, crash_at=crash_at, executable=millrace.crash_program()
        ) as job:
            code = job.wait(END_SECONDS)
        if code == 0:
            break
        assert code == -signal.SIGKILL, job.output[-4000:]
    case.check(case.finish(), expected)


def feed_until_death(case: Case, job: Job) -> None:
    case.send_by_epoch(job, lambda _: job.code is not None, "death at the named place")
    assert job.code == -signal.SIGKILL, job.output[-4000:]
