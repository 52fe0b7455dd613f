"""Seconds, features, anomalies, correlations and cycles of a simulated rig with every fault:
DuckDB's results, pivoted there from a row a sensor and second."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from conftest import unique_name
from devtool.demo_pipelines import HYDRAULIC_SENSORS
from harness.kafka import Kafka
from pipelines.pipeline import (
    JOBS,
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

NAMES = [sensor.lower() for sensor in HYDRAULIC_SENSORS]
PRESSURES, FLOWS, TEMPERATURES = NAMES[:6], NAMES[7:9], NAMES[9:13]
CYCLES = 3
# Cycles that begin anywhere in a minute, and seconds that hold a part of one cycle only.
FLEET = (
    "--cycles", str(CYCLES), "--pause", "2", "--rate", "30000", "--seed", "5", "--start",
    "2024-06-01T23:58:17.250Z", "--late-share", "0.002", "--malformed-share", "0.001",
    "--future-share", "0.001", "--null-share", "0.002", "--duplicate-share", "0.001",
    "--spike-share", "0.00005", "--overpressure-share", "0.6", "--overheating-share", "0.6",
    "--stuck-sensors", "1", "--gap-sensors", "1",
)  # fmt: skip
COLUMNS = {
    "rig": pa.string(),
    "sensor": pa.string(),
    "cycle": pa.int64(),
    "value": pa.float64(),
    "timestamp": pa.string(),
}

LABEL_NAMES = ["label_cooler", "label_valve", "label_pump", "label_accumulator", "label_stable"]
LABELS = {
    "rig": pa.string(),
    "cycle": pa.int64(),
    **{name: pa.int64() for name in LABEL_NAMES},
    "timestamp": pa.float64(),
}


def joined(parts: list[str], separator: str = ", ") -> str:
    return separator.join(parts)


def mean_of(names: list[str]) -> str:
    return f"({joined([f'{x}_mean' for x in names], ' + ')}) / {len(names)}"


def features() -> str:
    measures = {"mean": "favg(value)", "min": "min(value)", "max": "max(value)",
                "stddev": "stddev_samp(value)", "count": "count(value)"}  # fmt: skip
    wide = [
        f"max({measure}) FILTER (sensor = '{sensor}') AS {sensor.lower()}_{measure}"
        if measure != "count"
        else f"coalesce(max(count) FILTER (sensor = '{sensor}'), 0) AS {sensor.lower()}_count"
        for sensor in HYDRAULIC_SENSORS
        for measure in measures
    ]
    long = joined([f"{call} AS {name}" for name, call in measures.items()])
    ranges = [f"{x}_max - {x}_min" for x in PRESSURES]
    variations = [f"{x}_stddev / nullif({x}_mean, 0)" for x in PRESSURES]
    return f"""
        SELECT *, window_start AS second,
               {joined([f"({x}_mean IS NOT NULL)::int" for x in NAMES], " + ")} AS sensors,
               {mean_of(PRESSURES)} AS pressure_mean, {mean_of(TEMPERATURES)} AS temperature_mean,
               {mean_of(FLOWS)} AS flow_mean, greatest({joined(ranges)}) AS pressure_range,
               greatest({joined(variations)}) AS pressure_variability,
               {mean_of(FLOWS)} / nullif({mean_of(PRESSURES)}, 0) AS flow_pressure_ratio,
               se_mean * ce_mean / 100 AS efficiency_index
        FROM (SELECT window_start, window_end, rig, cycle, {joined(wide)}
              FROM (SELECT window_start, window_end, rig, cycle, sensor, {long}
                    FROM {hopping("readings", "timestamp", SECOND, SECOND)} GROUP BY ALL)
              GROUP BY ALL)"""


def scored(seconds: pa.Table) -> list[Row]:
    """Values less the rig's last one: what stands still is then 0 in every rounding."""
    less = [f"{x}_mean - last_value({x}_mean IGNORE NULLS) OVER e AS {x}_d" for x in NAMES]
    z_scores = [
        f"CASE WHEN count({x}_d) OVER sixty >= 30 THEN ({x}_d - avg({x}_d) OVER sixty)"
        f" / nullif(stddev_pop({x}_d) OVER sixty, 0) END AS {x}_z"
        for x in NAMES
    ]
    greatest = f"greatest({joined([f'abs({x}_z)' for x in NAMES])})"
    sudden = "abs(pressure_change) > 10 OR abs(temperature_change) > 5 OR abs(flow_change) > 2"
    return query(
        f"""
        SELECT *, {greatest} AS z_score, {sudden} AS sudden
        FROM (SELECT window_start, window_end, rig, cycle, pressure_mean, temperature_mean,
                     flow_mean, {joined(z_scores)},
                     pressure_mean - lag(pressure_mean) OVER rigs AS pressure_change,
                     temperature_mean - lag(temperature_mean) OVER rigs AS temperature_change,
                     flow_mean - lag(flow_mean) OVER rigs AS flow_change
              FROM (SELECT *, {joined(less)} FROM seconds
                    WINDOW e AS (PARTITION BY rig ORDER BY window_end, cycle
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))
              WINDOW rigs AS (PARTITION BY rig ORDER BY window_end, cycle),
                     sixty AS (PARTITION BY rig ORDER BY window_end, cycle ROWS 59 PRECEDING))
        WHERE {greatest} > 3 OR {sudden}""",
        seconds=seconds,
    )


