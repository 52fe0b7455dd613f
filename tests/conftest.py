"""Fixtures for tests of whole processes: one Kafka a run, topics and folders of one's own."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtool.broker import Broker
from harness.kafka import Kafka


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also tests that are marked full")
    parser.addoption("--soak", action="store_true", help="also tests that are marked soak")
    parser.addoption("--containers", action="store_true", help="also those that need an engine")
    parser.addoption("--moments-seed", type=int, help="of faults at random moments")
    parser.addoption("--sql-seeds", type=int, default=25, help="of random queries, 20 each")
    parser.addoption("--sql-first-seed", type=int, default=1, help="the first of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks = [mark for mark in ("full", "soak", "containers") if not config.getoption(f"--{mark}")]
    slow = [item for item in items if any(item.get_closest_marker(mark) for mark in marks)]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sql_seed" in metafunc.fixturenames:
        first: int = metafunc.config.getoption("--sql-first-seed")
        seeds: int = metafunc.config.getoption("--sql-seeds")
        metafunc.parametrize("sql_seed", range(first, first + seeds))


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A running Kafka that all tests share; who stops or pauses one takes `own_broker`."""
    with tempfile.TemporaryDirectory(prefix="millrace-broker-") as folder:
        with Broker(Path(folder)) as running:
            yield running


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running Kafka for one test, which may pause, kill and restart it."""
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def kafka(broker: Broker) -> Kafka:
    return Kafka(broker.bootstrap)


_numbers = itertools.count(1)


@pytest.fixture
def topic(kafka: Kafka) -> Callable[..., str]:
    """topic(partitions=1, **settings): a new empty topic's name, unique in this run.

    Settings are the broker's, with _ for the dots: `max_message_bytes="1000"`.
    """

    def create(partitions: int = 1, **settings: str) -> str:
        name = unique_name("topic")
        return kafka.create_topic(
            name, partitions, {key.replace("_", "."): value for key, value in settings.items()}
        )

    return create


def unique_name(prefix: str) -> str:
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"
