"""Several jobs on the same workers, which come and go: who has what of which job, and that each
gives what its readings give."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cluster.fleet_case import Case
from harness.fleet import Fleet
from harness.kafka import Kafka
from harness.waiting import wait_for

PART_MINUTES = 12
MOVE_SECONDS = 60.0

Jobs = dict[str, dict[str, Any]]


@pytest.fixture
def wide(kafka: Kafka, tmp_path: Path) -> Case:
    """As many slots as there are, at most one a partition: 4."""
    return new_case(kafka, tmp_path, "several_wide")


@pytest.fixture
def narrow(kafka: Kafka, tmp_path: Path) -> Case:
    """Two slots."""
    case = new_case(kafka, tmp_path, "several_narrow")
    case.file.write_text(case.file.read_text().replace("spec:\n", "spec:\n  parallelism: 2\n", 1))
    return case


def new_case(kafka: Kafka, folder: Path, name: str) -> Case:
    (folder / name).mkdir()
    return Case(kafka, folder / name, name)


def slots(jobs: Jobs) -> Counter[str]:
    """Of all jobs, by worker."""
    return Counter(worker for job in jobs.values() for worker in job["slot_workers"])


def moved(before: Jobs, after: Jobs) -> list[tuple[str, str]]:
    """From which worker to which."""
    return [
        (was, now)
        for name, job in before.items()
        for was, now in zip(job["slot_workers"], after[name]["slot_workers"], strict=True)
        if was != now
    ]


def running(fleet: Fleet, cases: list[Case], placed: dict[str, int]) -> Jobs:
    """Once all of them run, with so many slots on each worker."""
    last: Jobs = {}

    def look() -> Jobs | None:
        last.update({case.name: fleet.job(case.name) or {} for case in cases})
        if any(job.get("state") != "running" for job in last.values()):
            return None
        return dict(last) if slots(last) == placed else None

    try:
        return wait_for(f"slots as {placed}", look, MOVE_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}\nlast: {last}\n{fleet.coordinator.stderr[-4000:]}") from None


def send_part(cases: list[Case]) -> None:
    for case in cases:
        case.send_minutes(PART_MINUTES)


def test_two_jobs_on_workers_that_come_and_go(
    kafka: Kafka, wide: Case, narrow: Case, tmp_path: Path
) -> None:
    cases = [wide, narrow]
    with Fleet(tmp_path, kafka.bootstrap) as fleet:
        fleet.start_coordinator().wait_for_line("leads the cluster")
        for name in ("worker-0", "worker-1"):
            fleet.start_worker(name)
        fleet.wait_for_workers(2)
        for case in cases:
            fleet.apply(case.file)
        two = running(fleet, cases, {"worker-0": 3, "worker-1": 3})
        assert Counter(two[wide.name]["slot_workers"]) == {"worker-0": 2, "worker-1": 2}
        assert Counter(two[narrow.name]["slot_workers"]) == {"worker-0": 1, "worker-1": 1}
        assert two[wide.name]["notes"] == []
        send_part(cases)

        fleet.start_worker("worker-2")
        three = running(fleet, cases, {"worker-0": 2, "worker-1": 2, "worker-2": 2})
        assert sorted(moved(two, three)) == [("worker-0", "worker-2"), ("worker-1", "worker-2")]
        assert three[wide.name]["notes"] == [
            "3 workers with 6 slots, job parallelism 4: the topic has 4 partitions"
        ]
        assert three[narrow.name]["notes"] == [
            "3 workers with 6 slots, job parallelism 2: as was asked for"
        ]
        send_part(cases)

        fleet.workers["worker-1"].kill()
        left = running(fleet, cases, {"worker-0": 3, "worker-2": 3})
        assert {was for was, _ in moved(three, left)} == {"worker-1"}
        send_part(cases)

        for case in cases:
            case.close()
        for case in cases:
            case.check()
