"""What goes wrong with outputs while a job runs and between two runs: each row still comes once, or
the job says why it stops."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cluster.case import Case, Expected, wait_for_moment
from cluster.outputs import finished_files, leftovers
from conftest import unique_name
from devtool.broker import Broker
from harness import millrace
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for
from system.fleet import END_WHEN_IDLE, rows_of_topic

REGISTERS = "millrace.progress"
TRANSACTION_TIMEOUT_SECONDS = 10.0
SILENT_SECONDS = 5.0

# Every reading is a row.
PASSED_ON = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  checkpoint: {{interval: 200ms}}
  streams:
    numbers:
      kafka: {{topics: [{source}], properties: {{fetch.wait.max.ms: 20}}}}
      format: json
      columns: {{text: text, n: bigint}}
    passed:
      sql: SELECT text, n + 1 AS n FROM numbers WHERE n % 2 = 0
  sinks:
    - {{stream: passed, kafka: {{topic: {out}}}}}
  dead_letters: {{kafka: {{topic: {dead}}}}}
"""


class PassedOn:
    """Even numbers come in, the next odd ones come out."""

    def __init__(
        self, kafka: Kafka, folder: Path, *, source: str, out: str, dead: str | None = None
    ) -> None:
        self.kafka = kafka
        self.folder = folder
        self.source = source
        self.out = out
        self.dead = dead or kafka.create_topic(unique_name("dead"))
        self.job_file = folder / "job.yaml"
        self.job_file.write_text(
            PASSED_ON.format(name=unique_name("passed"), source=source, out=out, dead=self.dead)
        )

    def send(self, first: int, count: int, text: str = "x", partitions: int = 1) -> None:
        self.kafka.produce(
            self.source,
            (
                Record(json.dumps({"text": text, "n": 2 * n}).encode(), partition=n % partitions)
                for n in range(first, first + count)
            ),
        )

    def start(self, *arguments: str, name: str = "run", crash_at: str | None = None) -> Job:
        return Job(
            self.job_file,
            self.folder,
            brokers=self.kafka.bootstrap,
            arguments=arguments,
            name=name,
            executable=millrace.crash_program() if crash_at is not None else None,
            env={"MILLRACE_CRASH_AT": crash_at} if crash_at is not None else None,
        )

    def finish(self, *arguments: str) -> Job:
        with self.start(*END_WHEN_IDLE, *arguments, name="last") as job:
            assert job.wait() == 0, job.output[-4000:]
            assert job.summary()["balanced"]
        return job

    def odd(self) -> Counter[int]:
        """How often each odd number stands in the output."""
        return Counter(row["n"] for row in rows_of_topic(self.kafka, self.out) if row["n"] % 2)


def odd_numbers(first: int, count: int) -> Counter[int]:
    return Counter(2 * n + 1 for n in range(first, first + count))


@pytest.fixture(scope="module")
def quick_broker() -> Iterator[Broker]:
    """Its own registers, and transactions of the dead end a second after their time at most."""
    properties = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}
    with tempfile.TemporaryDirectory(prefix="millrace-quick-") as folder:
        with Broker(Path(folder), properties=properties) as running:
            yield running


@pytest.fixture
def quick_kafka(quick_broker: Broker) -> Kafka:
    return Kafka(quick_broker.bootstrap)


def fails(job: Job, code: str) -> None:
    assert job.wait(30) == 1, job.output[-4000:]
    assert f"code={code}" in job.stderr


def test_the_register_topic_is_deleted_between_runs(quick_kafka: Kafka, tmp_path: Path) -> None:
    source, out = (quick_kafka.create_topic(unique_name(name)) for name in ("source", "out"))
    case = PassedOn(quick_kafka, tmp_path, source=source, out=out)
    case.send(0, 500)
    with case.start() as job:
        job.wait_for_metric("millrace_records_out_total", 500)
        assert job.stop() == 0, job.output
    quick_kafka.delete_topic(REGISTERS)
    case.send(500, 500)
    # Not only at the first start, which makes the topic anew.
    for name in ("first", "second"):
        with case.start(*END_WHEN_IDLE, name=name) as job:
            fails(job, "register_missing")
    assert case.odd() == odd_numbers(0, 500)
    case.finish("--new-generation")
    assert case.odd() == odd_numbers(0, 500) + odd_numbers(0, 1000)


