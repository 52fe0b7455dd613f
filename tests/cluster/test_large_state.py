"""State that is larger than memory, and what a restart costs with a lot of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Consumer

from cluster.wide_windows import COLUMN_LINES, STREAM_LINES
from conftest import unique_name
from devtool import paths
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for

KEYS = 5_000_000
READINGS = 6_000_000
RESIDENT_MAX = 450 * 1000 * 1000

OF_KEYS = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: keys}}
spec:
  checkpoint: {{interval: 1s}}
  state: {{memory: 256MiB}}
  streams:
    readings:
      files: {{path: {readings}}}
      format: parquet
      columns: {{device: text, at: timestamp, value: double}}
      event_time: {{column: at, max_delay: 1m}}
    days:
      sql: |
        SELECT window_start, window_end, device, count(*) AS readings, sum(value) AS total,
               max(value) AS highest
        FROM tumble(readings, size => INTERVAL '1 day')
        GROUP BY window_start, window_end, device
  sinks:
    - {{stream: days, parquet: {{path: days}}}}
"""

# Every device once in an order of its own, then some again.
READINGS_SQL = f"""
SELECT 'device-' || lpad(device::VARCHAR, 7, '0') AS device,
       TIMESTAMP '2026-03-01' + to_microseconds(i * 10000) AS at,
       (hash(i) % 100000) / 1000.0 AS value
FROM (SELECT i, CASE WHEN i < {KEYS} THEN (i * 7919) % {KEYS}
                     ELSE (hash(i) % {KEYS})::BIGINT END AS device
      FROM range({READINGS}) t(i))
ORDER BY i
"""
DAYS_SQL = "SELECT device, count(*) AS readings, sum(value) AS total, max(value) AS highest"


def peak_resident(pid: int) -> int:
    """The most that it held so far, in bytes; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def test_five_million_keys_in_a_quarter_of_a_gigabyte(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    readings = data / "readings.parquet"
    oracle = duckdb.connect()
    oracle.execute(f"COPY ({READINGS_SQL}) TO '{readings}' (FORMAT parquet)")
    job_file = tmp_path / "job.yaml"
    job_file.write_text(OF_KEYS.format(readings=readings))
    peak = 0
    with Job(job_file, tmp_path) as job:

        def ended() -> bool:
            nonlocal peak
            peak = max(peak, peak_resident(job.pid))
            return job.code is not None

        wait_for("the end", ended, 300)
        assert job.code == 0, job.output[-4000:]
        summary = job.summary()
    print(f"[peak {peak / 1e6:.0f} MB]")
    assert summary["balanced"]
    assert summary["readings_in"] == READINGS
    assert summary["windows_out"] == KEYS
    assert peak < RESIDENT_MAX
    (differences,) = oracle.execute(
        f"""
        SELECT count(*) FROM ({DAYS_SQL} FROM '{readings}' GROUP BY device) expected
        FULL JOIN '{data}/days/*.parquet' found USING (device)
        WHERE expected.readings IS DISTINCT FROM found.readings
           OR expected.highest IS DISTINCT FROM found.highest
           OR abs(expected.total - found.total) IS NULL
           OR abs(expected.total - found.total) > 1e-12 * expected.total
        """
    ).fetchall()[0]
    assert differences == 0


DEVICES = 1_000_000
RESTART_READINGS = 4_000_000
SETTLED_SECONDS = 1.0


def restart_job(name: str, source: str, out: str) -> str:
    """Wide windows that stay open, and the readings of one device passed on."""
    return f"""\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: 200ms}}
  state: {{memory: 4GiB}}
  streams:
    readings:
      kafka: {{topics: [{source}], properties: {{fetch.wait.max.ms: 20}}}}
      format: json
      columns:
        device_id: text
        observed_at: {{type: timestamp, from: timestamp}}
        n: {{type: bigint, from: CNT}}
{COLUMN_LINES}
      event_time: {{column: observed_at, max_delay: 10m, idle_after: 10m}}
    live:
      sql: SELECT device_id, n FROM readings WHERE device_id = 'live'
{STREAM_LINES}
  sinks:
    - {{stream: live, kafka: {{topic: {out}}}}}
    - {{stream: devices, files: {{path: devices, format: json}}}}
"""


class Live:
    """A device that reports all the time, and when each of its readings was sent."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._sender = kafka.sender()
        self._topic = topic
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent: dict[int, float] = {}

    def _run(self) -> None:
        number = 0
        while not self._end.wait(0.01):
            body = {"device_id": "live", "timestamp": "2022-06-09T00:09:00Z", "CNT": number}
            self.sent[number] = time.monotonic()
            self._sender.send(self._topic, [Record(json.dumps(body).encode(), partition=0)])
            number += 1

    def __enter__(self) -> Live:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@contextmanager
def follower(kafka: Kafka, topic: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": unique_name("follower"),
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.subscribe([topic])
    try:
        yield consumer
    finally:
        consumer.close()


def next_number(consumer: Consumer, above: int, seconds: float) -> tuple[int, float]:
    """The first number above one, and when it was seen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = consumer.poll(0.05)
        if message is None or message.error() is not None:
            continue
        number = json.loads(message.value() or b"{}").get("n", -1)
        if number > above:
            return number, time.monotonic()
    raise AssertionError(f"no output above {above} after {seconds:.0f} s")


@pytest.mark.soak
def test_restart_with_a_gigabyte_of_state(kafka: Kafka, tmp_path: Path) -> None:
    source, out = unique_name("source"), kafka.create_topic(unique_name("out"))
    subprocess.run(
        [paths.build_dir() / "bin" / "bench-fill", kafka.bootstrap, source,
         str(RESTART_READINGS), str(DEVICES)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    job_file = tmp_path / "job.yaml"
    job_file.write_text(restart_job(unique_name("restart"), source, out))
    took: list[float] = []
    with follower(kafka, out) as output, Live(kafka, source) as live:
        with Job(job_file, tmp_path, brokers=kafka.bootstrap, name="first") as job:
            job.wait_for_metric("millrace_records_in_total", RESTART_READINGS, 300)
            # Until the last of it is in a checkpoint: from then on only one device changes.
            delay = SETTLED_SECONDS
            while delay >= SETTLED_SECONDS:
                number, seen = next_number(output, max(live.sent), 180)
                delay = seen - live.sent[number]
            size = job.metrics().total("millrace_checkpoint_size_bytes") or 0.0
            job.kill()
        for life in range(3):
            killed = time.monotonic()
            above = max(live.sent)
            with Job(job_file, tmp_path, brokers=kafka.bootstrap, name=f"life-{life}") as job:
                _, seen = next_number(output, above, 60)
                took.append(seen - killed)
                job.send(signal.SIGKILL)
                job.wait()
    print(f"[{size / 2**30:.2f} GiB of state; seconds from kill to new output: {took}]")
    assert size > 2**30
