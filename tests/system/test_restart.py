"""Restarts: told to stop, killed, and run again otherwise. Windows are the same as without any.

The expected windows are computed by the test, and so is what one uninterrupted run must give.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path

from conftest import unique_name
from harness.kafka import Kafka, Record
from harness.millrace import Job
from system.fleet import (
    END_WHEN_IDLE,
    Reading,
    dead_letters_to,
    expected,
    kafka_sink,
    letters,
    ordered,
    produce,
    rows_of_topic,
    windows,
    write_job,
)

BROKEN = Record(b'{"device": "d0", "at": ', None, partition=0, timestamp_ms=1)


class Case:
    """A topic of readings, a job, and where its windows and dead letters go."""

    def __init__(self, kafka: Kafka, topic: str, folder: Path, **job: str) -> None:
        self.kafka = kafka
        self.folder = folder
        self.minutes = kafka.create_topic(unique_name("minutes"), 2)
        self.dead = kafka.create_topic(unique_name("dead"))
        self.job = write_job(
            folder, topic, sink=kafka_sink(self.minutes), more=dead_letters_to(self.dead), **job
        )

    def start(self, *arguments: str, name: str = "run") -> Job:
        return Job(
            self.job,
            self.folder,
            brokers=self.kafka.bootstrap,
            arguments=arguments,
            name=name,
        )

    def finish(self, *arguments: str, name: str = "last") -> dict[str, object]:
        """Runs it to the end of its input; the summary."""
        with self.start(*END_WHEN_IDLE, *arguments, name=name) as job:
            assert job.wait() == 0, job.output[-4000:]
            return job.summary()

    def rows(self) -> list[dict[str, object]]:
        return rows_of_topic(self.kafka, self.minutes)


def test_stopped_and_started_again_gives_the_same_windows_once(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(4)
    readings = ordered(600)
    half = len(readings) // 2 + 123  # in the middle of a minute
    case = Case(kafka, source, tmp_path)
    produce(kafka, source, readings[:half])
    with case.start(name="first") as job:
        job.wait_for_metric("millrace_records_in_total", half, stream="readings")
        job.wait_for_metric("millrace_records_out_total", 8 * 3)
        asked = time.monotonic()
        assert job.stop() == 0, job.output
        assert time.monotonic() - asked < 5
        summary = job.summary()
        assert summary["balanced"]
        assert summary["readings_in"] == half
        minutes = summary["streams"]["minutes"]
        assert minutes["open"] > 0
        assert minutes["counted"] + minutes["open"] == half
        assert "stopping: one more checkpoint" in job.stderr
    first = windows(case.rows())
    whole = expected(readings)
    assert 0 < len(first) < len(whole)
    assert first == {key: whole[key] for key in first}, "a partial window was given out"

    produce(kafka, source, readings[half:])
    with case.start(*END_WHEN_IDLE, name="second") as job:
        assert job.wait() == 0, job.output
        assert "going on from a checkpoint" in job.stderr
        summary = job.summary()
        assert summary["balanced"]
        assert summary["readings_in"] == len(readings)  # of both
        assert summary["windows_out"] == len(whole)
    assert windows(case.rows()) == whole
    assert not letters(kafka, case.dead)
    # A job that ended by itself is finished.
    with case.start(name="third") as job:
        assert job.wait() == 0, job.output
        assert "the job has finished" in job.stderr
        assert job.summary()["readings_in"] == len(readings)
    assert windows(case.rows()) == whole


def test_killed_anywhere_nothing_is_lost_and_nothing_comes_twice(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(4)
    readings = ordered(1200)
    third = len(readings) // 3
    late = [Reading("d1", 5.0 + n, 1.0, partition=1) for n in range(20)]
    case = Case(kafka, source, tmp_path)
    produce(kafka, source, readings[:third])
    kafka.produce(source, [BROKEN] * 3)
    with case.start(name="first") as job:
        job.wait_for_metric("millrace_records_out_total", 8 * 3)
        job.kill()
    produce(kafka, source, readings[third : 2 * third] + late)
    with case.start("--parallelism", "1", name="second") as job:
        # Killed before all of it is read, wherever that is. Figures go on from the checkpoint.
        job.wait_for_metric("millrace_records_in_total", third + 500, stream="readings")
        job.kill()
    kafka.produce(source, [BROKEN] * 2)
    produce(kafka, source, readings[2 * third :])
    summary = case.finish("--parallelism", "3")
    assert summary["balanced"]
    assert summary["readings_in"] == len(readings) + len(late) + 5
    assert summary["dead_letters_by_reason"] == {"late": len(late), "malformed": 5}
    assert windows(case.rows()) == expected(readings)
    dead = letters(kafka, case.dead)
    assert set(dead.values()) == {1}
    assert sum(1 for reason, _, _ in dead if reason == "late") == len(late)
    assert sum(1 for reason, _, _ in dead if reason == "malformed") == 5
    assert len(dead) == len(late) + 5


def test_parallelism_and_interleaving_change_nothing(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(4)
    shuffled = random.Random(7)
    readings = ordered(900, seed=3)
    # Arrival out of order: mostly within max_delay, now and then far behind it.
    arrival = sorted(
        readings,
        key=lambda one: (
            one.second
            + (shuffled.uniform(60, 300) if shuffled.random() < 0.02 else shuffled.uniform(0, 9))
        ),
    )
    produce(kafka, source, arrival)
    kafka.produce(source, [BROKEN] * 4)
    # Late by the definition: the pane had ended at or before the partition's own watermark.
    latest: dict[int, float] = {}
    counted, late = [], 0
    for one in arrival:
        watermark = latest.get(one.partition, -1e9) - 10
        pane_end = one.second // 60 * 60 + 60
        if pane_end <= watermark:
            late += 1
            continue
        counted.append(one)
        latest[one.partition] = max(latest.get(one.partition, -1e9), one.second)
    assert late > 20
    runs = []
    with contextlib.ExitStack() as stack:  # all at the same time
        for parallelism, fetch_bytes in (("1", "2000"), ("2", "1000000"), ("5", "30000")):
            fetching = f"fetch.message.max.bytes: {fetch_bytes}"
            case = Case(kafka, source, tmp_path / parallelism, source_properties=fetching)
            job = case.start(*END_WHEN_IDLE, "--parallelism", parallelism)
            runs.append((case, stack.enter_context(job)))
        for _, job in runs:
            assert job.wait() == 0, job.output
            summary = job.summary()
            assert summary["balanced"]
            assert summary["dead_letters_by_reason"] == {"late": late, "malformed": 4}
    results = [(windows(case.rows()), letters(kafka, case.dead)) for case, _ in runs]
    assert results[0][0] == expected(counted)
    assert set(results[0][1].values()) == {1}
    assert results[1] == results[0]
    assert results[2] == results[0]
