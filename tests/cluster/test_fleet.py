"""Coordinators and workers as processes, with the real broker: results are those of the readings,
whoever dies meanwhile."""

from __future__ import annotations

from pathlib import Path

from cluster.fleet_case import MINUTES, Case, case, started
from harness.kafka import Kafka

__all__ = ["case"]  # the fixture


def test_two_workers_share_a_job(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        status = fleet.wait_for_job(case.name, "running")
        assert sorted(status["slot_workers"]) == ["worker-0", "worker-0", "worker-1", "worker-1"]
        case.send_minutes(MINUTES)
        case.close()
        case.check()


def test_a_worker_is_killed(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(MINUTES // 2)
        first = fleet.wait_for_job(case.name, "running", checkpoints=3)
        fleet.workers["worker-1"].kill()
        status = fleet.wait_for_job(case.name, "running", attempt=int(first["attempt"]) + 1)
        # As many slots as before: state is not cut anew because a worker is missing.
        assert status["slot_workers"] == ["worker-0"] * 4
        case.send_minutes(MINUTES // 2)
        fleet.start_worker("worker-1")
        case.close()
        case.check()


def test_a_worker_leaves(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(MINUTES // 2)
        fleet.wait_for_job(case.name, "running", checkpoints=2)
        assert fleet.workers["worker-0"].stop(30) == 0
        status = fleet.wait_for_job(case.name, "running")
        # It is gone for good: as many slots as are offered now.
        assert status["slot_workers"] == ["worker-1"] * 2
        case.send_minutes(MINUTES // 2)
        case.close()
        case.check()


def test_the_coordinator_is_killed(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(MINUTES // 2)
        fleet.wait_for_job(case.name, "running", checkpoints=2)
        fleet.coordinator.kill()
        fleet.start_coordinator().wait_for_line("leads the cluster")
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(MINUTES // 2)
        case.close()
        case.check()


def test_the_coordinator_names_what_is_wrong(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        answer = fleet.request("POST", "jobs", {"file_name": "x.yaml", "file": "kind: StreamJop"})
        assert answer.status_code == 400
        assert "StreamJob" in answer.json()["message"]
        answer = fleet.request("GET", "jobs/countign")
        assert answer.status_code == 404
        assert answer.json()["code"] == "job_unknown"
        assert fleet.request("POST", f"jobs/{case.name}/cancel").ok
        fleet.wait_for_job(case.name, "canceled")
        assert fleet.request("DELETE", f"jobs/{case.name}").status_code == 204
        assert fleet.job(case.name) is None
