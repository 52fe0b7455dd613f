"""Joins with lookups, by whole processes: files of every format, a compacted topic, refreshed and
followed while the job runs, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conftest import unique_name
from harness.kafka import Kafka, Record
from harness.millrace import Job, run
from harness.waiting import wait_for
from system.fleet import END_WHEN_IDLE, START, rows_of_files, rows_of_topic

JOB = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: 200ms}}
  streams:
    readings:
      kafka: {{topic: {topic}, properties: {{fetch.wait.max.ms: 50}}}}
      columns: {{device: text, at: {{type: timestamp, timestamp: millis}}, value: double}}
      event_time: {{column: at, max_delay: 10s}}
    named:
      sql: {sql}
  lookups:
{lookups}
  sinks:
    - {{stream: named, {sink}}}
  dead_letters: {{kafka: {{topic: {dead}}}}}
"""
FILES = "files: {path: named, format: json, roll_interval: 1s}"


def write_job(
    folder: Path, topic: str, lookups: str, sql: str, *, sink: str = FILES, dead: str = ""
) -> Path:
    path = folder / "job.yaml"
    path.write_text(
        JOB.format(
            name=unique_name("lookups"),
            topic=topic,
            sql=json.dumps(sql),
            lookups="".join(f"    {line}\n" for line in lookups.splitlines()).rstrip(),
            sink=sink,
            dead=dead or unique_name("dead"),
        )
    )
    return path


def reading(device: str | None, second: float, value: float = 1.0) -> Record:
    at = int((START + second) * 1000)
    body = json.dumps({"device": device, "at": at, "value": value})
    return Record(body.encode(), (device or "").encode(), 0, timestamp_ms=at)


def replace(path: Path, text: str) -> None:
    """As a careful writer does it: never half a file."""
    aside = path.with_name("." + path.name)
    aside.write_text(text)
    aside.replace(path)


def wait_for_value(job: Job, name: str, value: int, **labels: str) -> None:
    """Of a metric of the lookup `devices`."""

    def look() -> bool | None:
        return job.metrics().total(name, lookup="devices", **labels) == value or None

    wait_for(f"{name} = {value}", look)


