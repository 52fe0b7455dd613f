"""Both jobs over simulated sensors with every fault, killed on the way: DuckDB's results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from harness.kafka import Kafka
from pipelines.pipeline import (
    JOBS,
    MICROSECOND,
    MINUTE,
    SECOND,
    Input,
    JobUnderTest,
    Simulation,
    assert_rows_equal,
    feed,
    hopping,
    own_topics,
    query,
    refused,
)

FOLDER = JOBS / "building-sensors"
READINGS = 16_000
FLEET = (
    "--readings", str(READINGS), "--rate", "5000", "--sensors", "40", "--seed", "3",
    "--start", "2024-06-01T11:59:30Z", "--null-share", "0.01", "--late-share", "0.01",
    "--malformed-share", "0.01", "--future-share", "0.005", "--duplicate-share", "0.01",
    "--spike-share", "0.01", "--hot-sensors", "2", "--stuck-sensors", "1", "--gap-sensors", "1",
)  # fmt: skip
COLUMNS = {
    "sensor_id": pa.string(),
    "sensor_type": pa.string(),
    "location": pa.string(),
    "value": pa.float64(),
    "timestamp": pa.string(),
    "quality": pa.string(),
}


def read_input(kafka: Kafka, topic: str, max_delay: int) -> Input:
    return Input(kafka, [topic], time="timestamp", columns=COLUMNS, max_delay=max_delay)


def test_windows_last_ten_health_and_alerts(kafka: Kafka, tmp_path: Path) -> None:
    topics = own_topics(
        kafka,
        {"iot-sensors": 3, "iot-alerts": 1, "iot-types": 2, "iot-last-ten": 2, "iot-health": 1,
         "iot-dead-letters": 1},
    )  # fmt: skip
    job = JobUnderTest(kafka, tmp_path, FOLDER / "job.yaml", topics)
    with Simulation(
        kafka, tmp_path, "building-sensors", "--topic", topics["iot-sensors"], *FLEET
    ) as simulation:
        account, summary = feed(simulation, job, "readings", READINGS)
    assert summary["readings_in"] == account["readings"] == READINGS

    given = read_input(kafka, topics["iot-sensors"], 5 * SECOND)
    pane = 10 * SECOND
    assert given.late(pane) == account["late"] > 50
    windows = hopping("readings", "timestamp", 30 * SECOND, 10 * SECOND)
    types = query(
        f"""
        SELECT window_start, window_end, sensor_type, count(*) AS message_count,
               favg(value) AS avg_value, max(value) AS max_value, min(value) AS min_value,
               count(DISTINCT sensor_id) AS sensors,
               count(*) FILTER (quality = 'degraded') AS degraded
        FROM {windows} GROUP BY ALL""",
        readings=given.table(pane),
    )
    assert_rows_equal(job.rows("iot-types"), types, "window_end", "sensor_type")
    assert_rows_equal(job.parquet_rows("iot_types"), types, "window_end", "sensor_type")

    health = query(
        f"""
        SELECT *, CASE WHEN total_alerts > 10 THEN 'Critical' WHEN total_alerts > 5 THEN 'Warning'
                       ELSE 'Good' END AS system_health
        FROM (SELECT window_start, window_end, count(*) AS total_messages,
                     count(*) FILTER (sensor_type = 'temperature' AND value > 30
                                      OR sensor_type = 'humidity' AND value > 70) AS total_alerts,
                     count(DISTINCT sensor_id) AS active_sensors
              FROM {windows} GROUP BY ALL)""",
        readings=given.table(pane),
    )
    assert_rows_equal(job.rows("iot-health"), health, "window_end")
    states = Counter(row["system_health"] for row in health)
    assert states["Critical"] > 0
    assert states["Critical"] + states["Warning"] + states["Good"] == len(health)

    last_ten = query(
        """
        SELECT timestamp AS observed_at, sensor_id, sensor_type, location, value,
               count(value) OVER w AS values_of_ten, avg(value) OVER w AS avg_of_ten,
               min(value) OVER w AS min_of_ten, max(value) OVER w AS max_of_ten
        FROM readings
        WINDOW w AS (PARTITION BY sensor_id ORDER BY timestamp ROWS 9 PRECEDING)""",
        readings=given.table(MICROSECOND),
    )
    assert_rows_equal(job.rows("iot-last-ten"), last_ten, "sensor_id", "observed_at")

    expected = Counter(
        row["name"]
        for row in query(
            """
            SELECT CASE WHEN sensor_type = 'temperature' AND value > 30 THEN 'HighTemperature'
                        WHEN sensor_type = 'temperature' AND value < 15 THEN 'LowTemperature'
                        WHEN sensor_type = 'humidity' AND value > 70 THEN 'HighHumidity'
                        WHEN sensor_type = 'humidity' AND value < 30 THEN 'LowHumidity'
                        WHEN sensor_type = 'pressure' AND value > 1030 THEN 'HighPressure'
                        WHEN sensor_type = 'pressure' AND value < 1000 THEN 'LowPressure'
                   END AS name
            FROM readings""",
            readings=given.table(None),
        )
        if row["name"] is not None
    )
    assert len(expected) == 6
    for state in ("Critical", "Warning"):
        expected[f"System{state}"] = states[state]
    assert job.alerts("iot-alerts") == +expected

    # A reading that is late has a letter of each stream that cannot take it.
    late = {"types": pane, "totals": pane, "last_ten": MICROSECOND}
    assert job.letters("iot-dead-letters") == refused(
        job, "iot-dead-letters", given, "readings"
    ) + Counter({(stream, "late"): given.late(of) for stream, of in late.items()})


def test_tumbling_windows_of_the_originals_code(kafka: Kafka, tmp_path: Path) -> None:
    topics = own_topics(
        kafka,
        {"iot-sensors": 3, "iot-types-changes": 1, "iot-extreme-alerts": 1,
         "iot-tumbling-dead-letters": 1},
    )  # fmt: skip
    # Rows that change come often here, so that there are some.
    job = JobUnderTest(
        kafka, tmp_path, FOLDER / "tumbling.yaml", topics,
        **{"changes_every: 10s": "changes_every: 200ms"},
    )  # fmt: skip
    with Simulation(
        kafka, tmp_path, "building-sensors", "--topic", topics["iot-sensors"], *FLEET,
        "--max-delay", "2m", "--pane", "30s",
    ) as simulation:  # fmt: skip
        account, _ = feed(simulation, job, "readings", READINGS)
    given = read_input(kafka, topics["iot-sensors"], 2 * MINUTE)
    assert given.late(30 * SECOND) == account["late"] > 0
    types = query(
        f"""
        SELECT window_start, window_end, sensor_type, count(*) AS message_count,
               favg(value) AS avg_value, max(value) AS max_value, min(value) AS min_value
        FROM {hopping("readings", "timestamp", 30 * SECOND, 30 * SECOND)} GROUP BY ALL""",
        readings=given.table(30 * SECOND),
    )
    assert_rows_equal(job.rows("iot-types-changes"), types, "window_end", "sensor_type")
    assert_rows_equal(job.parquet_rows("iot_types_tumbling"), types, "window_end", "sensor_type")
    kinds = Counter(one.header("millrace-row-kind") for one in job.records("iot-types-changes"))
    assert kinds[b"running"] > 0
    extreme = query(
        "SELECT count(*) AS n FROM readings WHERE sensor_type = 'temperature' AND value > 35",
        readings=given.table(None),
    )
    assert job.alerts("iot-extreme-alerts") == {"ExtremeTemperature": extreme[0]["n"]}
