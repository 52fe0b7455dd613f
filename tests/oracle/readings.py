"""Readings as an oracle sees them: parsed by Python's json, judged by the rule of event time.

Nothing here shares code with the engine or the simulator.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from harness.kafka import Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_DELAY = timedelta(minutes=10)
PANE = timedelta(minutes=1)
MAX_FUTURE = timedelta(minutes=5)

# SQL name -> field of the reading; the twelve measured quantities.
SENSORS = {
    "temperature": "Temperature[C]",
    "humidity": "Humidity[%]",
    "tvoc": "TVOC[ppb]",
    "eco2": "eCO2[ppm]",
    "raw_h2": "Raw H2",
    "raw_ethanol": "Raw Ethanol",
    "pressure": "Pressure[hPa]",
    "pm1": "PM1.0",
    "pm25": "PM2.5",
    "nc05": "NC0.5",
    "nc1": "NC1.0",
    "nc25": "NC2.5",
}
INTEGERS = {"cnt": "CNT", "fire_alarm": "Fire Alarm"}


@dataclass(frozen=True)
class Judged:
    """One record of the topic and what must become of it."""

    record: Record
    verdict: str  # "counted", "late", "future", "malformed"
    row: dict[str, Any] | None  # the reading, if it is one


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def parse(value: bytes) -> dict[str, Any] | None:
    """The reading by SQL names, None if it is none."""
    try:
        message = json.loads(value)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    row: dict[str, Any] = {
        "device_id": message["device_id"],
        "location": message.get("location"),
        "observed_at": datetime.fromisoformat(message["timestamp"]),
    }
    for name, field in {**SENSORS, **INTEGERS}.items():
        number = message.get(field)
        if number is not None and not isinstance(number, (int, float)):
            return None
        row[name] = number
    return row


def judge(records: Iterable[Record]) -> list[Judged]:
    """Event time's rule, in each partition's order."""
    largest: dict[int, datetime] = {}
    judged: list[Judged] = []
    for record in sorted(records, key=lambda one: (one.partition, one.offset)):
        assert record.value is not None
        row = parse(record.value)
        if row is None:
            judged.append(Judged(record, "malformed", None))
            continue
        time = row["observed_at"]
        if time > EPOCH + timedelta(milliseconds=record.timestamp_ms) + MAX_FUTURE:
            judged.append(Judged(record, "future", row))
            continue
        pane_end = time - (time - EPOCH) % PANE + PANE
        before = largest.get(record.partition)
        late = before is not None and pane_end <= before - MAX_DELAY
        largest[record.partition] = time if before is None else max(before, time)
        judged.append(Judged(record, "late" if late else "counted", row))
    return judged


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows for DuckDB; times are microseconds since 1970."""
    columns: dict[str, pa.Array] = {
        "device_id": pa.array([row["device_id"] for row in rows], pa.string()),
        "location": pa.array([row["location"] for row in rows], pa.string()),
        "observed_at": pa.array([micros(row["observed_at"]) for row in rows], pa.int64()),
    }
    for name in SENSORS:
        columns[name] = pa.array([row[name] for row in rows], pa.float64())
    for name in INTEGERS:
        columns[name] = pa.array([row[name] for row in rows], pa.int64())
    return pa.table(columns)


def smoke_windows(rows: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows of the smoke job's `metrics`, by device and window end (microseconds).

    Sums are compensated (fsum), and deviations are taken from the window's own mean, where
    subtraction is exact: good to 1e-14, which DuckDB's stddev_samp is not.
    """
    readings = table(rows)
    assert readings.num_rows == len(rows)
    connection = duckdb.connect()
    connection.register("readings", readings)
    means = ", ".join(f"favg({x}) AS m_{x}" for x in SENSORS)
    deviations = ", ".join(f"{x} - m_{x} AS d_{x}" for x in SENSORS)
    measures = [measure for x in SENSORS for measure in _measures(x)]
    result = connection.execute(
        f"""
        WITH placed AS (
          SELECT *, (observed_at // 60000000 - shift + 5) * 60000000 AS w_end
          FROM readings, range(5) AS r(shift)),
        means AS (SELECT device_id, w_end, {means} FROM placed GROUP BY device_id, w_end),
        deviations AS (SELECT *, {deviations} FROM placed JOIN means USING (device_id, w_end))
        SELECT device_id, w_end AS window_end, w_end - 300000000 AS window_start,
               max(location) AS location, count(*) AS records,
               count(*) FILTER (fire_alarm = 1) AS fire_alarms,
               {", ".join(measures)},
               count(*) FILTER (cnt IS NULL) AS null_cnt,
               count(*) FILTER (fire_alarm IS NULL) AS null_fire_alarm,
               min(cnt) AS first_cnt, max(cnt) AS last_cnt
        FROM deviations GROUP BY device_id, w_end"""
    )
    columns = [column[0] for column in result.description or ()]
    windows = {}
    for values in result.fetchall():
        window = dict(zip(columns, values, strict=True))
        _add_scores(window)
        windows[window["device_id"], window["window_end"]] = window
    return windows


def _measures(x: str) -> list[str]:
    variance = (
        f"CASE WHEN count({x}) > 1 THEN "
        f"(fsum(d_{x} * d_{x}) - fsum(d_{x}) * fsum(d_{x}) / count({x})) / (count({x}) - 1) END"
    )
    measures = [
        f"favg({x}) AS avg_{x}",
        f"min({x}) AS min_{x}",
        f"max({x}) AS max_{x}",
        f"sqrt({variance}) AS {x}_stddev",
        f"count(*) FILTER ({x} IS NULL) AS null_{x}",
    ]
    if x in ("temperature", "humidity", "tvoc"):
        measures.append(f"{variance} AS {x}_variance")
    if x in ("temperature", "tvoc", "pm25"):
        measures.append(f"quantile_cont({x}, 0.5) AS {x}_median")
        measures.append(f"quantile_cont({x}, 0.95) AS {x}_p95")
    return measures


def _add_scores(window: dict[str, Any]) -> None:
    window["completeness"] = min(100.0, 100.0 * window["records"] / 300)
    score = 100
    deviation = window["temperature_stddev"]
    score -= 20 if window["records"] < 10 else 0
    score -= 15 if deviation is not None and deviation < 0.1 else 0
    if window["max_temperature"] is not None:
        score -= 25 if window["max_temperature"] > 100 else 0
        score -= 25 if window["min_temperature"] < -50 else 0
    window["quality_score"] = max(0, score)
