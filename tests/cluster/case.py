"""A job over a fleet with every fault, fed while it runs, killed by tests, and run to its end.

The same readings go to each case's own topic, so that every case must give what the undisturbed one
gave: windows to Kafka and to Parquet, windows of windows to JSON files, alerts and dead letters to
Kafka.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.outputs import (
    Outputs,
    assert_same_outputs,
    leftovers,
    letters_of_topic,
    rows_of_json_files,
    rows_of_parquet,
    rows_of_topic,
)
from conftest import unique_name
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for
from system.fleet import START

PARTITIONS = 4
END_WHEN_IDLE = ("--end-when-idle", "300ms")
MAX_DELAY_SECONDS = 5
END_SECONDS = 120.0
EPOCHS_SECONDS = 30.0

JOB = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: {checkpoint}}}
  streams:
    readings:
      kafka: {{topics: [{source}], properties: {{fetch.wait.max.ms: 20}}}}
      format: json
      columns:
        device: text
        at: {{type: timestamp, timestamp: millis}}
        value: double
      event_time: {{column: at, max_delay: 5s, idle_after: 10m, max_future: 5m}}
    windows:
      sql: |
        SELECT window_start, window_end, device, count(*) AS readings, sum(value) AS total,
               avg(value) AS mean, stddev_samp(value) AS spread, max(value) AS highest,
               percentile_cont(0.9) WITHIN GROUP (ORDER BY value) AS p90
        FROM hop(readings, size => INTERVAL '20 seconds', slide => INTERVAL '10 seconds')
        GROUP BY window_start, window_end, device
    fleet:
      sql: |
        SELECT window_start, window_end, count(*) AS devices,
               CAST(sum(readings) AS bigint) AS readings, avg(mean) AS mean
        FROM tumble(windows, size => INTERVAL '10 seconds')
        GROUP BY window_start, window_end
  alerts:
    - {{alert: HighReading, stream: readings, expr: value > 99, labels: {{severity: high}}}}
    - {{alert: HighMean, stream: windows, expr: mean > 60, labels: {{severity: low}}}}
  sinks:
    - {{stream: windows, kafka: {{topic: {windows}}}}}
    - stream: windows
      parquet: {{path: windows, partition_by: [date], roll_bytes: 16KiB, roll_interval: 1s}}
    - {{stream: fleet, files: {{path: fleet, format: json, roll_interval: 1s}}}}
    - {{alerts: all, kafka: {{topic: {alerts}}}}}
  dead_letters: {{kafka: {{topic: {dead}}}}}
"""


