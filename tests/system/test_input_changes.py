"""What happens to topics while a job reads them, and between two runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from conftest import unique_name
from harness.kafka import Kafka
from harness.millrace import Job
from harness.waiting import wait_for
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
    """Reads all readings, stops, and leaves the last windows open for the next start."""
    produce(kafka, source, readings)
    with start(kafka, job_file, "first") as job:
        job.wait_for_metric("millrace_records_in_total", len(readings), stream="readings")
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


def found(job_file: Path, *, may_repeat: bool = False) -> dict[tuple[str, int], object]:
    return dict(windows(rows_of_files(job_file.parent / "data" / "minutes"),
                        may_repeat=may_repeat))  # fmt: skip


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
    lost = job.summary()["lost"]
    # The open window's readings were still needed: from 240 (the window's first) on, or earlier.
    assert 160 <= lost <= SECONDS + 100
    assert f"{lost} offsets were deleted (retention)" in job.stderr
    windows_found = found(job_file)
    whole = expected([*readings, *more])
    for minute in (0, 60, 120, 180, 420, 480, 540):
        assert windows_found["d0", minute] == whole["d0", minute]
    assert windows_found["d0", 360] == expected(more[100:])["d0", 360]


@dataclass(frozen=True)
class MadeAgain:
    """A topic that was read once, deleted, and made again with a day's later readings."""

    kafka: Kafka
    source: str
    job_file: Path
    first: list[Reading]
    anew: list[Reading]


def make_again(
    kafka: Kafka, source: str, folder: Path, count: int, *, keep_positions: bool
) -> MadeAgain:
    """Kafka deletes a group's positions with the topic. `keep_positions` puts them back, as tools
    that move or restore clusters do."""
    job_file = write_job(folder, source)
    first = ordered(SECONDS, devices=1, partitions=1)
    read_once(kafka, source, job_file, first)
    offset, metadata = committed(kafka, group_of(job_file), source)
    assert 0 < offset < SECONDS
    kafka.delete_topic(source)
    create_again(kafka, source)
    anew = ordered(count, devices=1, partitions=1, seed=2, first=86_400)
    produce(kafka, source, anew)
    if keep_positions:
        consumer = Consumer(
            {"bootstrap.servers": kafka.bootstrap, "group.id": group_of(job_file), "log_level": 2}
        )
        restored = TopicPartition(source, 0, offset, metadata)
        consumer.commit(offsets=[restored], asynchronous=False)
        consumer.close()
    return MadeAgain(kafka, source, job_file, first, anew)


def committed(kafka: Kafka, group: str, topic: str) -> tuple[int, str]:
    """Offset and metadata of the last commit, from Kafka's own topic of commits: confluent-kafka
    reads a commit's metadata beyond its end."""
    commits = [
        record
        for record in kafka.read_all("__consumer_offsets")
        if record.key is not None
        and record.value
        and group.encode() in record.key
        and topic.encode() in record.key
    ]
    value = commits[-1].value or b""  # version (2 bytes), offset (8), leader epoch (4), metadata
    metadata = re.search(rb"millrace/\d+(?: -?\d+)+", value)
    assert metadata is not None
    return int.from_bytes(value[2:10], "big"), metadata[0].decode()


def group_of(job_file: Path) -> str:
    found = re.search(r"metadata: \{name: (.*)\}", job_file.read_text())
    assert found is not None
    return f"millrace-{found[1]}"


def check_made_again(
    kafka: Kafka, source: str, folder: Path, count: int, *, keep_positions: bool
) -> None:
    case = make_again(kafka, source, folder, count, keep_positions=keep_positions)
    if keep_positions:
        fails(kafka, case.job_file, "topic_recreated",
              f"topic '{source}' partition 0 was re-created",
              "set on_data_loss: continue to read it from the start")  # fmt: skip
        job = finishes(kafka, case.job_file)
        assert "reading it from the start (on_data_loss: continue)" in job.stderr
    else:
        with start(kafka, case.job_file, "again", *END_WHEN_IDLE) as job:
            assert job.wait(30) == 0, job.output
            assert "going on from committed offsets" not in job.stderr
    windows_found = found(case.job_file)
    for key, value in expected(case.anew).items():
        assert windows_found[key] == value


def test_a_topic_made_again_between_runs_is_not_taken_for_the_old_one(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    # Longer than what was read, shorter, and shorter than where the open windows begin; and without
    # positions, where only its start is left to read from.
    cases = [(600, True), (280, True), (100, True), (SECONDS, False)]
    with ThreadPoolExecutor(len(cases)) as pool:  # most of it is waiting
        checks = [
            pool.submit(
                check_made_again, kafka, topic(1), tmp_path / f"{count}", count, keep_positions=keep
            )
            for count, keep in cases
        ]
        for check in checks:
            check.result()


def test_offsets_that_were_set_by_hand_are_followed_and_told(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(1)
    readings = ordered(SECONDS, devices=1, partitions=1)
    produce(kafka, source, readings)
    job_file = write_job(tmp_path, source)
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": group_of(job_file), "log_level": 2}
    )
    consumer.commit(offsets=[TopicPartition(source, 0, 130)], asynchronous=False)
    consumer.close()
    with start(kafka, job_file, "run", *END_WHEN_IDLE) as job:
        assert job.wait(30) == 0, job.output
        assert re.search(
            rf"warn .*not written by this version.*topic={source} partition=0 offset=130",
            job.stderr,
        )
    assert found(job_file) == expected(readings[130:])


def create_again(kafka: Kafka, name: str) -> None:
    """A deleted topic's name is free a moment later."""

    def attempt() -> bool:
        try:
            kafka.create_topic(name)
        except KafkaException:
            return False
        return True

    wait_for(f"topic {name} anew", attempt)


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
