"""What processes use, by the kernel, and when a topic's committed rows arrive."""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

Row = dict[str, Any]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far, of all their threads, in steps of a hundredth."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> tuple[int, int]:
    """RSS, and PSS: what is shared with other processes counts there by their number."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()

    def of(name: str) -> int:
        found = re.search(rf"(?m)^{name}: +(\d+) kB$", text)
        assert found is not None, text
        return int(found[1]) * 1024

    return of("Rss"), of("Pss")


class Arrivals:
    """Times (time.time) at which committed rows of a topic arrive; `on_row` is called with each, on
    the thread of its own. Use as a context."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        partitions: int,
        on_row: Callable[[Row, float], None] | None = None,
    ) -> None:
        self._times: list[float] = []
        self._on_row = on_row
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "millrace-bench-arrivals",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "log_level": 2,
            }
        )
        self._consumer.assign([TopicPartition(topic, one, 0) for one in range(partitions)])
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Arrivals:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._consumer.close()

    @property
    def times(self) -> list[float]:
        return list(self._times)

    def longest_pause(self, since: float, until: float) -> tuple[float, float]:
        """Begin and end of the longest time without a row, of those that overlap the span."""
        return longest_pause(self.times, since, until)

    def _run(self) -> None:
        while not self._end.is_set():
            messages = [
                message
                for message in self._consumer.consume(num_messages=1000, timeout=0.05)
                if message.error() is None
            ]
            if not messages:
                continue
            now = time.time()
            self._times.append(now)
            if self._on_row is not None:
                for message in messages:
                    self._on_row(json.loads(message.value() or b"{}"), now)


def longest_pause(times: Iterable[float], since: float, until: float) -> tuple[float, float]:
    """See Arrivals."""
    pauses = [
        (earlier, later)
        for earlier, later in itertools.pairwise(times)
        if later > since and earlier < until
    ]
    if not pauses:
        raise ValueError("no rows around the span")
    return max(pauses, key=lambda pause: pause[1] - pause[0])
