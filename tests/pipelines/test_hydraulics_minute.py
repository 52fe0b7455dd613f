"""Minutes, five minutes and hours of a simulated rig with every fault, and each minute beside those
before it: DuckDB's results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from conftest import unique_name
from devtool.demo_pipelines import HYDRAULIC_SENSORS
from harness.kafka import Kafka
from pipelines.pipeline import (
    JOBS,
    MINUTE,
    SECOND,
    Input,
    JobUnderTest,
    Row,
    Simulation,
    assert_rows_equal,
    feed,
    hopping,
    own_topics,
    query,
    refused,
)

CYCLES = 6
FLEET = (
    "--cycles", str(CYCLES), "--rate", "60000", "--seed", "5", "--start", "2024-06-01T12:56:00Z",
    "--pane", "1m", "--late-share", "0.002", "--malformed-share", "0.001", "--future-share",
    "0.001", "--null-share", "0.002", "--duplicate-share", "0.001", "--spike-share", "0.00005",
    "--overpressure-share", "0.5", "--overheating-share", "0.3", "--stuck-sensors", "1",
    "--gap-sensors", "1",
)  # fmt: skip
COLUMNS = {
    "rig": pa.string(),
    "sensor": pa.string(),
    "value": pa.float64(),
    "sampling_rate_hz": pa.int64(),
    "timestamp": pa.string(),
}
HOUR = 60 * MINUTE


def windows(given: Input, size: int, slide: int, pane: int) -> list[Row]:
    return query(
        f"""
        SELECT window_start, window_end, rig, sensor, count(*) AS message_count,
               count(value) AS sample_count, favg(value) AS avg_value, max(value) AS max_value,
               min(value) AS min_value, fsum(value) AS sum_value,
               stddev_samp(value) AS stddev_value, max(value) - min(value) AS range_value,
               max(sampling_rate_hz) AS sampling_rate_hz
        FROM {hopping("readings", "timestamp", size, slide)} GROUP BY ALL""",
        readings=given.table(pane),
    )


def test_minutes_five_minutes_hours_and_history(kafka: Kafka, tmp_path: Path) -> None:
    prefix = unique_name("rigs") + "-"
    inputs = {
        f"hydraulic-{sensor}": kafka.create_topic(prefix + sensor)
        for sensor in (*HYDRAULIC_SENSORS, "labels")
    }
    del inputs["hydraulic-labels"]
    outputs = own_topics(
        kafka,
        {"hydraulic-minute-alerts": 1, "hydraulic-analytics": 2, "hydraulic-history": 1,
         "hydraulic-health": 1, "hydraulic-minute-dead-letters": 1},
    )  # fmt: skip
    job = JobUnderTest(
        kafka, tmp_path, JOBS / "hydraulics-minute" / "job.yaml", {**inputs, **outputs},
        **{"changes_every: 10s": "changes_every: 200ms"},
    )  # fmt: skip
    with Simulation(kafka, tmp_path, "hydraulics", "--topic-prefix", prefix, *FLEET) as simulation:
        account, summary = feed(simulation, job, "readings", CYCLES * 43_000)
    assert summary["readings_in"] == account["readings"] - CYCLES  # the labels are not read

    given = Input(kafka, inputs.values(), time="timestamp", columns=COLUMNS, max_delay=10 * SECOND)
    assert given.late(MINUTE) == account["late"] > 50
    minutes = windows(given, MINUTE, MINUTE, MINUTE)
    keys = ("window_end", "rig", "sensor")
    assert_rows_equal(job.parquet_rows("hydraulic_minutes"), minutes, *keys)
    assert_rows_equal(job.rows("hydraulic-analytics"), minutes, *keys)
    kinds = Counter(one.header("millrace-row-kind") for one in job.records("hydraulic-analytics"))
    assert kinds[b"running"] > 0
    assert_rows_equal(
        job.parquet_rows("hydraulic_five_minutes"),
        windows(given, 5 * MINUTE, MINUTE, MINUTE),
        *keys,
    )
    hours = windows(given, HOUR, HOUR, HOUR)
    assert len(hours) == 2 * len(HYDRAULIC_SENSORS)
    assert_rows_equal(job.parquet_rows("hydraulic_hours"), hours, *keys)

    table = pa.Table.from_pylist(minutes)
    history = query(
        f"""
        SELECT *, (avg_value - avg_before) / nullif(stddev_before, 0) AS z_score,
               minutes_before >= 5 AND abs(avg_value - avg_before) > 3 * stddev_before AS unusual
        FROM (SELECT window_start, window_end, rig, sensor, message_count, avg_value,
                     100.0::double * message_count / (60 * sampling_rate_hz) AS completeness,
                     count(*) OVER history AS minutes_before,
                     avg(avg_value) OVER history AS avg_before,
                     stddev_samp(avg_value) OVER history AS stddev_before,
                     avg_value - lag(avg_value) OVER sensors AS change
              FROM minutes
              WINDOW sensors AS (PARTITION BY rig, sensor ORDER BY window_end),
                     history AS (PARTITION BY rig, sensor ORDER BY window_end
                                 RANGE BETWEEN {10 * MINUTE} PRECEDING AND {MINUTE} PRECEDING))""",
        minutes=table,
    )
    assert_rows_equal(job.rows("hydraulic-history"), history, *keys)
    health = query(
        """
        SELECT *, greatest(0, 100 - 20 * critical - 10 * spikes) AS health
        FROM (SELECT window_start, window_end, rig, count(*) AS sensors,
                     count(*) FILTER (sensor = 'PS1' AND max_value > 300
                                      OR sensor = 'TS1' AND max_value > 100) AS critical,
                     count(*) FILTER (sensor LIKE 'PS%' AND range_value > 50) AS spikes
              FROM minutes GROUP BY ALL)""",
        minutes=table,
    )
    assert_rows_equal(job.rows("hydraulic-health"), health, "window_end", "rig")

    found = job.alerts("hydraulic-minute-alerts")
    (expected,) = query(
        """
        SELECT count(*) FILTER (sensor = 'PS1' AND max_value > 300) AS "HighPressure",
               count(*) FILTER (sensor = 'TS1' AND max_value > 100) AS "HighTemperature",
               count(*) FILTER (sensor LIKE 'PS%' AND range_value > 50) AS "PressureSpike"
        FROM minutes""",
        minutes=table,
    )
    assert all(expected.values())
    expected["UnusualMinute"] = sum(bool(row["unusual"]) for row in history)
    expected["LowHealth"] = sum(row["health"] < 80 for row in health)
    assert found == +Counter(expected)

    letters = job.letters("hydraulic-minute-dead-letters")
    assert letters == refused(job, "hydraulic-minute-dead-letters", given, "readings") + Counter(
        {("minutes", "late"): given.late(MINUTE), ("five_minutes", "late"): given.late(MINUTE),
         ("hours", "late"): given.late(HOUR)}
    )  # fmt: skip