def test_files_of_every_format_and_a_topic(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source, rooms, dead = topic(), topic(2, **{"cleanup.policy": "compact"}), unique_name("dead")
    minute = 60_000_000
    pq.write_table(
        pa.table(
            {
                "id": ["a", "a", "b", "c"],
                "room": ["r1", "r2", "r2", "r9"],
                "since": pa.array(
                    [None, (START + 60) * 1_000_000, 0, 0], pa.timestamp("us", tz="UTC")
                ),
                "until": pa.array(
                    [(START + 60) * 1_000_000, None, START * 1_000_000 + minute, None],
                    pa.timestamp("us", tz="UTC"),
                ),
                "unread": [1, 2, 3, 4],
            }
        ),
        tmp_path / "stays.parquet",
    )
    (tmp_path / "models.csv").write_text("device;model\na;M1\nb;\n")
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "1.jsonl").write_text('{"model":"M1","limit":{"value":5.5}}\n')
    (tmp_path / "limits" / "2.jsonl").write_text('[{"model":"M2","limit":{"value":7}}]\n')
    kafka.produce(
        rooms,
        [
            Record(b'{"room":"r1","floor":1}', b"r1", 0),
            Record(b'{"room":"r2","floor":1}', b"r2", 1),
            Record(b'{"room":"r2","floor":2}', b"r2", 1),
            Record(b'{"room":"r9","floor":9}', b"r9", 0),
            Record(None, b"r9", 0),
            Record(b"not JSON", b"r8", 0),
            Record(None, b'{"room":"r8"}', 0),
            Record(None, b"r8", 0),
        ],
    )
    lookups = f"""\
stays:
  files: {{path: {tmp_path / "stays.parquet"}}}
  format: parquet
  columns: {{device: {{type: text, from: id}}, room: text, since: timestamp, until: timestamp}}
  key: device
  valid: {{from: since, to: until}}
models:
  files: {{path: "{tmp_path}/mod*.csv"}}
  format: csv
  csv: {{delimiter: ";"}}
  columns: {{device: text, model: text}}
  key: [device]
  missing: dead_letter
limits:
  files: {{paths: ["{tmp_path / "limits"}"]}}
  format: json
  columns: {{model: text, highest: {{type: double, from: $.limit.value}}}}
  key: model
rooms:
  kafka: {{topic: {rooms}}}
  columns: {{room: text, floor: integer}}
  key: room
unused:
  files: {{path: {tmp_path / "nowhere.csv"}}}
  format: csv
  columns: {{a: text}}
  key: a
"""
    sql = (
        "SELECT r.device, value, s.room, m.model, highest, floor FROM readings r "
        "JOIN models m ON m.device = r.device "
        "LEFT JOIN stays s ON s.device = r.device "
        "LEFT JOIN limits l ON l.model = m.model "
        "LEFT JOIN rooms ON rooms.room = s.room"
    )
    kafka.produce(
        source,
        [
            reading("a", 10, 1),
            reading("a", 70, 2),
            reading("b", 59, 3),
            reading("b", 60, 4),
            reading("c", 61, 5),
            reading(None, 62, 6),
        ],
    )
    job_file = write_job(tmp_path, source, lookups, sql, dead=dead)
    with Job(job_file, tmp_path, brokers=kafka.bootstrap, arguments=END_WHEN_IDLE) as job:
        assert job.wait() == 0, job.output
        summary: dict[str, Any] = job.summary()
    rows = rows_of_files(job.data_dir / "named")
    assert sorted(rows, key=lambda row: row["value"]) == [
        {"device": "a", "value": 1, "room": "r1", "model": "M1", "highest": 5.5, "floor": 1},
        {"device": "a", "value": 2, "room": "r2", "model": "M1", "highest": 5.5, "floor": 2},
        {"device": "b", "value": 3, "room": "r2", "model": None, "highest": None, "floor": 2},
        {"device": "b", "value": 4, "room": None, "model": None, "highest": None, "floor": None},
    ]
    assert summary["balanced"]
    letters = kafka.read_all(dead)
    assert sorted(
        ((letter.header("reason") or b"").decode(), int(letter.header("offset") or b"-1"))
        for letter in letters
    ) == [("missing_key", 4), ("missing_key", 5)]
    plan = run(["plan", job_file]).stdout
    assert "lookup" in plan and "stays" in plan


