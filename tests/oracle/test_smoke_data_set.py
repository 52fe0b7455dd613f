"""The public smoke data set through Kafka and from a file: every window equals DuckDB's.

The data set has neither times nor devices: eight devices take turns, a second a round. Its missing
columns are null throughout.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import unique_name
from harness.kafka import Kafka, Record
from oracle import historical
from oracle.comparison import assert_windows_equal, keyed
from oracle.jobs import SmokeRun
from oracle.readings import INTEGERS, SENSORS, judge, micros, smoke_windows
from oracle.shared_data import present

START = datetime(2022, 6, 9, 22, 0, 7, tzinfo=UTC)
DEVICES = 8
PARTITIONS = 4
DATA_SETS = present("smoke/smoke_detection_reduced.csv")
data_set = pytest.mark.parametrize("path", DATA_SETS, ids=lambda path: path.stem)


def read(path: Path) -> list[dict[str, Any]]:
    """Readings by SQL names."""
    rows = []
    with path.open(newline="") as file:
        for number, cells in enumerate(csv.DictReader(file)):
            row: dict[str, Any] = {
                "device_id": f"unit-{number % DEVICES}",
                "location": f"floor-{number % DEVICES // 4}",
                "observed_at": START + timedelta(seconds=number // DEVICES),
            }
            for name, field in SENSORS.items():
                row[name] = float(cells[field]) if field in cells else None
            for name, field in INTEGERS.items():
                row[name] = int(cells[field]) if field in cells else None
            rows.append(row)
    return rows


def message(row: dict[str, Any]) -> bytes:
    fields = {field: row[name] for name, field in {**SENSORS, **INTEGERS}.items()}
    head = {
        "timestamp": row["observed_at"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "device_id": row["device_id"],
        "location": row["location"],
    }
    # A field that the data set lacks is absent, not null.
    return json.dumps(head | {k: v for k, v in fields.items() if v is not None}).encode()


@data_set
def test_through_kafka_out_of_order(kafka: Kafka, path: Path, tmp_path: Path) -> None:
    rows = read(path)
    choice = random.Random(1)
    # Whole seconds below the allowed ten minutes: nothing may be late.
    arrivals = [
        (row["observed_at"] + timedelta(seconds=choice.randrange(599)), row) for row in rows
    ]
    arrivals.sort(key=lambda arrival: arrival[0])
    name = kafka.create_topic(unique_name("data-set"), PARTITIONS)
    kafka.produce(
        name,
        (
            Record(
                message(row),
                row["device_id"].encode(),
                int(row["device_id"][-1]) % PARTITIONS,
                micros(arrival) // 1000,
            )
            for arrival, row in arrivals
        ),
    )
    judged = judge(kafka.read_all(name))
    assert {one.verdict for one in judged} == {"counted"}
    run = SmokeRun(kafka, name, tmp_path)
    assert run.summary["dead_letters_by_reason"] == {}
    found = keyed(run.metrics(), "device_id", "window_end")
    assert_windows_equal(found, smoke_windows(rows))
    assert sum(window["records"] for window in found.values()) == 5 * len(rows)
    # Counted in the file by hand: > 50, < -10, > 1500, > 1000, alarm on.
    alerts = Counter(alert["alert"] for alert in run.alerts() if alert["alert"].endswith("Reading"))
    assert alerts == {
        "HighTemperatureReading": 834,
        "LowTemperatureReading": 2945,
        "CriticalEco2Reading": 1492,
        "HighEco2Reading": 1811 - 1492,
        "FireAlarmReading": 44757,
    }


@data_set
def test_from_a_file(path: Path, tmp_path: Path) -> None:
    rows = read(path)
    readings = tmp_path / "readings.csv"
    historical.write_csv(readings, rows)
    found, summary = historical.run(readings, tmp_path / "job")
    assert_windows_equal(keyed(found, "device_id", "window_end"), smoke_windows(rows))
    assert summary["readings_in"] == len(rows)
    assert summary["dead_letters_by_reason"] == {}
