"""A job on a cluster under a steady load: what is sent goes on while processes and networks fail,
and what comes out is watched, and compared in the end with what was sent."""

from __future__ import annotations

import itertools
import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests
from confluent_kafka import Consumer, TopicPartition

from conftest import unique_name
from harness.fleet import Fleet
from harness.kafka import Kafka, Record
from harness.millrace import Process
from harness.waiting import wait_for

PARTITIONS = 4
OUTPUT_PARTITIONS = 2
DEVICES = 24
READINGS = 12  # a device and minute
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=30)  # closes every minute that was sent
# One minute of the fleet's time is sent in each.
TURN_SECONDS = 0.1
# What the cluster promises (docs/cluster.md), and what a busy machine may add to it.
NOTICED_SECONDS = 3.0
SLACK_SECONDS = 1.5
OUTPUT_SECONDS_MAX = 20.0
CHECK_SECONDS_MAX = 60.0

JOB = """
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: 200ms}}
  streams:
    readings:
      kafka: {{topics: [{source}], start_from: earliest, properties: {{fetch.wait.max.ms: 20}}}}
      format: json
      columns:
        device_id: text
        observed_at: timestamp
        value: bigint
      event_time: {{column: observed_at, max_delay: 0s, idle_after: 1h, max_future: 365d}}
    minutes:
      sql: |
        SELECT window_start, window_end, device_id, count(*) AS records, sum(value) AS total
        FROM tumble(readings, size => INTERVAL '1 minute')
        GROUP BY window_start, window_end, device_id
  sinks:
    - {{stream: minutes, kafka: {{topic: {output}}}}}
"""

# window_start, device, records, total
Window = tuple[str, str, int, int]

LOG_LINE = re.compile(r"^(\S+)Z \w+ +(.*)$", re.M)


def log_lines(process: Process, pattern: str, since: float = 0.0) -> list[tuple[float, str]]:
    """What a process has logged that matches, with the time of day, not before `since`."""
    found = []
    for stamp, text in LOG_LINE.findall(process.stderr):
        if re.search(pattern, text):
            at = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
            if at >= since - 0.001:  # it is cut to milliseconds
                found.append((at, text))
    return found


class Load:
    """Sends a minute of readings a turn, until it is stopped. A reading's partition has nothing to
    do with its device: all of them must be exchanged."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.expected: Counter[Window] = Counter()
        self._topic = topic
        # A broker that is back is found at once.
        self._sender = kafka.sender({"reconnect.backoff.max.ms": 200})
        self._minutes = 0
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is sent meanwhile."""
        with self._sending:
            yield

    def stop(self) -> None:
        """All that was sent is in the topic, and every window of it is over."""
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        last = [_record(END, "end", 0, partition) for partition in range(PARTITIONS)]
        self._sender.send(self._topic, last)

    def _run(self) -> None:
        try:
            while not self._stop.wait(TURN_SECONDS):
                with self._sending:
                    self._send_minute()
        except Exception as error:  # told by stop()
            self._failure = error

    def _send_minute(self) -> None:
        begin = BEGIN + timedelta(minutes=self._minutes)
        self._minutes += 1
        totals: Counter[str] = Counter()
        records = []
        for reading in range(READINGS):  # in the order of time: nothing is late
            time_of = begin + timedelta(seconds=reading * 60 / READINGS)
            for number in range(DEVICES):
                value = self._minutes * 7 + number * 3 + reading
                device = f"device-{number}"
                totals[device] += value
                partition = (value + reading) % PARTITIONS
                records.append(_record(time_of, device, value, partition))
        self._sender.send(self._topic, records)
        start = f"{begin:%Y-%m-%dT%H:%M:%S}.000000Z"
        for device, total in totals.items():
            self.expected[start, device, READINGS, total] += 1


def _record(at: datetime, device: str, value: int, partition: int) -> Record:
    body = {"observed_at": f"{at:%Y-%m-%dT%H:%M:%S}Z", "device_id": device, "value": value}
    return Record(json.dumps(body).encode(), partition=partition)


