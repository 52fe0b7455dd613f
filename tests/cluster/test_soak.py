"""The smoke job and the vehicle job with its lookups together on one fleet, under random faults."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cluster.soak import Sizes, Soak
from devtool.broker import Broker

SHORT = Sizes(readings=15_000, faults=6, seconds=20.0, devices=12, cars=22)
LONG = Sizes(readings=500_000, faults=100, seconds=700.0, devices=100, cars=22)


def test_two_jobs_on_a_fleet_that_dies(
    own_broker: Broker, tmp_path: Path, chance: random.Random
) -> None:
    with Soak(own_broker, tmp_path, SHORT, chance) as soak:
        soak.run()


@pytest.mark.soak
def test_two_jobs_on_a_fleet_that_dies_for_long(
    own_broker: Broker, tmp_path: Path, chance: random.Random
) -> None:
    with Soak(own_broker, tmp_path, LONG, chance) as soak:
        soak.run()
