"""The input of the short tests, and what an undisturbed run makes of it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.case import Case, Expected, Feed, fleet_feed, undisturbed
from devtool.broker import Broker
from harness.kafka import Kafka

CHUNKS = 40


@pytest.fixture(scope="session")
def feed() -> Feed:
    """About 20,000 readings."""
    return fleet_feed(devices=50, seconds=400)


@pytest.fixture(scope="session")
def expected(broker: Broker, feed: Feed) -> Iterator[Expected]:
    with tempfile.TemporaryDirectory(prefix="millrace-undisturbed-") as folder:
        yield undisturbed(Kafka(broker.bootstrap), Path(folder), feed)


@pytest.fixture
def case(kafka: Kafka, tmp_path: Path, feed: Feed) -> Case:
    return Case(kafka, tmp_path, feed, chunks=CHUNKS)


@pytest.fixture(scope="session")
def long_feed() -> Feed:
    """A million readings."""
    return fleet_feed(devices=100, seconds=10_000)


@pytest.fixture(scope="session")
def long_expected(broker: Broker, long_feed: Feed) -> Iterator[Expected]:
    with tempfile.TemporaryDirectory(prefix="millrace-undisturbed-") as folder:
        yield undisturbed(Kafka(broker.bootstrap), Path(folder), long_feed)


@pytest.fixture
def long_case(kafka: Kafka, tmp_path: Path, long_feed: Feed) -> Callable[[int], Case]:
    """long_case(chunks)."""
    return lambda chunks: Case(kafka, tmp_path, long_feed, chunks=chunks)


@pytest.fixture
def chance(pytestconfig: pytest.Config) -> Iterator[random.Random]:
    given: int | None = pytestconfig.getoption("--moments-seed")
    seed = random.randrange(2**32) if given is None else given
    print(f"[moments of seed {seed}]")
    yield random.Random(seed)
