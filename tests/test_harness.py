"""The harness itself, against a real broker: what other tests rely on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from devtool.broker import Broker
from devtool.kafka_protocol import KafkaError
from harness.kafka import Kafka, Record
from harness.millrace import Job, Metrics
from harness.waiting import wait_for


def test_records_come_back_as_written(kafka: Kafka, topic: Callable[..., str]) -> None:
    name = topic(partitions=2)
    written = [
        Record(b"one", b"k", partition=1, timestamp_ms=1_700_000_000_000, headers=(("h", b"1"),)),
        Record(None, b"k", partition=1, timestamp_ms=5),
        Record(b"x" * 5_000_000, None, partition=0, timestamp_ms=7),
    ]
    assert kafka.produce(name, written) == 3
    assert kafka.end_offsets(name) == {0: 1, 1: 2}
    big, first, second = kafka.read_all(name)
    assert (len(big.value or b""), big.partition, big.timestamp_ms) == (5_000_000, 0, 7)
    assert (first.value, first.key, first.header("h")) == (b"one", b"k", b"1")
    assert (first.timestamp_ms, first.offset) == (1_700_000_000_000, 0)
    assert (second.value, second.timestamp_ms, second.offset) == (None, 5, 1)


def test_missing_topic_is_not_made(kafka: Kafka) -> None:
    with pytest.raises(KafkaException, match="Unknown topic"):
        kafka.partitions("no-such-topic")


def test_topics_without_a_client_library(broker: Broker, kafka: Kafka) -> None:
    broker.create_topics({"by-hand": 3}, {"retention.ms": "-1"})
    broker.create_topics({"by-hand": 3})  # exists: stays
    assert kafka.partitions("by-hand") == [0, 1, 2]
    with pytest.raises(KafkaError, match="by hand"):
        broker.create_topics({"by hand": 1})


def test_data_outlives_kill_and_pause_is_seen(own_broker: Broker) -> None:
    kafka = Kafka(own_broker.bootstrap)
    kafka.create_topic("kept")
    kafka.produce("kept", [Record(b"value")])

    own_broker.pause()
    assert not own_broker.is_ready()
    own_broker.resume()
    wait_for("answer", own_broker.is_ready)

    first = own_broker.process
    own_broker.kill()
    assert own_broker.process is None
    own_broker.start()
    assert own_broker.process != first
    assert [record.value for record in kafka.read_all("kept")] == [b"value"]


def test_waiting_ends_at_its_deadline() -> None:
    with pytest.raises(AssertionError, match=r"after 0.05 s still no answer; last: None"):
        wait_for("answer", lambda: None, timeout_seconds=0.05)


# Stands in for a program that is killed while it answers: takes a request, sends the head and a
# part of what it announced, then does what follows.
HALF_AN_ANSWER = """#!{python}
import os, signal, socket, sys, time
port = int(sys.argv[sys.argv.index("--metrics-port") + 1])
listener = socket.create_server(("127.0.0.1", port))
connection, _ = listener.accept()
connection.recv(65536)
connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 886\\r\\n\\r\\nup")
{then}
"""


def half_an_answer(folder: Path, then: str) -> Job:
    script = folder / "half"
    script.write_text(HALF_AN_ANSWER.format(python=sys.executable, then=then))
    script.chmod(0o755)
    return Job(folder / "job.yaml", folder, executable=script)


def test_a_death_in_the_middle_of_an_answer_is_no_answer(tmp_path: Path) -> None:
    with half_an_answer(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)") as job:
        wait_for("death", lambda: (job.metrics().samples == []) and job.code is not None)
        assert job.code == -signal.SIGKILL


def test_a_living_program_that_cuts_its_answer_short_fails_a_test(tmp_path: Path) -> None:
    with half_an_answer(tmp_path, "connection.close(); time.sleep(600)") as job:
        with pytest.raises(AssertionError, match="no end after"):
            wait_for("answer", lambda: job.get("/metrics"))


def test_metrics_are_summed_by_label() -> None:
    metrics = Metrics(
        "# TYPE dead_total counter\n"
        'dead_total{reason="late",stream="a"} 3\n'
        'dead_total{reason="late",stream="b \\"x\\""} 4\n'
        'dead_total{reason="future",stream="a"} 1.5e1\n'
        "up 1\n"
    )
    assert metrics.total("dead_total", reason="late") == 7
    assert metrics.total("dead_total", stream="a") == 18
    assert metrics.total("up") == 1
    assert metrics.total("down") is None