def test_the_state_folder_is_emptied(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    case = PassedOn(kafka, tmp_path, source=topic(), out=topic())
    case.send(0, 500)
    with case.start() as job:
        job.wait_for_metric("millrace_records_out_total", 500)
        assert job.stop() == 0, job.output
    shutil.rmtree(job.data_dir / ".millrace")
    case.send(500, 500)
    for name in ("first", "second"):
        with case.start(*END_WHEN_IDLE, name=name) as job:
            fails(job, "generation_is_foreign")
            assert "--new-generation" in job.stderr
    assert case.odd() == odd_numbers(0, 500)
    case.finish("--new-generation")
    assert case.odd() == odd_numbers(0, 500) + odd_numbers(0, 1000)
    assert "the job has finished" in case.finish().stderr
    assert case.odd() == odd_numbers(0, 500) + odd_numbers(0, 1000)


def test_rows_that_their_topic_does_not_take_are_dead_letters_once(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    case = PassedOn(kafka, tmp_path, source=topic(), out=topic(max_message_bytes="5000"))
    for first in range(0, 600, 100):
        case.send(first, 98)
        case.send(first + 98, 2, text="y" * 10_000)
    for crash in ("manifest_committed", "transaction_committed"):
        with case.start(name=crash, crash_at=f"{crash}:1") as job:
            assert job.wait() == -signal.SIGKILL
    summary = case.finish().summary()
    assert summary["dead_letters_by_reason"] == {"too_large": 12}
    large = {first + n for first in range(0, 600, 100) for n in (98, 99)}
    assert case.odd() == Counter(2 * n + 1 for n in range(600) if n not in large)
    letters = [json.loads(record.value or b"{}") for record in kafka.read_all(case.dead)]
    assert Counter(letter["n"] for letter in letters) == Counter(2 * n + 1 for n in large)


def test_a_job_that_reads_the_topic_that_it_writes(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    both = topic()
    case = PassedOn(kafka, tmp_path, source=both, out=both)
    case.send(0, 500)
    with case.start(name="killed", crash_at="transaction_committed:1") as job:
        assert job.wait() == -signal.SIGKILL
    case.send(500, 500)
    summary = case.finish().summary()
    # Its own rows came back and were left out by WHERE.
    assert summary["readings_in"] == 2000
    assert case.odd() == odd_numbers(0, 1000)


def test_a_reader_is_held_up_by_a_dead_transaction_for_ten_seconds_at_most(
    quick_kafka: Kafka, tmp_path: Path
) -> None:
    source, out = (quick_kafka.create_topic(unique_name(name)) for name in ("source", "out"))
    case = PassedOn(quick_kafka, tmp_path, source=source, out=out)
    case.send(0, 20_000, text="x" * 200)
    with case.start(name="killed", crash_at="transaction_delivered") as job:
        assert job.wait() == -signal.SIGKILL
        died = time.monotonic()
    quick_kafka.produce(out, [Record(b'{"n": -1}', partition=0)])
    assert case.odd()[-1] == 0, "nothing was open: this shows nothing"
    wait_for("what stands behind the open transaction", lambda: case.odd()[-1] == 1, 30)
    held_up = time.monotonic() - died
    print(f"[held up for {held_up:.1f} s]")
    # A second is the broker's own for looking, one is for reading the topic.
    assert held_up < TRANSACTION_TIMEOUT_SECONDS + 2
    case.finish()
    assert case.odd() == odd_numbers(0, 20_000) + Counter([-1])


def test_an_output_topic_is_made_again_while_the_job_runs(
    quick_kafka: Kafka, tmp_path: Path
) -> None:
    source, out = (quick_kafka.create_topic(unique_name(name)) for name in ("source", "out"))
    case = PassedOn(quick_kafka, tmp_path, source=source, out=out)
    case.send(0, 500)
    with case.start() as job:
        job.wait_for_metric("millrace_records_out_total", 500)
        quick_kafka.delete_topic(out)
        quick_kafka.create_topic_again(out)
        case.send(500, 500)
        job.wait_for_metric("millrace_records_out_total", 1000, 60)
        assert job.stop() == 0, job.output
    case.send(1000, 500)
    case.finish()
    # What was in the old topic is gone with it, and does not come again.
    assert case.odd() == odd_numbers(500, 1000)


def files_that_are_confirmed(case: Case, job: Job) -> Sequence[Path]:
    """Finished files, and four epochs more, so that a manifest knows of them."""
    folder = case.data_dir / "windows"
    case.send_by_epoch(job, lambda _: len(finished_files(folder, ".parquet")) > 1, "files")
    files = finished_files(folder, ".parquet")
    done = job.metrics().total("millrace_checkpoints_total", result="completed") or 0.0
    case.run_epochs(job, int(done) + 4)
    return files


def test_confirmed_files_that_were_moved_away_do_not_come_back(
    case: Case, expected: Expected, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    with case.start() as job:
        files = files_that_are_confirmed(case, job)
        job.kill()
    for path in files:
        path.rename(aside / path.name)
    summary = case.finish()
    for path in files:
        assert not path.exists()
        (aside / path.name).rename(path)
    case.check(summary, expected)


def test_leftovers_of_a_crash_are_gone_after_the_next_start(case: Case, expected: Expected) -> None:
    with case.start() as job:
        (path, *_) = files_that_are_confirmed(case, job)
        job.kill()
    whole = path.read_bytes()
    aside = case.data_dir / "windows" / f".inprogress-0a1b2c3d-{path.name}"
    others = aside.with_name(aside.name.replace(case.name, "another-job"))
    for leftover in (aside, others):
        leftover.write_bytes(whole[: len(whole) // 2])
    with case.start() as job:
        job.wait_for_line("running")
        assert leftovers(case.data_dir) == [others]
        job.kill()
    summary = case.finish()
    others.unlink()
    case.check(summary, expected)


def test_parallelism_changes_at_each_restart(case: Case, expected: Expected) -> None:
    for parallelism in ("1", "4", "2"):
        with case.start("--parallelism", parallelism) as job:
            case.run_epochs(job, 4)
            job.kill()
    case.check(case.finish("--parallelism", "3"), expected)


def test_a_second_process_is_refused(case: Case, expected: Expected) -> None:
    with case.start() as job:
        case.run_epochs(job, 2)
        with case.start(*END_WHEN_IDLE, name="second") as second:
            fails(second, "job_is_running")
        case.run_epochs(job, 4)
        assert job.stop() == 0, job.output[-4000:]
    case.check(case.finish(), expected)


@pytest.mark.soak
def test_an_epoch_of_half_a_gigabyte(quick_kafka: Kafka, tmp_path: Path) -> None:
    """All of it is one epoch's, and the process dies between two of its transactions."""
    source, out = (quick_kafka.create_topic(unique_name(name)) for name in ("source", "out"))
    case = PassedOn(quick_kafka, tmp_path, source=source, out=out)
    job_file = case.job_file.read_text()
    case.job_file.write_text(job_file.replace("interval: 200ms", "interval: 10m"))
    rows = 500_000
    case.send(0, rows, text="x" * 1000)
    with case.start(*END_WHEN_IDLE, name="killed", crash_at="transaction_committed:10") as job:
        assert job.wait(300) == -signal.SIGKILL
    published = sum(case.odd().values())
    assert 0 < published < rows
    assert case.finish().summary()["checkpoints"] == 1  # the confirmation
    assert case.odd() == odd_numbers(0, rows)


@pytest.fixture
def forgetful_kafka() -> Iterator[Kafka]:
    """It forgets a producer that was silent for two seconds, instead of for a week."""
    properties = {
        "transactional.id.expiration.ms": "2000",
        "producer.id.expiration.ms": "2000",
        "producer.id.expiration.check.interval.ms": "200",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
    }
    with tempfile.TemporaryDirectory(prefix="millrace-forgetful-") as folder:
        with Broker(Path(folder), properties=properties) as running:
            yield Kafka(running.bootstrap)


def test_a_sink_that_was_silent_for_long_is_still_known(
    forgetful_kafka: Kafka, tmp_path: Path
) -> None:
    """Kafka has forgotten the producer by then, and the register has not."""
    source, out = (forgetful_kafka.create_topic(unique_name(name)) for name in ("source", "out"))
    case = PassedOn(forgetful_kafka, tmp_path, source=source, out=out)
    case.send(0, 500)
    with case.start() as job:
        job.wait_for_metric("millrace_records_out_total", 500)
        wait_for_moment(SILENT_SECONDS)
        case.send(500, 500)
        job.wait_for_metric("millrace_records_out_total", 1000, 60)
        job.kill()
    wait_for_moment(SILENT_SECONDS)
    case.send(1000, 500)
    case.finish()
    assert case.odd() == odd_numbers(0, 1500)
