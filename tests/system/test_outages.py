"""Brokers that are not there yet, stop answering, die, or take nothing.

`idle_after` is far shorter than each outage: what goes by wall time would make everything late.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import unique_name
from devtool import processes
from devtool.broker import Broker
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for
from system.fleet import (
    END_WHEN_IDLE,
    MINUTE,
    Reading,
    expected,
    kafka_sink,
    ordered,
    produce,
    rows_of_topic,
    windows,
    write_job,
)

IDLE_AFTER = "1500ms"
# Longer than idle_after, and than the 2 s in which two answers still count as continuous.
OUTAGE_SECONDS = 3.5


@contextlib.contextmanager
def at_least(seconds: float) -> Iterator[None]:
    """What is done inside takes at least so long: an outage has a length."""
    began = time.monotonic()
    yield
    wait_for("the end of the outage", lambda: time.monotonic() - began >= seconds)


class Forwarder:
    """A port that leads to a broker from `open` on; before, nothing listens there."""

    def __init__(self, target_port: int) -> None:
        self.port = processes.free_port()
        self._target_port = target_port
        self._server: socket.socket | None = None

    def open(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_a_job_waits_for_its_broker_and_goes_on_when_it_appears(
    broker: Broker, kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source, out = topic(), topic()
    readings = ordered(180, devices=2, partitions=1)
    produce(kafka, source, readings)
    job_file = write_job(tmp_path, source, sink=kafka_sink(out))
    forwarder = Forwarder(broker.port)
    brokers = f"127.0.0.1:{forwarder.port}"
    with Job(job_file, tmp_path, brokers=brokers, arguments=END_WHEN_IDLE) as job:
        job.wait_for_line(rf"no Kafka broker answers at {brokers}", 5)
        forwarder.open()
        assert job.wait() == 0, job.output
        assert job.summary()["balanced"]
    forwarder.close()
    assert windows(rows_of_topic(kafka, out)) == expected(readings)


def slow_and_fast(fast_partitions: int) -> tuple[list[Reading], list[Reading]]:
    """Partition 0 is far behind the others in event time: when it is taken for idle, the watermark
    goes on without it, and what it brings then is late."""
    slow = [Reading("slow", second, 4.0, partition=0) for second in range(240)]
    fast = ordered(600, devices=3, partitions=fast_partitions)
    return slow, [replace(one, partition=one.partition + 1) for one in fast]


def test_without_an_outage_the_same_partition_is_idle_and_late(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    # Of several idle partitions the first that comes back would make the others late.
    source = topic(2)
    slow, fast = slow_and_fast(1)
    # The slow one first: which of them is idle last decides where the stream goes on from.
    before = 70
    produce(kafka, source, slow[:before])
    with Job(write_job(tmp_path, source, idle_after="500ms"), tmp_path,
             brokers=kafka.bootstrap) as job:  # fmt: skip
        # Its watermark is at 59 s: a first minute that is out shows that all are idle.
        job.wait_for_metric("millrace_records_out_total", 1)
        fast = [one for one in fast if one.second >= MINUTE]
        produce(kafka, source, fast)
        # The fast partition's eight minutes are out: nobody waits for the slow one.
        job.wait_for_metric("millrace_records_out_total", 8 * 3 + 2)
        produce(kafka, source, slow[before:])
        total = len(fast) + len(slow)
        job.wait_for_metric("millrace_records_in_total", total, stream="readings")
        assert job.stop() == 0, job.output
        assert job.summary()["dead_letters_by_reason"] == {"late": len(slow) - before}
        assert job.summary()["balanced"]


@pytest.mark.parametrize("outage", ["killed", "stopped"])
def test_a_broker_goes_away_and_comes_back(
    outage: str, fragile_broker: Broker, fragile_kafka: Kafka, tmp_path: Path
) -> None:
    source = fragile_kafka.create_topic(unique_name(outage), 4)
    out = fragile_kafka.create_topic(unique_name(f"{outage}-out"))
    slow, fast = slow_and_fast(3)
    produce(fragile_kafka, source, [*fast, *slow[:90]])
    job_file = write_job(tmp_path, source, sink=kafka_sink(out), idle_after=IDLE_AFTER)
    with Job(job_file, tmp_path, brokers=fragile_broker.bootstrap) as job:
        first = len(fast) + 90
        job.wait_for_metric("millrace_records_in_total", first, stream="readings")
        with at_least(OUTAGE_SECONDS):
            if outage == "killed":
                fragile_broker.kill()
                job.wait_for_line(r"warn .*kafka client: .*(refused|Disconnected|Connect)")
                assert job.get("/healthz").status_code == 200  # type: ignore[union-attr]
                fragile_broker.start()
            else:
                fragile_broker.pause()
        fragile_broker.resume()
        produce(fragile_kafka, source, slow[90:])
        job.wait_for_metric("millrace_records_in_total", first + 150, stream="readings")
        assert job.stop() == 0, job.output
        summary = job.summary()
        assert summary["balanced"]
        assert summary["dead_letters_by_reason"] == {}
        assert summary["readings_in"] == first + 150
    with Job(
        job_file, tmp_path, brokers=fragile_broker.bootstrap, arguments=END_WHEN_IDLE, name="end"
    ) as job:
        assert job.wait() == 0, job.output
        assert job.summary()["dead_letters_by_reason"] == {}
    found = windows(rows_of_topic(fragile_kafka, out))
    assert found == expected([*fast, *slow])


def test_a_sink_that_takes_nothing_pauses_the_readers_and_bounds_memory(
    kafka: Kafka,
    topic: Callable[..., str],
    fragile_broker: Broker,
    fragile_kafka: Kafka,
    tmp_path: Path,
) -> None:
    # Every reading goes to the sink, with 1 kB: 200 MB in all, more than what may wait.
    source = topic(2)
    out = fragile_kafka.create_topic(unique_name("slow-sink"))
    padding = "x" * 1000
    count = 200_000
    job_file = tmp_path / "job.yaml"
    job_file.write_text(
        f"""\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {unique_name("slow")}}}