def test_is_refreshed_while_the_job_runs(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source, output = topic(), unique_name("named")
    devices = tmp_path / "devices.csv"
    replace(devices, "device,model\na,M1\n")
    lookups = f"""\
devices:
  files: {{path: {devices}}}
  format: csv
  columns: {{device: text, model: text}}
  key: device
  refresh: 1s
"""
    sql = "SELECT value, model FROM readings r LEFT JOIN devices d ON d.device = r.device"
    job_file = write_job(tmp_path, source, lookups, sql, sink=f"kafka: {{topic: {output}}}")
    with Job(job_file, tmp_path, brokers=kafka.bootstrap) as job:
        job.wait_for_line(r"running\b")
        kafka.produce(source, [reading("a", 1, 1), reading("b", 1, 2)])
        wait_for("two rows", lambda: len(rows_of_topic(kafka, output)) == 2 or None)
        replace(devices, "device,model\na,M2\nb,M3\n,M4\n")
        job.wait_for_line("1 rows have a null in their key")
        wait_for_value(job, "millrace_lookup_rows_without_key", 1)
        kafka.produce(source, [reading("a", 2, 3), reading("b", 2, 4)])
        wait_for("four rows", lambda: len(rows_of_topic(kafka, output)) == 4 or None)
        replace(devices, "device,model\na,M5\na,M6\n")
        job.wait_for_line("a refresh failed, rows stay as they were: lookup devices: device = 'a'")
        refreshes = "millrace_lookup_refreshes_total"
        job.wait_for_metric(refreshes, 1, lookup="devices", result="failed")
        devices.unlink()
        job.wait_for_line("there is no file or folder")
        kafka.produce(source, [reading("a", 3, 5), reading("c", 3, 6)])
        wait_for("six rows", lambda: len(rows_of_topic(kafka, output)) == 6 or None)
        wait_for_value(job, "millrace_lookup_misses_total", 2)
        wait_for_value(job, "millrace_lookup_rows", 2)
        assert job.stop() == 0, job.output
    found = {row["value"]: row["model"] for row in rows_of_topic(kafka, output)}
    assert found == {1: "M1", 2: None, 3: "M2", 4: "M3", 5: "M2", 6: None}


def test_a_topic_is_followed(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    source, devices, output = topic(), topic(2), unique_name("named")
    kafka.produce(devices, [Record(b'{"device":"a","model":"M1"}', b"a", 0)])
    lookups = f"""\
devices:
  kafka: {{topic: {devices}}}
  columns: {{device: text, model: text}}
  key: device
"""
    sql = "SELECT value, model FROM readings r LEFT JOIN devices d ON d.device = r.device"
    job_file = write_job(tmp_path, source, lookups, sql, sink=f"kafka: {{topic: {output}}}")
    with Job(job_file, tmp_path, brokers=kafka.bootstrap) as job:
        job.wait_for_line(r"running\b")
        wait_for_value(job, "millrace_lookup_rows", 1)
        kafka.produce(source, [reading("a", 1, 1), reading("b", 1, 2)])
        wait_for("two rows", lambda: len(rows_of_topic(kafka, output)) == 2 or None)
        kafka.produce(
            devices,
            [
                Record(b'{"device":"b","model":"M2"}', b"b", 1),
                Record(b'{"device":"c","model":"M3"}', b"c", 0),
            ],
        )
        wait_for_value(job, "millrace_lookup_rows", 3)
        kafka.produce(devices, [Record(None, b"a", 0), Record(b"?", b"c", 0)])
        wait_for_value(job, "millrace_lookup_rows", 2)
        job.wait_for_line("records cannot be read, the rows of their keys stay as they were")
        kafka.produce(source, [reading("a", 2, 3), reading("b", 2, 4), reading("c", 2, 5)])
        wait_for("five rows", lambda: len(rows_of_topic(kafka, output)) == 5 or None)
        assert job.stop() == 0, job.output
    found = {row["value"]: row["model"] for row in rows_of_topic(kafka, output)}
    assert found == {1: "M1", 2: None, 3: None, 4: "M2", 5: "M3"}
    # The record of 'c' cannot be read: the next start says so, until there is a later one.
    with Job(job_file, tmp_path, brokers=kafka.bootstrap, name="again") as job:
        assert job.wait() == 1
        assert "1 records cannot be read, and no later one of their key stands for" in job.output
    kafka.produce(devices, [Record(b'{"device":"c","model":"M4"}', b"c", 0)])
    kafka.produce(source, [reading("c", 3, 6)])
    with Job(job_file, tmp_path, brokers=kafka.bootstrap, name="mended") as job:
        job.wait_for_line(r"running\b")
        wait_for("six rows", lambda: len(rows_of_topic(kafka, output)) == 6 or None)
        kafka.delete_topic(devices)
        job.wait_for_line("the topic can not be followed any more, which ends the job")
        kafka.produce(source, [reading("c", 4, 7)])
        assert job.wait() == 1
        assert "was deleted while it was read" in job.output


def test_what_cannot_be_read_keeps_the_job_from_starting(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic()
    devices = tmp_path / "devices.json"
    lookups = f"""\
devices:
  files: {{path: {devices}}}
  format: json
  columns: {{device: text, level: integer}}
  key: device
"""
    sql = "SELECT level FROM readings r JOIN devices d ON d.device = r.device"
    job_file = write_job(tmp_path, source, lookups, sql)

    def refused(name: str) -> str:
        with Job(job_file, tmp_path, brokers=kafka.bootstrap, name=name) as job:
            assert job.wait() == 1
            return job.output

    assert f"lookup devices: there is no file or folder {devices}" in refused("missing")
    devices.write_text('{"device":"a","level":1}\n{"device":"b","level":"high"}\n')
    assert f"lookup devices: {devices}, row 1: " in refused("row")
    devices.write_text('{"device":"a","level":1}\n{"device":"a","level":2}\n')
    assert f"device = 'a' is there twice: {devices}, row 0 and {devices}, row 1" in refused("twice")
