"""A process that was stopped past every timeout wakes up when another has taken its job over."""

from __future__ import annotations

import random
import signal

import pytest

from cluster.case import Case, Expected, wait_for_moment
from harness.millrace import Job

TAKEN_OVER_SECONDS = 20.0
TIMES_SOAK = 10


def stop_in_the_middle(case: Case, job: Job, moment: float) -> None:
    """SIGSTOP somewhere after some epochs."""
    case.run_epochs(job, 3)
    case.send_chunk()
    wait_for_moment(moment)
    job.send(signal.SIGSTOP)


def assert_superseded(job: Job) -> None:
    job.send(signal.SIGCONT)
    assert job.wait(60) == 1, job.output[-4000:]
    assert "superseded" in job.stderr


def woken_while_the_successor_runs(case: Case, expected: Expected, moment: float) -> None:
    with case.start(name="zombie") as zombie:
        stop_in_the_middle(case, zombie, moment)
        with case.start(name="successor") as successor:
            successor.wait_for_line("going on from a checkpoint", TAKEN_OVER_SECONDS)
            assert_superseded(zombie)
            case.run_epochs(successor, 3)
            assert successor.stop() == 0, successor.output[-4000:]
    case.check(case.finish(), expected)


def woken_at_the_end(case: Case, expected: Expected, moment: float) -> None:
    with case.start(name="zombie") as zombie:
        stop_in_the_middle(case, zombie, moment)
        summary = case.finish()
        case.check(summary, expected)
        assert_superseded(zombie)
        case.check(summary, expected)


WAKENINGS = {"while it runs": woken_while_the_successor_runs, "at the end": woken_at_the_end}


@pytest.mark.parametrize("woken", WAKENINGS)
def test_a_zombie_changes_nothing(
    woken: str,
    case: Case,
    expected: Expected,
    chance: random.Random,
) -> None:
    WAKENINGS[woken](case, expected, chance.uniform(0, 0.4))


@pytest.mark.soak
@pytest.mark.parametrize("woken", WAKENINGS)
@pytest.mark.parametrize("number", range(TIMES_SOAK))
def test_zombies_change_nothing_for_long(
    woken: str,
    number: int,  # noqa: ARG001
    case: Case,
    expected: Expected,
    chance: random.Random,
) -> None:
    WAKENINGS[woken](case, expected, chance.uniform(0, 0.4))