def cycles(seconds: pa.Table) -> list[Row]:
    """A cycle's seconds lie less than a minute from each other, so each is one session."""
    sensors = [
        f"fsum({x}_mean * {x}_count) / nullif(sum({x}_count), 0) AS {x}_mean, "
        f"min({x}_min) AS {x}_min, max({x}_max) AS {x}_max, stddev_samp({x}_mean) AS {x}_stddev"
        for x in NAMES
    ]
    means = ("pressure_mean", "temperature_mean", "flow_mean", "pressure_variability",
             "flow_pressure_ratio", "efficiency_index")  # fmt: skip
    return query(
        f"""
        SELECT min(window_end) - 1 AS window_start, max(window_end) - 1 + {60 * SECOND}
                 AS window_end, rig, cycle, min(second) AS started_at, count(*) AS seconds,
               {joined(sensors)}, {joined([f"favg({x}) AS {x}" for x in means])},
               max(pressure_range) AS pressure_range,
               count(*) FILTER (ps1_max > 300 OR ts1_max > 100 OR pressure_range > 50)
                 AS seconds_beyond_limits
        FROM seconds GROUP BY rig, cycle""",
        seconds=seconds,
    )


def test_seconds_anomalies_correlations_and_cycles(kafka: Kafka, tmp_path: Path) -> None:
    prefix = unique_name("rigs") + "-"
    inputs = {f"hydraulic-{name}": kafka.create_topic(prefix + name) for name in HYDRAULIC_SENSORS}
    labels = {"hydraulic-labels": kafka.create_topic(prefix + "labels")}
    outputs = own_topics(
        kafka,
        {"hydraulic-alerts": 1, "hydraulic-seconds": 2, "hydraulic-anomalies": 1,
         "hydraulic-correlations": 1, "hydraulic-dead-letters": 1},
    )  # fmt: skip
    job = JobUnderTest(
        kafka, tmp_path, JOBS / "hydraulics" / "job.yaml", {**inputs, **labels, **outputs}
    )
    with Simulation(kafka, tmp_path, "hydraulics", "--topic-prefix", prefix, *FLEET) as simulation:
        account, summary = feed(simulation, job, "readings", CYCLES * 43_000)
    assert summary["readings_in"] == account["readings"]

    given = Input(kafka, inputs.values(), time="timestamp", columns=COLUMNS, max_delay=10 * SECOND)
    assert given.late(SECOND) == account["late"] > 50
    seconds = query(features(), readings=given.table(SECOND))
    keys = ("window_end", "rig", "cycle")
    assert_rows_equal(job.rows("hydraulic-seconds"), seconds, *keys)
    assert_rows_equal(job.parquet_rows("hydraulic_seconds"), seconds, *keys)
    assert len(seconds) == CYCLES * 61  # the first and the last hold a part of a second
    table = pa.Table.from_pylist(seconds)

    anomalies = scored(table)
    assert_rows_equal(job.rows("hydraulic-anomalies"), anomalies, *keys)
    pairs = {
        "pressure_power": "ps1_mean, eps1_mean",
        "pressure_flow": "ps1_mean, fs1_mean",
        "temperatures": "ts1_mean, ts2_mean",
        "temperature_cooling": "ts1_mean, ce_mean",
    }
    # DuckDB gives NaN where PostgreSQL, and we, give null: of one pair of values.
    correlations = query(
        f"""
        SELECT window_start, window_end, rig, count(*) AS seconds,
               {
            joined(
                [
                    f"CASE WHEN isfinite(corr({xy})) THEN corr({xy}) END AS {name}"
                    for name, xy in pairs.items()
                ]
            )
        }
        FROM (SELECT *, window_start + {60 * SECOND} AS window_end
              FROM (SELECT * EXCLUDE (window_start, window_end),
                           (second // {10 * SECOND} - shift) * {10 * SECOND} AS window_start
                    FROM seconds, range(6) AS shifts(shift)))
        GROUP BY window_start, window_end, rig""",
        seconds=table,
    )
    assert_rows_equal(job.rows("hydraulic-correlations"), correlations, "window_end", "rig")

    of_cycles = cycles(table)
    assert len(of_cycles) == CYCLES
    known = Input(
        kafka, labels.values(), time="timestamp", columns=LABELS, max_delay=10 * SECOND
    ).table(None)
    training = query(
        f"SELECT c.*, {joined(LABEL_NAMES)} FROM cycles c JOIN labels USING (rig, cycle)",
        cycles=pa.Table.from_pylist(of_cycles),
        labels=known,
    )
    assert len(training) == CYCLES
    assert_rows_equal(job.parquet_rows("hydraulic_training_set"), training, "rig", "cycle")

    expected = Counter(
        {
            "HighPressure": sum((row["ps1_max"] or 0) > 300 for row in seconds),
            "HighTemperature": sum((row["ts1_max"] or 0) > 100 for row in seconds),
            "PressureSpike": sum((row["pressure_range"] or 0) > 50 for row in seconds),
            "UnusualValue": sum((row["z_score"] or 0) > 3 for row in anomalies),
            "SuddenChange": sum(bool(row["sudden"]) for row in anomalies),
            "CorrelationLost": sum(
                row["seconds"] >= 30
                and any(
                    row[name] is not None and row[name] < 0.5
                    for name in ("pressure_power", "temperatures")
                )
                for row in correlations
            ),
        }
    )
    assert all(expected.values()), expected
    assert job.alerts("hydraulic-alerts") == expected
    letters = job.letters("hydraulic-dead-letters")
    assert letters == refused(job, "hydraulic-dead-letters", given, "readings") + Counter(
        {("seconds", "late"): given.late(SECOND)}
    )
