"""A broker that the tests of outages share: they stop, pause and kill it, and leave it running."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtool.broker import Broker
from harness.kafka import Kafka


@pytest.fixture(scope="session")
def _fragile_broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory(prefix="millrace-fragile-") as folder:
        with Broker(Path(folder)) as running:
            yield running


@pytest.fixture
def fragile_broker(_fragile_broker: Broker) -> Iterator[Broker]:
    """Running and answering when a test begins, whatever the one before did to it."""
    _restore(_fragile_broker)
    yield _fragile_broker
    _restore(_fragile_broker)


def _restore(broker: Broker) -> None:
    if broker.process is None:
        broker.start()
    broker.resume()


@pytest.fixture
def fragile_kafka(fragile_broker: Broker) -> Kafka:
    return Kafka(fragile_broker.bootstrap)