class Watch:
    """When committed output arrives, by the clock of the wall."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._arrivals: list[float] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "group.id": "tests",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "log_level": 2,
            }
        )
        self._consumer.assign(
            [TopicPartition(topic, partition, 0) for partition in range(OUTPUT_PARTITIONS)]
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def gone_on(self, since: float) -> float:
        """When output came again behind the longest pause that ended after `since`."""
        arrivals = list(self._arrivals)
        pauses = [
            (later - earlier, later)
            for earlier, later in itertools.pairwise(arrivals)
            if later > since
        ]
        return max(pauses)[1]

    def wait_for_output(self, since: float) -> float:
        """When the first of it came after `since`."""

        def look() -> float | None:
            return next((at for at in list(self._arrivals) if at > since), None)

        return wait_for("output", look, OUTPUT_SECONDS_MAX)

    def _run(self) -> None:
        while not self._stop.is_set():
            messages = self._consumer.consume(num_messages=1000, timeout=0.05)
            if any(message.error() is None for message in messages):
                self._arrivals.append(time.time())


class Live:
    """Use as a context. Workers are proxied (harness/proxy.py)."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka = kafka
        self.name = unique_name("live")
        self.source = kafka.create_topic(f"{self.name}-in", PARTITIONS)
        self.output = kafka.create_topic(f"{self.name}-out", OUTPUT_PARTITIONS)
        self.file = folder / "job.yaml"
        self.file.write_text(JOB.format(name=self.name, source=self.source, output=self.output))
        self.fleet = Fleet(folder, kafka.bootstrap)
        self._load: Load | None = None
        self._watch: Watch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.fleet.__exit__()
        if self._watch is not None:
            self._watch.stop()

    def start(
        self,
        *workers: str,
        slots: int = 2,
        standby: bool = False,
        crash_at: str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        """Returns when there is output. `crash_at`: the coordinator ends itself there; then as
        soon as the job is applied. `arguments`: of every process."""
        self.fleet.start_coordinator(*arguments, crash_at=crash_at).wait_for_line(
            "leads the cluster"
        )
        if standby:
            self.fleet.start_coordinator(*arguments, place=1).wait_for_line("standing by")
        for worker in workers:
            self.fleet.start_worker(worker, slots, *arguments, proxied=True)
        wait_for("workers", lambda: self.fleet.worker_names() == set(workers))
        # It may die before it has answered, but it has written the job down.
        with suppress(*([] if crash_at is None else [requests.ConnectionError])):
            self.fleet.apply(self.file)
        self._watch = Watch(self.kafka, self.output)
        self._load = Load(self.kafka, self.source)
        if crash_at is None:
            self._watch.wait_for_output(0.0)

    def status(self) -> dict[str, Any]:
        """Of the job, as soon as it runs."""
        return self.fleet.wait_for_job(self.name, "running")

    def wait_for_slots(self, *workers: str) -> dict[str, Any]:
        """Until the job runs on just these workers, and completes checkpoints."""

        def look() -> dict[str, Any] | None:
            found = self.fleet.wait_for_job(self.name, "running", checkpoints=1)
            return found if set(found["slot_workers"]) == set(workers) else None

        return wait_for(f"the job on {workers}", look)

    def wait_for_checkpoints(self, count: int) -> dict[str, Any]:
        """So many more, of whatever attempt."""
        now = int(self.status()["last_epoch"])
        return self.fleet.wait_for_job(self.name, "running", last_epoch=now + count)

    def expect_to_go_on(
        self,
        fault: str,
        do: Callable[[], None],
        noticed_by: Callable[[], Process],
        pattern: str,
        notice_max: float = NOTICED_SECONDS,
    ) -> None:
        """Does it, and expects that it is noticed in time (a process logs the pattern), and that
        output goes on in the next attempt; tells both times."""
        before = int(self.status()["attempt"])
        struck = time.time()
        do()

        def look() -> tuple[float, str] | None:
            return next(iter(log_lines(noticed_by(), pattern, struck)), None)

        noticed, line = wait_for(f"/{pattern}/ in a log", look)
        self.fleet.wait_for_job(self.name, "running", attempt=before + 1, checkpoints=1)
        self.watch.wait_for_output(time.time())
        output = self.watch.gone_on(struck)
        print(
            f"[{fault}: noticed after {noticed - struck:.2f} s, "
            f"output after {output - struck:.2f} s; {line}]"
        )
        assert noticed - struck < notice_max + SLACK_SECONDS

    def expect_worker_lost(self, worker: str, do: Callable[[], None], fault: str) -> None:
        self.expect_to_go_on(
            fault, do, lambda: self.fleet.coordinator, rf"a worker is (lost|silent).*\b{worker}\b"
        )

    @property
    def load(self) -> Load:
        assert self._load is not None
        return self._load

    @property
    def watch(self) -> Watch:
        assert self._watch is not None
        return self._watch

    def found(self) -> Counter[Window]:
        rows: Counter[Window] = Counter()
        for record in self.kafka.read_all(self.output):
            row = json.loads(record.value or b"")
            rows[row["window_start"], row["device_id"], row["records"], row["total"]] += 1
        return rows

    def check(self) -> None:
        """Ends the load; nothing is missing, nothing came twice."""
        self.load.stop()
        expected = self.load.expected
        count = sum(expected.values())

        def all_there() -> bool:
            # Markers of transactions count as records there.
            there = sum(self.kafka.end_offsets(self.output).values()) >= count
            return there and sum(self.found().values()) >= count

        with suppress(AssertionError):
            wait_for(f"{count} windows", all_there, CHECK_SECONDS_MAX)
        found = self.found()
        missing, extra = expected - found, found - expected
        assert not missing and not extra, (
            f"{missing.total()} of {count} are missing: {sorted(missing)[:3]}...; "
            f"{extra.total()} too many: {sorted(extra)[:3]}...\n{self.fleet.job(self.name)}"
        )


def stop(process: Process) -> Callable[[], None]:
    return lambda: process.send(signal.SIGSTOP)


def wake(process: Process) -> None:
    process.send(signal.SIGCONT)