@dataclass(frozen=True)
class Feed:
    """Records in the order in which they are sent, and how many of them are refused, by reason."""

    records: Sequence[Record]
    refused: dict[str, int]

    def chunk(self, index: int, of: int) -> Sequence[Record]:
        size = len(self.records)
        return self.records[size * index // of : size * (index + 1) // of]


def fleet_feed(devices: int, seconds: int, *, seed: int = 20) -> Feed:
    """A reading a device and second. One in a hundred comes twice, one in two hundred late, one in
    five hundred is broken, one in five hundred is dated an hour ahead."""
    chance = random.Random(seed)
    records: list[Record] = []
    refused = {"late": 0, "malformed": 0, "future": 0}
    for second in range(seconds):
        for device in range(devices):
            partition = device % PARTITIONS
            one = reading(device, second, chance.uniform(0, 100), partition)
            records.append(one)
            draw = chance.random()
            if draw < 0.010:
                records.append(one)
            elif draw < 0.015 and second > 100:
                records.append(reading(device, second - 60, 1.0, partition))
                refused["late"] += 1
            elif draw < 0.017:
                records.append(Record((one.value or b"")[:20], partition=partition, timestamp_ms=1))
                refused["malformed"] += 1
            elif draw < 0.019:
                ahead = reading(device, second + 3600, 1.0, partition)
                records.append(Record(ahead.value, partition=partition, timestamp_ms=at_ms(second)))
                refused["future"] += 1
    return Feed(records, refused)


def at_ms(second: int) -> int:
    return (START + second) * 1000


def reading(device: int, second: int, value: float, partition: int) -> Record:
    body = {"device": f"device-{device:03}", "at": at_ms(second), "value": value}
    return Record(json.dumps(body).encode(), partition=partition, timestamp_ms=at_ms(second))


class Case:
    """Topics, folders and a job of one test, and how far its input has been sent."""

    def __init__(
        self, kafka: Kafka, folder: Path, feed: Feed, *, chunks: int, checkpoint: str = "200ms"
    ) -> None:
        self.kafka = kafka
        self.folder = folder
        self.feed = feed
        self.data_dir = folder / "data"
        self.arguments: list[str] = []  # of every start
        self._chunks = chunks
        self._sender = kafka.sender()
        self._sent = 0
        self._starts = 0
        self.name = unique_name("cluster")
        self.topics = {
            name: kafka.create_topic(f"{self.name}-{name}", partitions)
            for name, partitions in (
                ("source", PARTITIONS),
                ("windows", 2),
                ("alerts", 1),
                ("dead", 1),
            )
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.job_file = folder / "job.yaml"
        self.job_file.write_text(JOB.format(name=self.name, checkpoint=checkpoint, **self.topics))

    @property
    def fed(self) -> bool:
        return self._sent == self._chunks

    def send_chunk(self) -> None:
        """The next part of the input, if anything is left of it."""
        if not self.fed:
            self._send(self.feed.chunk(self._sent, self._chunks))
            self._sent += 1

    def send_rest(self) -> None:
        self._send(self.feed.records[len(self.feed.records) * self._sent // self._chunks :])
        self._sent = self._chunks

    def _send(self, records: Iterable[Record]) -> None:
        self._sender.send(self.topics["source"], records)

    def start(
        self,
        *arguments: str,
        crash_at: str | None = None,
        executable: Path | None = None,
        name: str | None = None,
    ) -> Job:
        self._starts += 1
        return Job(
            self.job_file,
            self.folder,
            brokers=self.kafka.bootstrap,
            arguments=[*self.arguments, *arguments],
            name=name or f"run-{self._starts}",
            executable=executable,
            env={**os.environ, "MILLRACE_CRASH_AT": crash_at} if crash_at is not None else None,
        )

    def send_by_epoch(self, job: Job, until: Callable[[float], bool], what: str) -> None:
        """A chunk an epoch, as if the fleet were live, until a condition on the number of epochs
        that this process has completed."""
        seen = 0.0

        def look() -> bool:
            nonlocal seen
            epochs = job.metrics().total("millrace_checkpoints_total", result="completed") or 0.0
            if epochs > seen:
                seen = epochs
                self.send_chunk()
            return until(epochs)

        wait_for(what, look, EPOCHS_SECONDS)

    def run_epochs(self, job: Job, count: int) -> None:
        def enough(epochs: float) -> bool:
            assert job.code is None, job.output[-4000:]
            return epochs >= count

        self.send_by_epoch(job, enough, f"{count} epochs")

    def finish(self, *arguments: str) -> dict[str, Any]:
        """Sends what is left and runs to the end; the summary."""
        self.send_rest()
        with self.start(*END_WHEN_IDLE, *arguments) as job:
            assert job.wait(END_SECONDS) == 0, job.output[-4000:]
            return job.summary()

    def outputs(self) -> Outputs:
        with ThreadPoolExecutor(5) as pool:  # a consumer spends its time in starting and ending
            reads = {
                "windows (Kafka)": pool.submit(rows_of_topic, self.kafka, self.topics["windows"]),
                "windows (Parquet)": pool.submit(rows_of_parquet, self.data_dir / "windows"),
                "fleet": pool.submit(rows_of_json_files, self.data_dir / "fleet"),
                "alerts": pool.submit(rows_of_topic, self.kafka, self.topics["alerts"]),
                "dead letters": pool.submit(letters_of_topic, self.kafka, self.topics["dead"]),
            }
            return Outputs({target: read.result() for target, read in reads.items()})

    def check(self, summary: dict[str, Any], expected: Expected) -> None:
        """Nothing is missing, nothing came twice, the account holds, nothing is left over."""
        assert_same_outputs(self.outputs(), expected.outputs)
        assert account(summary) == expected.account
        assert leftovers(self.data_dir) == []


@dataclass(frozen=True)
class Expected:
    """What an undisturbed run gave."""

    outputs: Outputs
    account: dict[str, Any]


def wait_for_moment(seconds: float) -> None:
    began = time.monotonic()
    wait_for("the moment", lambda: time.monotonic() - began >= seconds)


def account(summary: dict[str, Any]) -> dict[str, Any]:
    """What a summary says of the whole generation, whatever died in between."""
    return {
        name: summary[name]
        for name in (
            "ok",
            "balanced",
            "lost",
            "readings_in",
            "windows_out",
            "dead_letters_by_reason",
            "alerts_by_name",
            "streams",
        )
    }


def undisturbed(kafka: Kafka, folder: Path, feed: Feed) -> Expected:
    """One run over the whole input, checked against what was sent."""
    case = Case(kafka, folder, feed, chunks=1)
    summary = case.finish()
    outputs = case.outputs()
    assert summary["ok"]
    assert summary["balanced"]
    assert summary["readings_in"] == len(feed.records)
    assert summary["dead_letters_by_reason"] == feed.refused
    assert outputs.count("dead letters") == sum(feed.refused.values())
    assert outputs.count("windows (Kafka)") == outputs.count("windows (Parquet)")
    assert outputs.count("windows (Kafka)") > 500
    assert outputs.count("fleet") > 20
    assert outputs.count("alerts") == sum(summary["alerts_by_name"].values()) > 100
    return Expected(outputs, account(summary))
