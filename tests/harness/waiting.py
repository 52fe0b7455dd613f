"""Waiting for conditions. Nothing in the tests sleeps for a time and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL_SECONDS = 0.02


def wait_for(what: str, probe: Callable[[], T | None], timeout_seconds: float = 30.0) -> T:
    """Polls until `probe` gives something true, and returns it; fails the test at the deadline."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"after {timeout_seconds:g} s still no {what}; last: {found!r}")
        time.sleep(INTERVAL_SECONDS)
