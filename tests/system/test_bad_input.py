"""What is not there, not allowed, not well-formed or too much, each with the message it gives."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import unique_name
from devtool import processes
from devtool.broker import Broker
from harness import millrace
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for
from system.fleet import (
    END_WHEN_IDLE,
    START,
    Reading,
    dead_letters_to,
    expected,
    kafka_sink,
    letters,
    ordered,
    produce,
    rows_of_files,
    rows_of_topic,
    windows,
    write_job,
)

BIG = 5_000_000


def test_no_broker_is_told_and_a_stop_ends_the_wait(tmp_path: Path) -> None:
    brokers = f"127.0.0.1:{processes.free_port()}"
    with Job(write_job(tmp_path, "readings"), tmp_path, brokers=brokers) as job:
        job.wait_for_line(rf"no Kafka broker answers at {brokers}", 5)
        ready = job.get("/readyz")
        assert ready is not None
        assert ready.status_code == 503
        assert "the job is starting" in ready.text
        job.wait_for_line(r"trying again.* in=250ms")
        job.wait_for_line(r"trying again.* in=500ms")
        asked = time.monotonic()
        assert job.stop() == 0
        assert time.monotonic() - asked < 1
    # Also while the client waits for an answer.
    with Job(tmp_path / "job.yaml", tmp_path, brokers=brokers, name="at-once") as job:
        job.wait_for_line("operating port is open")
        asked = time.monotonic()
        assert job.stop() == 0
        assert time.monotonic() - asked < 1
        assert "stopping before the job runs" in job.stderr


def test_a_missing_topic_is_told_with_the_nearest_name(
    broker: Broker, kafka: Kafka, tmp_path: Path
) -> None:
    name = kafka.create_topic(unique_name("smoke_sensor_data"))
    wrong = name.replace("sensor", "senser")
    with Job(write_job(tmp_path, wrong), tmp_path, brokers=broker.bootstrap) as job:
        assert job.wait(10) == 1
        assert f"topic '{wrong}' does not exist at {broker.bootstrap}" in job.stderr
        assert f"did you mean '{name}'?" in job.stderr
        assert "code=topic_missing" in job.stderr
    assert not any(topic == wrong for topic in kafka._admin.list_topics().topics)


def test_missing_output_topics_are_created(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source, out, dead = topic(), unique_name("made"), unique_name("made-dead")
    readings = ordered(180, devices=2, partitions=1)
    produce(kafka, source, readings)
    kafka.produce(source, [Record(b"5", partition=0)])
    job_file = write_job(tmp_path, source, sink=kafka_sink(out), more=dead_letters_to(dead))
    with Job(job_file, tmp_path, brokers=kafka.bootstrap, arguments=END_WHEN_IDLE) as job:
        assert job.wait() == 0, job.output
        for made in (out, dead):
            assert f"created topic {made} with 4 partitions and retention.ms=-1" in job.stderr
    assert kafka.partitions(out) == kafka.partitions(dead) == [0, 1, 2, 3]
    assert windows(rows_of_topic(kafka, out)) == expected(readings)
    assert letters(kafka, dead) == {("malformed", 0, len(readings)): 1}


@pytest.mark.parametrize(
    "sink", ["files: {path: below/out}", "parquet: {path: below/out, partition_by: [date]}"]
)
def test_a_folder_that_cannot_be_written(sink: str, topic: Callable[..., str],
                                         broker: Broker, tmp_path: Path) -> None:  # fmt: skip
    job_file = write_job(tmp_path, topic(), sink=sink)
    # A file stands where the folder should be: no right, not even root's, helps.
    in_the_way = tmp_path / "data" / "below"
    in_the_way.parent.mkdir()
    in_the_way.write_text("in the way")
    with Job(job_file, tmp_path, brokers=broker.bootstrap) as job:
        assert job.wait(10) == 1, job.output
    assert "code=unwritable_path" in job.stderr
    assert str(in_the_way) in job.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 256 KiB; an ordinary one where tests may not mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    yield folder
    if mounted.returncode == 0:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def start_on(disk: Path, *command: object, **more: object) -> Job:
    """The job, with no file larger than 20 kB where the disk itself is not small."""
    if os.path.ismount(disk):
        return Job(*command, **more)  # type: ignore[arg-type]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        return Job(*command, **more)  # type: ignore[arg-type]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def finished_files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".json", ".jsonl", ".parquet")
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["files", "parquet"])
def test_a_full_disk(
    kind: str, kafka: Kafka, topic: Callable[..., str], tmp_path: Path, small_disk: Path
) -> None:
    source = topic()
    # Names that do not compress: each kind of file comes to more than the disk holds.
    readings = [Reading(os.urandom(32).hex(), n // 40, 1.0) for n in range(8000)]
    produce(kafka, source, readings)
    disk = small_disk.resolve()
    job_file = write_job(tmp_path, source, sink=f"{kind}: {{path: {disk}/out, roll_bytes: 32KiB}}")
    with start_on(
        disk, job_file, tmp_path, brokers=kafka.bootstrap, arguments=END_WHEN_IDLE
    ) as job:
        assert job.wait() == 1, job.output
    assert re.search(rf"the job failed  error=.*no space left for {disk}/out", job.stderr)
    assert "code=disk_full" in job.stderr
    # What stands under a final name is whole.
    if kind == "files":
        for path in finished_files(disk / "out"):
            text = path.read_text()
            assert text.endswith("\n")
            for line in text.splitlines():
                assert json.loads(line)["readings"] >= 1
    else:
        import pyarrow.parquet

        for path in finished_files(disk / "out"):
            assert pyarrow.parquet.read_table(path).num_rows > 0


def test_a_message_of_5_mb(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    source = topic(max_message_bytes="6000000")
    dead, small_dead = topic(max_message_bytes="6000000"), topic(max_message_bytes="1000000")
    readings = [Reading("d0", second, 1.5) for second in range(0, 120, 10)]
    at = (START + 5) * 1000
    huge = json.dumps({"device": "d0", "padding": "x" * BIG, "at": at, "value": 2.0}).encode()
    broken = huge[: BIG + 20]
    produce(kafka, source, readings)
    kafka.produce(source, [Record(huge, partition=0), Record(broken, partition=0)])
    jobs = []
    with contextlib.ExitStack() as stack:  # both at the same time
        for target in (dead, small_dead):
            job_file = write_job(
                tmp_path / target, source, more=dead_letters_to(target), max_delay="5m"
            )
            job = Job(job_file, job_file.parent, brokers=kafka.bootstrap, arguments=END_WHEN_IDLE)
            jobs.append(stack.enter_context(job))
        for job in jobs:
            assert job.wait() == 0, job.output
            assert job.summary()["dead_letters_by_reason"] == {"malformed": 1}
            assert windows(rows_of_files(job.data_dir / "minutes")) == expected(
                [*readings, Reading("d0", 5, 2.0)]
            )
    (whole,) = kafka.read_all(dead)
    assert whole.value == broken
    assert whole.header("offset") == str(len(readings) + 1).encode()
    # A topic that takes 1 MB gets the letter without its value, and how long that was.
    (short,) = kafka.read_all(small_dead)
    assert not short.value
    assert short.header("value_bytes") == str(len(broken)).encode()
    assert short.header("reason") == b"malformed"


def test_an_empty_topic(broker: Broker, topic: Callable[..., str], tmp_path: Path) -> None:
    with Job(write_job(tmp_path, topic(2)), tmp_path, brokers=broker.bootstrap) as job:
        wait_for("readiness", lambda: getattr(job.get("/readyz"), "status_code", 0) == 200)
        # Two checkpoints, and idle long since: it is still there.
        job.wait_for_metric("millrace_checkpoints_total", 8, result="completed")
        assert job.metrics().total("millrace_source_lag_records", stream="readings") == 0
        asked = time.monotonic()
        assert job.stop() == 0, job.output
        assert time.monotonic() - asked < 5
        summary = job.summary()
        assert (summary["readings_in"], summary["windows_out"]) == (0, 0)
        assert summary["ok"]
        assert summary["balanced"]
    # Told to end by itself, it does.
    finished = millrace.run(
        ["run", tmp_path / "job.yaml", "--brokers", broker.bootstrap, "--metrics-port", "0",
         "--data-dir", tmp_path / "data", *END_WHEN_IDLE]
    )  # fmt: skip
    assert finished.code == 0, finished.stderr
