"""kill -9 at random moments: of the job, of its broker."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.case import Case, Expected, Feed, wait_for_moment
from cluster.conftest import CHUNKS
from devtool.broker import Broker
from harness.kafka import Kafka
from harness.millrace import Job

# The longest life of a process: a start takes a third of a second, an epoch a fifth.
LIFE_SECONDS_MAX = 2.0
KILLS, KILLS_SOAK = 5, 200
BROKER_KILLS, BROKER_KILLS_SOAK = 1, 10


def kill_often(case: Case, expected: Expected, chance: random.Random, kills: int) -> None:
    """Now and then in the middle of an orderly stop."""
    for _ in range(kills):
        life = chance.uniform(0, LIFE_SECONDS_MAX)
        with case.start("--parallelism", str(chance.randint(1, 3))) as job:
            case.send_chunk()
            wait_for_moment(life)
            assert job.code is None, job.output[-4000:]
            if chance.random() < 0.2:
                job.send(signal.SIGTERM)
                wait_for_moment(chance.uniform(0, 0.3))
            job.kill()
    case.check(case.finish(), expected)


def test_killed_at_random(case: Case, expected: Expected, chance: random.Random) -> None:
    kill_often(case, expected, chance, KILLS)


@pytest.mark.soak
def test_killed_at_random_for_long(
    long_case: Callable[[int], Case], long_expected: Expected, chance: random.Random
) -> None:
    kill_often(long_case(KILLS_SOAK + 10), long_expected, chance, KILLS_SOAK)


def kill_the_broker(
    broker: Broker, case: Case, expected: Expected, chance: random.Random, kills: int, chunks: int
) -> None:
    """`chunks` are sent around each kill."""
    with case.start() as job:
        for _ in range(kills):
            for _ in range(chunks):
                case.send_chunk()
            wait_for_moment(chance.uniform(0, 1))
            broker.kill()
            wait_for_moment(chance.uniform(0, 1))
            broker.start()
            wait_for_more_readings(case, job)
        assert job.stop() == 0, job.output[-4000:]
    case.check(case.finish(), expected)


def wait_for_more_readings(case: Case, job: Job) -> None:
    """The job reads again what is sent after an outage."""
    before = job.metrics().total("millrace_records_in_total", stream="readings") or 0.0
    case.send_chunk()
    job.wait_for_metric("millrace_records_in_total", before + 1, 60, stream="readings")


def test_the_broker_is_killed(
    own_broker: Broker, tmp_path: Path, feed: Feed, expected: Expected, chance: random.Random
) -> None:
    case = Case(Kafka(own_broker.bootstrap), tmp_path, feed, chunks=CHUNKS)
    kill_the_broker(own_broker, case, expected, chance, BROKER_KILLS, 10)


@pytest.mark.soak
def test_the_broker_is_killed_for_long(
    own_broker: Broker,
    tmp_path: Path,
    long_feed: Feed,
    long_expected: Expected,
    chance: random.Random,
) -> None:
    case = Case(Kafka(own_broker.bootstrap), tmp_path, long_feed, chunks=BROKER_KILLS_SOAK * 10)
    kill_the_broker(own_broker, case, long_expected, chance, BROKER_KILLS_SOAK, 8)
