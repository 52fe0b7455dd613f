"""Kafka messages of several readings: arrays of objects, lines of CSV, SenML packs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import unique_name
from harness.kafka import Kafka, Record
from harness.millrace import Job
from oracle.shared_data import present
from system.fleet import END_WHEN_IDLE, START, rows_of_files

JOB = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: 200ms}}
  streams:
    readings:
      kafka: {{topics: [{topic}], properties: {{fetch.wait.max.ms: 50}}}}
{source}
    hot:
      sql: |
        SELECT {columns} FROM readings WHERE {condition}
  alerts:
    - {{alert: Hot, stream: hot, expr: "true"}}
  sinks:
    - {{stream: readings, files: {{path: readings, format: json, roll_interval: 1s}}}}
    - {{stream: hot, files: {{path: hot, format: json, roll_interval: 1s}}}}
    - {{alerts: all, files: {{path: alerts, format: json, roll_interval: 1s}}}}
  dead_letters: {{kafka: {{topic: {dead}}}}}
"""

DEVICE_SOURCE = """\
      format: {format}
{more}
      columns: {{device: text, at: {{type: timestamp, timestamp: millis}}, value: double}}
      event_time: {{column: at, max_delay: 10s}}"""


class Ran:
    """What a job over one topic gave out until the topic's end."""

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        folder: Path,
        source: str,
        columns: str = "*",
        condition: str = "value > 50",
    ) -> None:
        dead = unique_name("dead")
        job_file = folder / "job.yaml"
        job_file.write_text(
            JOB.format(
                name=unique_name("formats"),
                topic=topic,
                source=source,
                columns=columns,
                condition=condition,
                dead=dead,
            )
        )
        with Job(
            job_file,
            folder,
            brokers=kafka.bootstrap,
            arguments=END_WHEN_IDLE,
        ) as job:
            assert job.wait() == 0, job.output
            self.summary: dict[str, Any] = job.summary()
            folder = job.data_dir
        self.rows = rows_of_files(folder / "readings")
        self.hot = rows_of_files(folder / "hot")
        self.alerts = rows_of_files(folder / "alerts")
        self.letters = sorted(
            (
                int(record.header("offset") or b"-1"),
                int(record.header("index") or b"-1"),
                (record.header("reason") or b"").decode(),
                (record.value or b"").decode(),
            )
            for record in kafka.read_all(dead)
        )


def reading(device: str, second: float, value: object) -> dict[str, Any]:
    return {"device": device, "at": int((START + second) * 1000), "value": value}


