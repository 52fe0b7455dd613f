"""Event streams with results that another engine published for them: hourly counts of rides, and a
counter in windows of ten seconds sliding by two. From files and through Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import unique_name
from harness import millrace
from harness.kafka import Kafka, Record
from oracle.comparison import time_micros
from oracle.jobs import RUN_SECONDS
from oracle.shared_data import present

JOB = """
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  streams:
    events:
      {input}
      format: json
      columns:
        event_type: text
        counter: bigint
        observed_at: {{type: timestamp, from: timestamp}}
      event_time: {{column: observed_at, max_delay: 1m}}
    windows:
      sql: |
        {sql}
  sinks:
    - {{stream: windows, files: {{path: windows, format: json}}}}
"""

RIDES_BY_TYPE = """SELECT window_start, window_end, event_type, count(*) AS count
        FROM tumble(events, size => INTERVAL '1 hour')
        GROUP BY window_start, window_end, event_type"""
RIDES = """SELECT window_start, window_end, count(*) AS count
        FROM tumble(events, size => INTERVAL '1 hour') GROUP BY window_start, window_end"""
IMPULSE = """SELECT window_start, window_end, count(*) AS count, min(counter) AS min,
               max(counter) AS max
        FROM hop(events, size => INTERVAL '10 seconds', slide => INTERVAL '2 seconds')
        GROUP BY window_start, window_end"""

# Data, query, expected file, and what of an output row its lines say.
CASES: list[tuple[str, str, str, Callable[[dict[str, Any]], dict[str, Any]]]] = [
    (
        "rides/rides.json",
        RIDES_BY_TYPE,
        "rides/expected_tumble_1h_by_event_type.json",
        lambda row: {"event_type": row["event_type"], "hour": row["window_start"],
                     "count": row["count"]},
    ),
    (
        "rides/rides.json",
        RIDES,
        "rides/expected_tumble_1h_no_lateness.json",
        lambda row: {"timestamp": row["window_end"], "count": row["count"]},
    ),
    (
        "impulse/impulse.json",
        IMPULSE,
        "impulse/expected_hop_10s_2s.json",
        lambda row: {"start": row["window_start"], "end": row["window_end"],
                     "count": row["count"], "min": row["min"], "max": row["max"]},
    ),
]  # fmt: skip
Case = tuple[Path, Path, str, Callable[[dict[str, Any]], dict[str, Any]]]
PRESENT: list[Case] = [
    (files[0], files[1], sql, shown)
    for data, sql, expected, shown in CASES
    if len(files := present(data, expected)) == 2
]
cases = pytest.mark.parametrize(
    ("data", "expected", "sql", "shown"), PRESENT, ids=[case[1].stem for case in PRESENT]
)


def windows(folder: Path, input_yaml: str, sql: str, *arguments: str) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.yaml"
    job.write_text(JOB.format(name=unique_name("events"), input=input_yaml, sql=sql))
    with millrace.Job(job, folder, arguments=arguments) as running:
        assert running.wait(RUN_SECONDS) == 0, running.output[-4000:]
        assert running.summary()["dead_letters_by_reason"] == {}
    return [
        json.loads(line)
        for file in sorted((running.data_dir / "windows").rglob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]


def utc(row: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A line with times as numbers, comparable and sortable."""
    return tuple(
        (key, time_micros(value if value.endswith("Z") else value + "Z"))
        if key in ("hour", "timestamp", "start", "end")
        else (key, value)
        for key, value in sorted(row.items())
    )


def check(
    found: list[dict[str, Any]],
    expected: Path,
    shown: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    lines = [json.loads(line) for line in expected.read_text().splitlines()]
    assert sorted(utc(shown(row)) for row in found) == sorted(utc(line) for line in lines)


@cases
def test_from_a_file(
    data: Path,
    expected: Path,
    sql: str,
    shown: Callable[[dict[str, Any]], dict[str, Any]],
    tmp_path: Path,
) -> None:
    check(windows(tmp_path, f"files: {{path: {json.dumps(str(data))}}}", sql), expected, shown)


@cases
def test_through_kafka(
    data: Path,
    expected: Path,
    sql: str,
    shown: Callable[[dict[str, Any]], dict[str, Any]],
    kafka: Kafka,
    tmp_path: Path,
) -> None:
    name = kafka.create_topic(unique_name("events"), 2)
    lines = data.read_bytes().splitlines()
    kafka.produce(name, (Record(line, partition=i % 2) for i, line in enumerate(lines)))
    found = windows(
        tmp_path, f"kafka: {{topic: {name}}}", sql,
        "--brokers", kafka.bootstrap, "--end-when-idle", "1s",
    )  # fmt: skip
    check(found, expected, shown)