spec:
  checkpoint: {{interval: 200ms, outbox_bytes_max: 64MiB}}
  streams:
    readings:
      kafka: {{topics: [{source}]}}
      format: json
      columns: {{device: text, n: bigint}}
  sinks:
    - stream: readings
      kafka:
        topic: {out}
        properties: {{bootstrap.servers: "{fragile_broker.bootstrap}"}}
"""
    )
    body = f'{{"device": "{padding}", "n": %d}}'
    kafka.produce(
        source,
        (Record((body % n).encode(), partition=n % 2) for n in range(count)),
        {"compression.codec": "lz4"},
    )
    # The job's own property names the brokers of its sources; the sink's are its own.
    with Job(
        job_file, tmp_path, brokers=kafka.bootstrap, arguments=["--end-when-idle", "1s"]
    ) as job:
        job.wait_for_line("running")
        fragile_broker.pause()

        # The readers stand still: no more records come in for a second.
        def standing() -> bool:
            read = job.metrics().total("millrace_records_in_total", stream="readings") or 0.0
            if read != last[0]:
                last[:] = [read, time.monotonic()]
            return read > 0 and time.monotonic() - last[1] > 1.5

        last = [0.0, time.monotonic()]
        wait_for("readers that wait", standing)
        assert last[0] < count * 0.9
        held = job.resident_bytes()
        assert held < 400e6, f"{held / 1e6:.0f} MB with readers waiting"
        lag = job.metrics().total("millrace_source_lag_records", stream="readings")
        assert lag is not None
        assert lag > 0
        fragile_broker.resume()
        assert job.wait(90) == 0, job.output
        assert job.summary()["readings_in"] == count
        assert job.summary()["balanced"]
    numbers = [row["n"] for row in rows_of_topic(fragile_kafka, out)]
    assert sorted(numbers) == list(range(count))