def test_an_array_is_a_reading_an_item(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic()
    bad = reading("c", 3, "warm")
    messages = [
        json.dumps([reading("a", 0, 10), reading("b", 1, 60), reading("a", 2, 70)]),
        json.dumps(reading("a", 3, 80)),
        "[]",
        json.dumps([bad, reading("b", 4, 90), 7]),
        json.dumps([reading("d", 5, 1)])[:-1],
    ]
    kafka.produce(source, [Record(text.encode(), partition=0) for text in messages])
    ran = Ran(kafka, source, tmp_path, DEVICE_SOURCE.format(format="json", more=""))
    assert sorted((row["device"], row["value"]) for row in ran.rows) == [
        ("a", 10), ("a", 70), ("a", 80), ("b", 60), ("b", 90),
    ]  # fmt: skip
    assert ran.letters == [
        (3, 0, "type_mismatch", json.dumps(bad)),
        (3, 2, "malformed", "7"),
        (4, -1, "malformed", messages[4]),
    ]
    # Rows of one message have one offset; their alerts are told apart.
    assert len({row["id"] for row in ran.alerts}) == len(ran.hot) == 4
    account = ran.summary["streams"]["readings"]
    assert (account["rows_in"], account["counted"], account["dead_letters"]) == (8, 5, 3)
    assert ran.summary["balanced"]
    assert ran.summary["empty_records"] == 1


def test_lines_of_csv_are_readings(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    source = topic()
    at = START * 1000
    messages = [
        f"a;{at};10",
        f"'b;1';{at + 1000};60\r\nc;{at + 2000};NA\r\n",
        f"d;{at}\ne;;1\nf;{at + 3000};70",
        "\n",
    ]
    kafka.produce(source, [Record(text.encode(), partition=0) for text in messages])
    more = """      csv: {delimiter: ";", quote: "'", null_text: NA}"""
    ran = Ran(kafka, source, tmp_path, DEVICE_SOURCE.format(format="csv", more=more))
    assert sorted((row["device"], row["value"]) for row in ran.rows) == [
        ("a", 10), ("b;1", 60), ("c", None), ("f", 70),
    ]  # fmt: skip
    assert ran.letters == [(2, 0, "malformed", f"d;{at}"), (2, 1, "missing_event_time", "e;;1")]
    assert ran.summary["balanced"]
    assert ran.summary["empty_records"] == 1


def test_more_readings_than_a_poll_takes_are_all_there(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic()
    each = 5_000
    messages = [
        json.dumps([reading(f"d{message}", item / 100, item) for item in range(each)])
        for message in range(8)
    ]
    kafka.produce(source, [Record(text.encode(), partition=0) for text in messages])
    ran = Ran(
        kafka, source, tmp_path, DEVICE_SOURCE.format(format="json", more=""),
        condition="value = 4999",
    )  # fmt: skip
    assert ran.summary["readings_in"] == 8 * each
    assert sorted(row["device"] for row in ran.hot) == [f"d{message}" for message in range(8)]
    assert {(row["device"], row["value"]) for row in ran.rows} == {
        (f"d{message}", item) for message in range(8) for item in range(each)
    }
    assert ran.summary["balanced"]


SENML_SOURCE = """\
      format: senml
      columns:
        name: {type: text, from: n}
        value: {type: double, from: v, accept_text: true}
        text: {type: text, from: sv}
        at: {type: timestamp, from: t, timestamp: %s}
      event_time: {column: at, max_delay: 1h}"""


def test_senml_packs_are_resolved(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    source = topic()
    # RFC 8428, 5.1.2, in part.
    pack = (
        '[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,'
        '"n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},'
        '{"n":"current","odd_":1,"v":1.3},{"n":"current","v":1.7}]'
    )
    kafka.produce(source, [Record(pack.encode(), partition=0)])
    ran = Ran(kafka, source, tmp_path, SENML_SOURCE % "seconds")
    assert [(row["name"].split(":")[-1], row["value"], row["at"]) for row in ran.rows] == [
        ("voltage", 120.1, "2010-06-08T18:01:16.001000Z"),
        ("current", 1.2, "2010-06-08T18:01:11.001000Z"),
        ("current", 1.7, "2010-06-08T18:01:16.001000Z"),
    ]
    assert ran.letters == [(0, 2, "unknown_label", '{"n":"current","odd_":1,"v":1.3}')]
    assert ran.summary["balanced"]


CITY = "sys/SYS_sample_data_senml.csv"


@pytest.mark.parametrize("data", present(CITY), ids=lambda path: path.name)
def test_city_sensors_are_read_as_they_are(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path, data: Path
) -> None:
    """Lines of a time and SenML: as text and JSON by SQL, and the SenML as records."""
    lines = data.read_text().splitlines()
    whole, packs = topic(), topic()
    kafka.produce(whole, [Record(line.encode(), partition=0) for line in lines])
    kafka.produce(packs, [Record(line.split(",", 1)[1].encode(), partition=0) for line in lines])
    source = """\
      format: csv
      csv: {fields: [at, pack], rest: true}
      columns: {at: {type: timestamp, timestamp: millis}, pack: json}
      event_time: {column: at, max_delay: 1h}"""
    folder = tmp_path / "whole"
    folder.mkdir()
    by_line = Ran(
        kafka, whole, folder, source,
        columns="at, pack->'e'->0->>'sv' AS source, "
        "(pack #>> '{e,3,v}')::double precision AS temperature",
        condition="json_array_length(pack->'e') = 8",
    )  # fmt: skip
    expected = []
    for line in lines:
        at, pack = line.split(",", 1)
        entries = json.loads(pack)["e"]
        expected.append((int(at), entries[0]["sv"], float(entries[3]["v"])))
    assert sorted(row["source"] for row in by_line.hot) == sorted(one[1] for one in expected)
    assert sorted(row["temperature"] for row in by_line.hot) == sorted(one[2] for one in expected)
    assert by_line.summary["balanced"]

    folder = tmp_path / "packs"
    folder.mkdir()
    by_record = Ran(kafka, packs, folder, SENML_SOURCE % "millis", condition="name = 'temperature'")
    assert len(by_record.rows) == 8 * len(lines)
    assert sorted(row["value"] for row in by_record.hot) == sorted(one[2] for one in expected)
    assert {row["text"] for row in by_record.rows if row["name"] == "source"} == {
        one[1] for one in expected
    }
    assert by_record.summary["balanced"]
