"""What happens to topics while a job reads them, and between two runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from conftest import unique_name
from harness.kafka import Kafka
from harness.millrace import Job
from system.fleet import (
    END_WHEN_IDLE,
    Reading,
    expected,
    ordered,
    produce,
    rows_of_files,
    windows,
    write_job,
)

SECONDS = 300


def start(kafka: Kafka, job: Path, name: str, *arguments: str) -> Job:
    return Job(job, job.parent, brokers=kafka.bootstrap, arguments=arguments, name=name)


def read_once(kafka: Kafka, source: str, job_file: Path, readings: list[Reading]) -> None:
    """Reads up to these readings, stops, and leaves the last windows open for the next start."""
    produce(kafka, source, readings)
    total = sum(kafka.end_offsets(source).values())
    with start(kafka, job_file, "first") as job:
        job.wait_for_metric("millrace_records_in_total", total, stream="readings")
        assert job.stop() == 0, job.output


def fails(kafka: Kafka, job_file: Path, code: str, *words: str) -> None:
    with start(kafka, job_file, "fails", *END_WHEN_IDLE) as job:
        assert job.wait(30) == 1, job.output
        failed = [line for line in job.stderr.splitlines() if "the job failed" in line]
        assert len(failed) == 1, job.output
        assert f"code={code}" in failed[0]
        for word in words:
            assert word in failed[0]


def finishes(kafka: Kafka, job_file: Path, name: str = "goes-on") -> Job:
    """The same job with on_data_loss: continue."""
    job_file.write_text(
        job_file.read_text().replace("on_data_loss: fail", "on_data_loss: continue")
    )
    with start(kafka, job_file, name, *END_WHEN_IDLE) as job:
        assert job.wait(30) == 0, job.output
        assert job.summary()["balanced"]
    return job


def found(job_file: Path) -> dict[tuple[str, int], object]:
    return dict(windows(rows_of_files(job_file.parent / "data" / "minutes")))


def test_new_partitions_are_read_from_their_start(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(1)
    before = ordered(SECONDS, devices=3, partitions=1)
    produce(kafka, source, before)
    job_file = write_job(tmp_path, source, idle_after="60s")
    with start(kafka, job_file, "run") as job:
        job.wait_for_metric("millrace_records_in_total", len(before), stream="readings")
        kafka.add_partitions(source, 3)
        job.wait_for_line(rf"topic {source}, partition 2 is new: it is read from its start")
        # All partitions go on from where the first was, the new ones with devices of their own.
        after = [
            Reading(f"e{partition}", SECONDS + second, 2.5, partition)
            for second in range(120)
            for partition in range(3)
        ]
        produce(kafka, source, after)
        total = len(before) + len(after)
        job.wait_for_metric("millrace_records_in_total", total, stream="readings")
        assert job.stop() == 0, job.output
    with start(kafka, job_file, "again", *END_WHEN_IDLE) as job:
        assert job.wait() == 0, job.output
        assert job.summary()["balanced"]
        assert not job.summary()["dead_letters_by_reason"]
    assert found(job_file) == expected([*before, *after])


def test_retention_that_overtook_the_job(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(1)
    readings = ordered(SECONDS, devices=1, partitions=1)
    job_file = write_job(tmp_path, source)
    read_once(kafka, source, job_file, readings)
    more = ordered(SECONDS, devices=1, partitions=1, first=SECONDS)
    produce(kafka, source, more)
    kafka.delete_records(source, 0, SECONDS + 100)
    fails(kafka, job_file, "data_lost", f"offsets {SECONDS + 100} to {2 * SECONDS} exist",
          "were deleted (retention) before they were read")  # fmt: skip
    job = finishes(kafka, job_file)
    # What had been read is in the checkpoint, also of the window that was open.
    assert job.summary()["lost"] == 100
    assert "100 offsets were deleted (retention)" in job.stderr
    assert found(job_file) == expected([*readings, *more[100:]])


def group_of(job_file: Path) -> str:
    found = re.search(r"metadata: \{name: (.*)\}", job_file.read_text())
    assert found is not None
    return f"millrace-{found[1]}"


def check_made_again(kafka: Kafka, source: str, folder: Path, count: int) -> None:
    job_file = write_job(folder, source)
    first = ordered(SECONDS, devices=1, partitions=1)
    read_once(kafka, source, job_file, first)
    kafka.delete_topic(source)
    kafka.create_topic_again(source)
    anew = ordered(count, devices=1, partitions=1, seed=2, first=86_400)
    produce(kafka, source, anew)
    fails(kafka, job_file, "topic_recreated", f"topic '{source}' partition 0 was re-created",
          "set on_data_loss: continue to read it from the start")  # fmt: skip
    job = finishes(kafka, job_file)
    assert "reading it from the start (on_data_loss: continue)" in job.stderr
    assert found(job_file) == expected([*first, *anew])


def test_a_topic_made_again_between_runs_is_not_taken_for_the_old_one(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    # Longer than what was read, as long, and shorter.
    counts = (600, SECONDS, 100)
    with ThreadPoolExecutor(len(counts)) as pool:  # most of it is waiting
        checks = [
            pool.submit(check_made_again, kafka, topic(1), tmp_path / f"{count}", count)
            for count in counts
        ]
        for check in checks:
            check.result()


def test_the_consumer_group_shows_the_lag_and_decides_nothing(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(1)
    readings = ordered(SECONDS, devices=1, partitions=1)
    job_file = write_job(tmp_path, source)
    group = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": group_of(job_file), "log_level": 2}
    )
    position = [TopicPartition(source, 0)]
    # Set before the first start, before the second, and ahead of what was read.
    group.commit(offsets=[TopicPartition(source, 0, 130)], asynchronous=False)
    read_once(kafka, source, job_file, readings[:200])
    assert group.committed(position, timeout=10)[0].offset == 200
    group.commit(offsets=[TopicPartition(source, 0, 50)], asynchronous=False)
    read_once(kafka, source, job_file, readings[200:250])
    assert group.committed(position, timeout=10)[0].offset == 250
    group.commit(offsets=[TopicPartition(source, 0, 290)], asynchronous=False)
    produce(kafka, source, readings[250:])
    with start(kafka, job_file, "run", *END_WHEN_IDLE) as job:
        assert job.wait(30) == 0, job.output
    group.close()
    assert found(job_file) == expected(readings)


def test_a_topic_deleted_between_runs(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(1)
    job_file = write_job(tmp_path, source)
    read_once(kafka, source, job_file, ordered(120, devices=1, partitions=1))
    kafka.delete_topic(source)
    fails(kafka, job_file, "topic_missing", f"topic '{source}' does not exist")


def test_a_topic_deleted_while_it_is_read(kafka: Kafka, tmp_path: Path) -> None:
    source = kafka.create_topic(unique_name("deleted"))
    readings = ordered(180, devices=1, partitions=1)
    produce(kafka, source, readings)
    job_file = write_job(tmp_path, source)
    with start(kafka, job_file, "run") as job:
        job.wait_for_metric("millrace_records_in_total", len(readings), stream="readings")
        kafka.delete_topic(source)
        assert job.wait(30) == 1
        assert f"topic {source} was deleted while it was read" in job.stderr
        assert "code=topic_deleted" in job.stderr
