"""A job on a fleet, its readings, and what must come out of it, whoever dies meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from harness.fleet import Fleet
from harness.kafka import Kafka, Record
from harness.waiting import wait_for

PARTITIONS = 4
DEVICES = 24
MINUTES = 40
PER_MINUTE = 60  # readings a device, one a second

JOB = """
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {name: THE_NAME}
spec:
  checkpoint: {interval: 200ms}
  streams:
    readings:
      kafka: {topics: [THE_INPUT], start_from: earliest}
      format: json
      columns:
        device_id: text
        observed_at: timestamp
        value: bigint
      event_time: {column: observed_at, max_delay: 0s, idle_after: 1h, max_future: 365d}
    minutes:
      sql: |
        SELECT window_start, window_end, device_id, count(*) AS records, sum(value) AS total
        FROM tumble(readings, size => INTERVAL '1 minute')
        GROUP BY window_start, window_end, device_id
  sinks:
    - {stream: minutes, kafka: {topic: THE_OUTPUT}}
"""


class Case:
    """Readings of some devices, a second each, spread over partitions by no key at all: every
    reading must be exchanged."""

    def __init__(self, kafka: Kafka, folder: Path, name: str) -> None:
        self.kafka = kafka
        self.name = name.replace("_", "-")
        self.topic = f"{name}-in"
        self.out = f"{name}-out"
        kafka.create_topic(self.topic, PARTITIONS)
        kafka.create_topic(self.out, 2)
        self.file = folder / "job.yaml"
        self.file.write_text(
            JOB.replace("THE_NAME", self.name)
            .replace("THE_INPUT", self.topic)
            .replace("THE_OUTPUT", self.out)
        )
        self.expected: Counter[tuple[str, str, int, int]] = Counter()
        self._sent = 0
        self._sender = kafka.sender()

    def send_minutes(self, minutes: int) -> None:
        records = []
        for minute in range(self._sent, self._sent + minutes):
            for device in range(DEVICES):
                total = 0
                for second in range(PER_MINUTE):
                    value = minute * 7 + device * 3 + second
                    total += value
                    records.append(self._record(minute, second, f"d{device}", value))
                start = f"2024-01-01T{minute // 60:02}:{minute % 60:02}:00.000000Z"
                self.expected[(start, f"d{device}", PER_MINUTE, total)] += 1
        # In the order of time: nothing is late.
        records.sort(key=lambda record: record.value or b"")
        self._sender.send(self.topic, records)
        self._sent += minutes

    def close(self) -> None:
        """One reading far ahead in each partition: every minute that was sent is closed."""
        self._sender.send(
            self.topic,
            [
                Record(self.value(24 * 60 - 1, 0, "end", 0), partition=partition)
                for partition in range(PARTITIONS)
            ],
        )

    def _record(self, minute: int, second: int, device: str, value: int) -> Record:
        partition = (value + second) % PARTITIONS
        return Record(self.value(minute, second, device, value), partition=partition)

    @staticmethod
    def value(minute: int, second: int, device: str, value: int) -> bytes:
        time = f"2024-01-01T{minute // 60:02}:{minute % 60:02}:{second:02}Z"
        return json.dumps({"observed_at": time, "device_id": device, "value": value}).encode()

    def found(self) -> Counter[tuple[str, str, int, int]]:
        rows: Counter[tuple[str, str, int, int]] = Counter()
        for record in self.kafka.read_all(self.out):
            row = json.loads(record.value or b"")
            rows[(row["window_start"], row["device_id"], row["records"], row["total"])] += 1
        return rows

    def check(self) -> None:
        count = sum(self.expected.values())
        wait_for(
            f"{count} windows", lambda: sum(self.kafka.end_offsets(self.out).values()) >= count, 60
        )
        wait_for("all windows", lambda: sum(self.found().values()) >= count, 60)
        assert self.found() == self.expected


@pytest.fixture
def case(kafka: Kafka, tmp_path: Path, request: pytest.FixtureRequest) -> Case:
    return Case(kafka, tmp_path, request.node.name.replace("[", "-").replace("]", ""))


def started(kafka: Kafka, case: Case, folder: Path, workers: int) -> Fleet:
    fleet = Fleet(folder, kafka.bootstrap)
    fleet.start_coordinator().wait_for_line("leads the cluster")
    for index in range(workers):
        fleet.start_worker(f"worker-{index}")
    fleet.wait_for_workers(workers)
    fleet.apply(case.file)
    return fleet
