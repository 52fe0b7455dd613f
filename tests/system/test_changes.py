"""Rows of windows that are not final: running, at the window's end, corrections; through a kill.

Who puts the changes of a window over each other ends with what the others are given once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from conftest import unique_name
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for
from system.fleet import END_WHEN_IDLE, Reading, dead_letters_to, produce

JOB = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: 200ms}}
  streams:
    readings:
      kafka: {{topic: {topic}, properties: {{fetch.wait.max.ms: 50}}}}
      columns:
        device: text
        at: {{type: timestamp, timestamp: millis}}
        value: double
      event_time: {{column: at, max_delay: 0s, idle_after: 1h}}
    minutes:
      sql: |
        SELECT window_end, device, count(*) AS readings, sum(value) AS total
        FROM tumble(readings, size => INTERVAL '1 minute')
        GROUP BY window_end, device
      allowed_lateness: 2m
      emit: {{changes_every: 100ms}}
  sinks:
    - {{stream: minutes, rows: changes, kafka: {{topic: {changes}}}}}
    - {{stream: minutes, kafka: {{topic: {final}}}}}
{more}"""

# Kind, the minute that ends there, readings, total.
Row = tuple[str, str, int, float]


def row_of(record: Record) -> Row:
    assert record.value is not None
    value = json.loads(record.value)
    kind = record.header("millrace-row-kind")
    return (
        "" if kind is None else kind.decode(),
        value["window_end"][14:16],
        value["readings"],
        value["total"],
    )


def rows_of(kafka: Kafka, topic: str) -> list[Row]:
    return [row_of(record) for record in kafka.read_all(topic)]


def test_changes_end_with_the_final_rows(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(1)
    changes = kafka.create_topic(unique_name("changes"))
    final = kafka.create_topic(unique_name("final"))
    dead = kafka.create_topic(unique_name("dead"))
    job_file = tmp_path / "job.yaml"
    job_file.write_text(
        JOB.format(
            name=unique_name("changes"),
            topic=source,
            changes=changes,
            final=final,
            more=dead_letters_to(dead),
        )
    )

    def wait_for_row(row: Row) -> None:
        wait_for(f"{row}", lambda: row in rows_of(kafka, changes))

    produce(kafka, source, [Reading("d", 10, 1)])
    with Job(job_file, tmp_path, brokers=kafka.bootstrap, name="first") as job:
        wait_for_row(("running", "01", 1, 1.0))
        produce(kafka, source, [Reading("d", 60, 2)])
        wait_for_row(("on_time", "01", 1, 1.0))
        wait_for_row(("running", "02", 1, 2.0))
        produce(kafka, source, [Reading("d", 20, 4)])
        wait_for_row(("correction", "01", 2, 5.0))
        job.kill()
    # Late for the first minute, allowed; then too late by a microsecond.
    produce(kafka, source, [Reading("d", 30, 8), Reading("d", 180, 16), Reading("d", 40, 32)])
    with Job(
        job_file, tmp_path, brokers=kafka.bootstrap, arguments=END_WHEN_IDLE, name="last"
    ) as job:
        assert job.wait() == 0, job.output[-4000:]
        summary = job.summary()
        assert summary["balanced"]

    assert sorted(rows_of(kafka, final)) == [
        ("", "01", 3, 13.0),
        ("", "02", 1, 2.0),
        ("", "04", 1, 16.0),
    ]
    records = kafka.read_all(changes)
    assert {record.key for record in records} == {
        json.dumps(
            {"window_end": f"2026-01-01T00:{minute}:00.000000Z", "device": "d"},
            separators=(",", ":"),
        ).encode()
        for minute in ("01", "02", "04")
    }
    last = {record.key: row_of(record) for record in records}
    assert sorted(row[1:] for row in last.values()) == [
        ("01", 3, 13.0),
        ("02", 1, 2.0),
        ("04", 1, 16.0),
    ]
    kinds = [row[0] for row in rows_of(kafka, changes) if row[1] == "01"]
    assert kinds.count("on_time") == 1
    assert kinds.index("on_time") < kinds.index("correction")
    assert "running" not in kinds[kinds.index("on_time") :]
    (letter,) = kafka.read_all(dead)
    assert letter.header("reason") == b"late"
    assert (letter.header("message") or b"").endswith(b"by more than the allowed lateness")
