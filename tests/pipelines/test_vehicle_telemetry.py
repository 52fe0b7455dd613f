"""Cars, models and colours looked up, rules, and counts by colour, in one job and in three that are
chained by topics, killed on the way: DuckDB's results."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from harness.kafka import Kafka, Record
from pipelines.pipeline import (
    JOBS,
    MINUTE,
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

FOLDER = JOBS / "vehicle-telemetry"
READINGS = 36_000  # of 22 cars: 27 minutes
CHAINED_READINGS = 24_000
# Two of the cars are in no table.
FLEET = (
    "--readings", str(READINGS), "--rate", "12000", "--cars", "22", "--seed", "9", "--start",
    "2024-06-01T23:40:00Z", "--malformed-share", "0.005", "--future-share", "0.005",
    "--null-share", "0.01", "--duplicate-share", "0.01", "--gap-cars", "1", "--stuck-cars", "1",
)  # fmt: skip
COLUMNS = {
    "event_id": pa.string(),
    "event_time": pa.string(),
    "car_id": pa.int64(),
    "speed": pa.int64(),
    "rpm": pa.int64(),
    "gear": pa.int64(),
}
ENRICHED = """
    SELECT r.*, c.driver_id, m.car_brand AS brand_name, m.car_model AS model_name, k.color_name,
           floor(r.speed / 30.0::double + 0.5)::bigint AS expected_gear
    FROM readings r LEFT JOIN cars c USING (car_id) LEFT JOIN models m USING (model_id)
    LEFT JOIN colors k USING (color_id)"""
DETECTED = f"SELECT * FROM ({ENRICHED}) WHERE speed > 120 OR expected_gear <> gear OR rpm > 6000"
COLORS = ("Black", "Red", "Gray", "White", "Green", "Blue", "Pink")


@pytest.fixture(scope="module")
def written() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", FOLDER / "tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_their_script_writes(written: ModuleType) -> None:
    for name, table in written.tables().items():
        assert parquet.read_table(FOLDER / "tables" / f"{name}.parquet") == table
    assert len(set(written.tables()["cars"]["car_id"].to_pylist())) == 20


def counts(given: Input, tables: dict[str, pa.Table], pane: int | None) -> list[Row]:
    colors = ", ".join(
        f"count(*) FILTER (color_name = '{color}') AS num_of_{color.lower()}" for color in COLORS
    )
    return query(
        f"""
        SELECT window_start, window_end, count(*) AS num_of_rows, {colors},
               count(*) FILTER (color_name IS NULL) AS num_of_unknown,
               max(speed) AS maximum_speed, max(gear) AS maximum_gear, max(rpm) AS maximum_rpm
        FROM {hopping(f"({DETECTED})", "event_time", 15 * MINUTE, MINUTE)} GROUP BY ALL""",
        readings=given.table(pane),
        **tables,
    )


def check_counts(job: JobUnderTest, expected: list[Row]) -> None:
    assert_rows_equal(job.rows("alert-counts"), expected, "window_end")
    assert_rows_equal(job.parquet_rows("vehicle_alert_counts"), expected, "window_end")
    assert sum(row["num_of_unknown"] for row in expected) > 0


def check_cars_in_order(records: list[Record], given: Input) -> None:
    """A record's key is its car, so that a car's readings are in one partition, in the order in
    which they were sent."""
    partitions: dict[int, set[int]] = {}
    found: dict[int, list[str]] = {}
    for record in records:
        row = json.loads(record.value or b"")
        car = row["car_id"]
        assert record.key == f'{{"car_id":{car}}}'.encode()
        partitions.setdefault(car, set()).add(record.partition)
        found.setdefault(car, []).append(row["event_id"])
    assert len(found) == 22
    assert all(len(of_car) == 1 for of_car in partitions.values())
    ids = {one for of_car in found.values() for one in of_car}
    sent: dict[int, list[str]] = {}
    for message in given.messages:
        if message.is_reading and message.row is not None and message.row["event_id"] in ids:
            sent.setdefault(message.row["car_id"], []).append(message.row["event_id"])
    assert found == sent


def test_one_job(kafka: Kafka, tmp_path: Path, written: ModuleType) -> None:
    tables = written.tables()
    topics = own_topics(
        kafka,
        {"sensors-sample": 4, "samples-enriched": 4, "alert-data": 4, "alert-counts": 1,
         "vehicle-alerts": 1, "vehicle-dead-letters": 1},
    )  # fmt: skip
    job = JobUnderTest(
        kafka, tmp_path, FOLDER / "job.yaml", topics,
        **{"${env:VEHICLE_TABLES}": str(FOLDER / "tables")},
    )  # fmt: skip
    with Simulation(
        kafka, tmp_path, "vehicles", "--topic", topics["sensors-sample"], *FLEET,
        "--late-share", "0.02",
    ) as simulation:  # fmt: skip
        account, summary = feed(simulation, job, "readings", READINGS)
    assert summary["readings_in"] == account["readings"] == READINGS
    given = Input(
        kafka, [topics["sensors-sample"]], time="event_time", columns=COLUMNS,
        max_delay=20 * MINUTE,
    )  # fmt: skip
    assert given.late(MINUTE) == account["late"] > 0
    everything = given.table_with_lateness(MINUTE)
    enriched = query(ENRICHED, readings=given.table(None), **tables)
    assert_rows_equal(job.rows("samples-enriched"), enriched, "event_id")
    assert sum(row["driver_id"] is None for row in enriched) > 1000
    detected = query(DETECTED, readings=given.table(None), **tables)
    assert_rows_equal(job.rows("alert-data"), detected, "event_id")
    check_counts(job, counts(given, tables, MINUTE))

    expected: Counter[str] = Counter()
    for row in enriched:
        expected["Speeding"] += row["speed"] is not None and row["speed"] > 120
        expected["HighRpm"] += row["rpm"] > 6000
        expected["WrongGear"] += row["expected_gear"] not in (None, row["gear"])
    assert job.alerts("vehicle-alerts") == expected
    (late,) = query(
        f"SELECT count(*) AS n FROM ({DETECTED}) WHERE late", readings=everything, **tables
    )
    letters = job.letters("vehicle-dead-letters")
    assert letters == refused(job, "vehicle-dead-letters", given, "readings") + Counter(
        {("counts", "late"): late["n"]}
    )


def test_three_chained_jobs(kafka: Kafka, tmp_path: Path, written: ModuleType) -> None:
    tables = written.tables()
    topics = own_topics(
        kafka,
        {"sensors-sample": 4, "samples-enriched": 4, "alert-data": 4, "alert-counts": 1,
         "enrichment-dead-letters": 1, "alert-detection-dead-letters": 1,
         "alert-counter-dead-letters": 1},
    )  # fmt: skip

    def job(name: str, *names: str, **texts: str) -> JobUnderTest:
        own = {one: topics[one] for one in (*names, f"{name}-dead-letters")}
        return JobUnderTest(kafka, tmp_path / name, FOLDER / f"{name}.yaml", own, **texts)

    enrichment = job(
        "enrichment", "sensors-sample", "samples-enriched",
        **{"${env:VEHICLE_TABLES}": str(FOLDER / "tables")},
    )  # fmt: skip
    detection = job("alert-detection", "samples-enriched", "alert-data")
    counter = job("alert-counter", "alert-data", "alert-counts")
    # 18 minutes, less than max_delay: a job that catches up mixes the cars of several partitions in
    # each partition of its output, whichever it reads first, and nothing may be late for that.
    fleet = [one if one != str(READINGS) else str(CHAINED_READINGS) for one in FLEET]
    with Simulation(
        kafka, tmp_path, "vehicles", "--topic", topics["sensors-sample"], *fleet
    ) as simulation:
        feed(simulation, enrichment, "readings", CHAINED_READINGS)
    given = Input(
        kafka, [topics["sensors-sample"]], time="event_time", columns=COLUMNS,
        max_delay=20 * MINUTE,
    )  # fmt: skip
    enriched = query(ENRICHED, readings=given.table(None), **tables)
    assert_rows_equal(enrichment.rows("samples-enriched"), enriched, "event_id")
    check_cars_in_order(enrichment.records("samples-enriched"), given)
    detected = query(DETECTED, readings=given.table(None), **tables)
    detection.run_killed("enriched", [len(enriched) // 2])
    assert detection.finish()["readings_in"] == len(enriched)
    assert_rows_equal(detection.rows("alert-data"), detected, "event_id")
    check_cars_in_order(detection.records("alert-data"), given)
    counter.run_killed("alerts", [len(detected) // 2])
    assert counter.finish()["readings_in"] == len(detected)
    check_counts(counter, counts(given, tables, None))
    assert not detection.letters("alert-detection-dead-letters")
    assert not counter.letters("alert-counter-dead-letters")
