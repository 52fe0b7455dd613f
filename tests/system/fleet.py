"""A small fleet: its readings, the job that counts them a minute, and the windows to expect.

The expected windows are computed here in Python from the readings, not by Millrace. Values are
multiples of 1/8, so that sums are exact in any order and windows are compared without tolerance.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conftest import unique_name
from harness.kafka import Kafka, Record

START = 1_767_225_600  # 2026-01-01T00:00:00Z
MINUTE = 60
# What a job that ends by itself is given: long for two busy cores, short for a person.
END_WHEN_IDLE = ("--end-when-idle", "500ms")

JOB = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: {checkpoint}}}
  streams:
    readings:
      kafka:
        topics: [{topic}]
        on_data_loss: {on_data_loss}
        partition_discovery: 200ms
        properties: {{{source_properties}}}
      format: json
      columns:
        device: text
        at: {{type: timestamp, timestamp: millis}}
        value: double
      event_time: {{column: at, max_delay: {max_delay}, idle_after: {idle_after}}}
    minutes:
      sql: |
        SELECT window_start, window_end, device, count(*) AS readings, sum(value) AS total,
               min(value) AS lowest, max(value) AS highest
        FROM tumble(readings, size => INTERVAL '1 minute')
        GROUP BY window_start, window_end, device
  sinks:
    - {{stream: minutes, {sink}}}
{more}"""


@dataclass(frozen=True)
class Reading:
    device: str
    second: float  # since START
    value: float | None
    partition: int = 0

    @property
    def record(self) -> Record:
        body = {"device": self.device, "at": self.at_millis, "value": self.value}
        return Record(
            json.dumps(body).encode(),
            self.device.encode(),
            self.partition,
            timestamp_ms=self.at_millis,
        )

    @property
    def at_millis(self) -> int:
        return int((START + self.second) * 1000)


# Device and the window's start, in seconds since START.
WindowKey = tuple[str, int]
# readings, total, lowest, highest
WindowValue = tuple[int, float | None, float | None, float | None]


def ordered(
    seconds: int, *, devices: int = 8, partitions: int = 4, seed: int = 1, first: int = 0
) -> list[Reading]:
    """A reading a device and second, in the order of time; a device stays in its partition."""
    values = random.Random(seed)
    return [
        Reading(f"d{device}", second, values.randrange(0, 800) / 8, device % partitions)
        for second in range(first, first + seconds)
        for device in range(devices)
    ]


def expected(readings: Iterable[Reading]) -> dict[WindowKey, WindowValue]:
    groups: dict[WindowKey, list[Reading]] = {}
    for one in readings:
        start = int(one.second // MINUTE) * MINUTE
        groups.setdefault((one.device, start), []).append(one)
    windows = {}
    for key, members in groups.items():
        values = [one.value for one in members if one.value is not None]
        windows[key] = (
            len(members),
            sum(values) if values else None,
            min(values, default=None),
            max(values, default=None),
        )
    return windows


def write_job(
    folder: Path,
    topic: str,
    *,
    name: str | None = None,
    sink: str = "files: {path: minutes, format: json, roll_interval: 1s}",
    more: str = "",
    source_properties: str = "fetch.wait.max.ms: 50",
    checkpoint: str = "200ms",
    max_delay: str = "10s",
    idle_after: str = "500ms",
    on_data_loss: str = "fail",
) -> Path:
    """A job file of its own name, and with it a consumer group of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.yaml"
    path.write_text(
        JOB.format(
            name=name or unique_name("fleet"),
            topic=topic,
            sink=sink,
            more=more,
            source_properties=source_properties,
            checkpoint=checkpoint,
            max_delay=max_delay,
            idle_after=idle_after,
            on_data_loss=on_data_loss,
        )
    )
    return path


def kafka_sink(topic: str, properties: str = "linger.ms: 5") -> str:
    return f"kafka: {{topic: {topic}, properties: {{{properties}}}}}"


def dead_letters_to(topic: str) -> str:
    return f"  dead_letters: {{kafka: {{topic: {topic}}}}}\n"


def produce(kafka: Kafka, topic: str, readings: Iterable[Reading]) -> int:
    return kafka.produce(topic, (one.record for one in readings))


def rows_of_files(folder: Path) -> list[dict[str, Any]]:
    """Every row of the finished JSON lines files below a folder."""
    return [
        json.loads(line)
        for path in sorted(folder.rglob("*.json*"))
        if path.is_file() and not path.name.startswith(".")
        for line in path.read_text().splitlines()
    ]


def rows_of_topic(kafka: Kafka, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in kafka.read_all(topic)]


def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) - START


def windows(rows: Sequence[dict[str, Any]]) -> dict[WindowKey, WindowValue]:
    """By device and start; none may come twice."""
    found: dict[WindowKey, WindowValue] = {}
    for row in rows:
        key = (row["device"], _second(row["window_start"]))
        assert _second(row["window_end"]) == key[1] + MINUTE
        value = (row["readings"], row["total"], row["lowest"], row["highest"])
        assert key not in found, f"window {key} came twice"
        found[key] = value
    return found


def letters(kafka: Kafka, topic: str) -> Counter[tuple[str, int, int]]:
    """How often each dead letter came: reason, and the partition and offset it was read from."""
    return Counter(
        (
            (record.header("reason") or b"").decode(),
            int(record.header("partition") or b"-1"),
            int(record.header("offset") or b"-1"),
        )
        for record in kafka.read_all(topic)
    )
