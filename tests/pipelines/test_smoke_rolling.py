"""The smoke job's statistics over the readings before each: z-scores, stuck sensors, silence,
sensor health, and the signs of a fire, beside DuckDB's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from conftest import unique_name
from harness.kafka import Kafka
from oracle.jobs import SmokeRun, simulate
from pipelines.pipeline import (
    MICROSECOND,
    MINUTE,
    Input,
    Row,
    assert_rows_equal,
    query,
    with_numbers,
)

FLEET = (
    "--readings", "20000", "--devices", "12", "--seed", "7", "--start", "2024-03-01T23:20:00Z",
    "--late-share", "0.01", "--malformed-share", "0.005", "--future-share", "0.005",
    "--duplicate-share", "0.01", "--stuck-devices", "1", "--gap-devices", "2",
    "--fires-per-day", "48",
)  # fmt: skip
VALUES = {
    "temperature": "Temperature[C]",
    "humidity": "Humidity[%]",
    "tvoc": "TVOC[ppb]",
    "eco2": "eCO2[ppm]",
    "pressure": "Pressure[hPa]",
    "pm25": "PM2.5",
}
COLUMNS = {
    "device_id": pa.string(),
    "location": pa.string(),
    "timestamp": pa.string(),
    "Fire Alarm": pa.int64(),
    **{field: pa.float64() for field in VALUES.values()},
}
RENAMED = 'SELECT device_id, location, timestamp AS observed_at, "Fire Alarm" AS fire_alarm, ' + (
    ", ".join(f'"{field}" AS {name}' for name, field in VALUES.items()) + " FROM readings"
)


def rolling() -> str:
    """Values less the device's last one: what stands still is then 0 in every rounding."""
    z_scores = ", ".join(
        f"CASE WHEN count({x}) OVER hundred >= 30 THEN (d_{x} - avg(d_{x}) OVER hundred)"
        f" / nullif(stddev_pop(d_{x}) OVER hundred, 0) END AS {x}_z"
        for x in VALUES
    )
    stuck = " OR ".join(
        f"count({x}) OVER sixty >= 30 AND max({x}) OVER sixty = min({x}) OVER sixty"
        for x in ("temperature", "humidity", "pressure")
    )
    differences = ", ".join(
        f"{x} - last_value({x} IGNORE NULLS) OVER everything AS d_{x}" for x in VALUES
    )
    missing = " + ".join(f"({x} IS NULL)::int" for x in VALUES)
    return f"""
        SELECT device_id, observed_at, location, fire_alarm, {", ".join(VALUES)}, {z_scores},
               {stuck} AS stuck,
               (observed_at - lag(observed_at) OVER devices) / 1e6 AS silence,
               100 - 10 * ({missing})
                 - CASE WHEN temperature < -50 OR temperature > 100 THEN 20 ELSE 0 END
                 - CASE WHEN humidity < 0 OR humidity > 100 THEN 15 ELSE 0 END
                 - CASE WHEN tvoc < 0 THEN 10 ELSE 0 END AS quality
        FROM (SELECT *, {differences} FROM ({RENAMED})
              WINDOW everything AS (PARTITION BY device_id ORDER BY observed_at
                  ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))
        WINDOW devices AS (PARTITION BY device_id ORDER BY observed_at),
               hundred AS (PARTITION BY device_id ORDER BY observed_at ROWS 99 PRECEDING),
               sixty AS (PARTITION BY device_id ORDER BY observed_at ROWS 59 PRECEDING)"""


GREATEST = "greatest(" + ", ".join(f"abs({x}_z)" for x in VALUES) + ")"


def health(table: pa.Table) -> list[Row]:
    return query(
        f"""
        SELECT *, CASE WHEN stuck_readings > 0 OR quality < 80 THEN 'Critical'
                       WHEN longest_silence > 60 OR poor_readings > 0
                            OR 10 * unusual_readings > readings THEN 'Warning'
                       ELSE 'Good' END AS health
        FROM (SELECT observed_at // {MINUTE} * {MINUTE} AS window_start,
                     (observed_at // {MINUTE} + 1) * {MINUTE} AS window_end, device_id,
                     max(location) AS location, count(*) AS readings, avg(quality) AS quality,
                     count(*) FILTER (quality < 80) AS poor_readings,
                     count(*) FILTER ({GREATEST} > 3) AS unusual_readings,
                     count(*) FILTER (stuck) AS stuck_readings,
                     max(silence) AS longest_silence
              FROM ({rolling()}) GROUP BY ALL)""",
        readings=table,
    )


def test_what_the_last_readings_say(kafka: Kafka, tmp_path: Path) -> None:
    topic = kafka.create_topic(unique_name("readings"), 4)
    simulate(kafka, topic, tmp_path / "simulator", *FLEET)
    run = SmokeRun(kafka, topic, tmp_path / "job")
    given = Input(kafka, [topic], time="timestamp", columns=COLUMNS, max_delay=10 * MINUTE)
    table = given.table(MICROSECOND)

    unusual = query(
        f"SELECT *, {GREATEST} AS z_score FROM ({rolling()}) WHERE {GREATEST} > 3", readings=table
    )
    assert_rows_equal(
        [with_numbers(row) for row in run.unusual()], unusual, "device_id", "observed_at"
    )
    minutes = health(table)
    assert_rows_equal(
        [with_numbers(row) for row in run.sensor_health()], minutes, "device_id", "window_end"
    )
    assert {row["health"] for row in minutes} == {"Good", "Warning", "Critical"}

    signs = query(
        f"""
        SELECT (temperature > 45 IS TRUE)::int + (tvoc > 800 IS TRUE)::int
               + (eco2 > 800 IS TRUE)::int + (pm25 > 30 IS TRUE)::int AS signs, count(*) AS n
        FROM ({RENAMED}) GROUP BY ALL""",
        readings=given.table(None),
    )
    silent = query(f"SELECT count(*) AS n FROM ({rolling()}) WHERE silence > 60", readings=table)
    expected = Counter(
        {
            "FirePatternCritical": sum(row["n"] for row in signs if row["signs"] >= 3),
            "FirePatternHigh": sum(row["n"] for row in signs if row["signs"] == 2),
            "VeryUnusualValue": sum(row["z_score"] > 4 for row in unusual),
            "UnusualValue": sum(row["z_score"] <= 4 for row in unusual),
            "DeviceWasSilent": silent[0]["n"],
            "SensorStuck": sum(row["stuck_readings"] > 0 for row in minutes),
            "SensorHealthCritical": sum(row["health"] == "Critical" for row in minutes),
        }
    )
    assert all(expected.values()), expected
    found = Counter(alert["alert"] for alert in run.alerts())
    assert {name: found[name] for name in expected} == expected
