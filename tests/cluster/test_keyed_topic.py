"""A job that calls its topic keyed: results are the same whether that is true or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.fleet_case import MINUTES, PARTITIONS, Case, started
from harness.kafka import Kafka, Record

SOURCE = "{topics: [THE_TOPIC], start_from: earliest}"
KEYED = (
    "{topics: [THE_TOPIC], start_from: earliest, "
    f"keyed_by: {{column: device_id, partitions: {PARTITIONS}}}}}"
)


class KeyedCase(Case):
    """Readings with their device as the key, in the partition that murmur2 gives it; or, where
    what the job says is wrong, in any."""

    def __init__(self, kafka: Kafka, folder: Path, name: str, *, is_true: bool) -> None:
        super().__init__(kafka, folder, name)
        self._is_true = is_true
        text = self.file.read_text()
        assert SOURCE.replace("THE_TOPIC", self.topic) in text
        self.file.write_text(
            text.replace(
                SOURCE.replace("THE_TOPIC", self.topic), KEYED.replace("THE_TOPIC", self.topic)
            )
        )
        self._sender = kafka.sender({"partitioner": "murmur2"})

    def _record(self, minute: int, second: int, device: str, value: int) -> Record:
        record = super()._record(minute, second, device, value)
        return Record(record.value, key=device.encode()) if self._is_true else record


@pytest.mark.parametrize("is_true", [True, False])
def test_results_do_not_depend_on_what_a_topic_is_said_to_be_keyed_by(
    kafka: Kafka, tmp_path: Path, is_true: bool
) -> None:
    case = KeyedCase(kafka, tmp_path, f"keyed-{str(is_true).lower()}", is_true=is_true)
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(MINUTES // 2)
        first = fleet.wait_for_job(case.name, "running", checkpoints=2)
        # State moves with its partitions: from four slots on two workers to three on one.
        assert fleet.workers["worker-0"].stop(30) == 0
        fleet.wait_for_job(case.name, "running", attempt=int(first["attempt"]) + 1)
        case.send_minutes(MINUTES // 2)
        case.close()
        case.check()
        partitions = {record.partition for record in kafka.read_all(case.topic)}
        assert len(partitions) == PARTITIONS


def test_that_a_topic_is_not_keyed_so_is_told_once(kafka: Kafka, tmp_path: Path) -> None:
    case = KeyedCase(kafka, tmp_path, "keyed-misfit", is_true=True)
    said = f"partitions: {PARTITIONS}"
    assert said in case.file.read_text()
    case.file.write_text(case.file.read_text().replace(said, f"partitions: {PARTITIONS + 1}"))
    with started(kafka, case, tmp_path, 2) as fleet:
        job = fleet.wait_for_job(case.name, "running")
        for _ in range(2):
            assert fleet.request("POST", f"jobs/{case.name}/pause").ok
            fleet.wait_for_job(case.name, "paused")
            assert fleet.request("POST", f"jobs/{case.name}/resume").ok
            job = fleet.wait_for_job(case.name, "running", attempt=int(job["attempt"]) + 1)
        misfit = f"keyed_by does not fit: it says {PARTITIONS + 1} partitions a topic"
        assert fleet.coordinator.stderr.count(misfit) == 1
        lines = fleet.request("GET", f"jobs/{case.name}/logs?limit=1000").text
        assert lines.count(misfit) == 1
