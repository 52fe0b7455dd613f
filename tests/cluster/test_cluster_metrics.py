"""What a cluster shows of its jobs: workers what they do, the coordinator the rest."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from cluster.fleet_case import DEVICES, MINUTES, PARTITIONS, PER_MINUTE, Case, case, started
from harness.fleet import Fleet
from harness.kafka import Kafka
from harness.millrace import Metrics, Process, documented_metrics
from harness.waiting import wait_for

__all__ = ["case"]  # the fixture

HALF = MINUTES // 2
READINGS_A_MINUTE = DEVICES * PER_MINUTE
OF_LINKS = {name for name in documented_metrics() if re.match("millrace_(link|exchange)_", name)}
OF_PROCESSES = {
    "millrace_build_info",
    "millrace_coordinator_term",
    "millrace_workers",
    *OF_LINKS,
}
# What an attempt holds.
HELD = (
    "millrace_source_lag_records",
    "millrace_watermark_delay_seconds",
    "millrace_state_size_bytes",
)


class Shown:
    """The metrics of one job in a fleet."""

    def __init__(self, fleet: Fleet, job: str) -> None:
        self.fleet = fleet
        self.job = job

    def of_worker(self, worker: str, name: str, **labels: str) -> float | None:
        metrics = self.fleet.metrics(self.fleet.workers[worker])
        return metrics.total(name, job=self.job, **labels)

    def of_workers(self, name: str, **labels: str) -> float | None:
        """The sum over the workers that show it, None if there is none."""
        each = [self.of_worker(worker, name, **labels) for worker in self.fleet.workers]
        values = [value for value in each if value is not None]
        return sum(values) if values else None

    def led(self, name: str, **labels: str) -> float | None:
        metrics = self.fleet.metrics(self.fleet.coordinator)
        return metrics.total(name, job=self.job, **labels)

    def workers(self) -> dict[str, float | None]:
        """How many there are, by state."""
        metrics = self.fleet.metrics(self.fleet.coordinator)
        return {
            state: metrics.total("millrace_workers", state=state)
            for state in ("active", "leaving", "lost")
        }

    def state(self) -> list[str]:
        """The states that are shown as 1."""
        metrics = self.fleet.metrics(self.fleet.coordinator)
        return [
            labels["state"]
            for name, labels, value in metrics.samples
            if name == "millrace_job_state" and labels["job"] == self.job and value == 1
        ]

    def wait_for_readings(self, count: int) -> None:
        name = "millrace_records_in_total"
        wait_for(
            f"{count} readings",
            lambda: self.of_workers(name, stream="readings") == count,
        )

    def wait_for_workers(self, **states: float) -> None:
        wait_for(f"workers {states}", lambda: self.workers() == states)


def families(metrics: Metrics) -> set[str]:
    known = set(documented_metrics())
    found = set()
    for name, labels, _ in metrics.samples:
        base = name
        for suffix in ("_bucket", "_sum", "_count"):
            if name.removesuffix(suffix) in known:
                base = name.removesuffix(suffix)
        assert ("job" in labels) == (base not in OF_PROCESSES), (name, labels)
        found.add(base)
    assert found - known == set()
    return found


def test_a_jobs_metrics_add_up(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        shown = Shown(fleet, case.name)
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(HALF)
        shown.wait_for_readings(HALF * READINGS_A_MINUTE)
        for worker in fleet.workers:
            assert shown.of_worker(worker, "millrace_records_in_total", stream="readings")
            for name in HELD:
                assert shown.of_worker(worker, name) is not None, name
        assert (shown.of_workers("millrace_state_size_bytes") or 0) > 0
        wait_for("no lag", lambda: shown.of_workers("millrace_source_lag_records") == 0)

        # An attempt ends in order and another begins: what it held goes, what was done stays.
        assert fleet.request("POST", f"jobs/{case.name}/pause").ok
        fleet.wait_for_job(case.name, "paused")
        wait_for("the state", lambda: shown.state() == ["paused"])
        for name in HELD:
            assert shown.of_workers(name) is None, name
        shown.wait_for_readings(HALF * READINGS_A_MINUTE)
        assert fleet.request("POST", f"jobs/{case.name}/resume").ok
        fleet.wait_for_job(case.name, "running")
        wait_for("the state", lambda: shown.state() == ["running"])
        assert shown.led("millrace_job_restarts_total") == 0

        case.send_minutes(MINUTES - HALF)
        case.close()
        case.check()
        shown.wait_for_readings(MINUTES * READINGS_A_MINUTE + PARTITIONS)
        counted = "millrace_counted_records_total"
        wait_for(
            "counted readings",
            lambda: shown.of_workers(counted, stream="minutes") == MINUTES * READINGS_A_MINUTE,
        )
        assert shown.of_workers("millrace_dead_letter_records_total") is None
        wait_for(
            "rows published",
            lambda: shown.of_workers("millrace_records_out_total") == MINUTES * DEVICES,
        )

        wait_for("publishing", lambda: shown.led("millrace_unpublished_epochs") == 0)
        assert shown.led("millrace_unpublished_bytes") == 0
        metrics = fleet.metrics(fleet.coordinator)
        completed = metrics.total("millrace_checkpoints_total", result="completed")
        assert completed == metrics.total("millrace_checkpoint_duration_seconds_count")
        assert (completed or 0) >= 3
        assert (metrics.total("millrace_checkpoint_size_bytes") or 0) > 0
        stamp = metrics.total("millrace_last_checkpoint_timestamp_seconds")
        assert stamp == pytest.approx(time.time(), abs=10)
        assert (metrics.total("millrace_coordinator_term") or 0) >= 1
        assert shown.workers() == {"active": 2, "leaving": 0, "lost": 0}

        # No family of a job is of both sides: nothing is counted twice.
        led = families(metrics)
        done = set().union(*(families(fleet.metrics(each)) for each in fleet.workers.values()))
        assert led & done == {"millrace_build_info", *OF_LINKS}
        for name in ("end_to_end_latency", "checkpoint_alignment", "checkpoint_stall"):
            assert (shown.of_workers(f"millrace_{name}_seconds_count") or 0) > 0, name
        assert (shown.of_workers("millrace_task_time_seconds_total", state="busy") or 0) > 0

        # A job that is deleted is not shown any more.
        assert fleet.request("POST", f"jobs/{case.name}/cancel").ok
        fleet.wait_for_job(case.name, "canceled")
        assert fleet.request("DELETE", f"jobs/{case.name}").ok
        for process in (fleet.coordinator, *fleet.workers.values()):

            def forgotten(of: Process = process) -> bool:
                return families(fleet.metrics(of)) <= OF_PROCESSES

            wait_for("the end", forgotten)


def test_restarts_have_reasons(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        shown = Shown(fleet, case.name)
        restarts = "millrace_job_restarts_total"
        fleet.wait_for_job(case.name, "running")
        shown.wait_for_workers(active=2, leaving=0, lost=0)
        assert shown.led(restarts) == 0
        case.send_minutes(HALF)
        shown.wait_for_readings(HALF * READINGS_A_MINUTE)
        first = fleet.wait_for_job(case.name, "running", checkpoints=3)
        before = shown.of_worker("worker-0", "millrace_records_in_total", stream="readings") or 0

        fleet.workers.pop("worker-1").kill()
        shown.wait_for_workers(active=1, leaving=0, lost=1)
        status = fleet.wait_for_job(case.name, "running", attempt=int(first["attempt"]) + 1)
        wait_for("the state", lambda: shown.state() == ["running"])
        # Who notices first, the coordinator or the other worker, is chance.
        lost = sum(shown.led(restarts, reason=f"{whom}_lost") or 0 for whom in ("worker", "peer"))
        assert lost == shown.led(restarts) == int(status["restarts"]) >= 1

        # What is sent now is read by the one that is left, and added to what it had read.
        case.send_minutes(MINUTES - HALF)
        least = before + (MINUTES - HALF) * READINGS_A_MINUTE
        wait_for(
            "readings",
            lambda: (
                (shown.of_workers("millrace_records_in_total", stream="readings") or 0) >= least
            ),
        )

        fleet.start_worker("worker-1")
        shown.wait_for_workers(active=2, leaving=0, lost=0)
        wait_for("the move", lambda: shown.led(restarts, reason="workers_changed") == 1)
        moved = fleet.wait_for_job(case.name, "running", attempt=int(status["attempt"]) + 1)
        assert set(moved["slot_workers"]) == {"worker-0", "worker-1"}
        assert fleet.workers.pop("worker-0").stop(30) == 0
        shown.wait_for_workers(active=1, leaving=0, lost=0)
        assert shown.led(restarts, reason="worker_left") == 1
        assert shown.led(restarts) == lost + 2
        case.close()
        case.check()
