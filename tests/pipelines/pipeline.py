"""A job of the project under names of a test's own, killed while its input comes in, then run to
its end; what it must give is computed by DuckDB from the messages in the topics.

Nothing here shares code with the engine or the simulator.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as dataset

from conftest import unique_name
from devtool import paths
from harness import millrace
from harness.kafka import Kafka, Record
from oracle.readings import micros

JOBS = paths.ROOT / "jobs"
RUN_SECONDS = 120.0
# An OVER and a session take no reading that is behind the watermark, if only by this.
MICROSECOND = 1
SECOND = 1_000_000
MINUTE = 60 * SECOND
MAX_FUTURE = 5 * MINUTE
# Deviations by DuckDB are good to this.
RELATIVE = 1e-9
SHOWN_MAX = 10

Row = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One message and what the rules of event time say of it."""

    topic: str
    record: Record
    row: Row | None  # None: malformed
    time: int = 0  # microseconds since 1970
    future: bool = False
    watermark: int = -(2**62)  # of its partition, just before it

    @property
    def is_reading(self) -> bool:
        return self.row is not None and not self.future

    def is_late(self, pane: int) -> bool:
        """The pane's end is no later than the watermark."""
        return self.is_reading and self.time - self.time % pane + pane <= self.watermark


class Input:
    """The messages of some topics, read once, in each partition's order."""

    def __init__(
        self,
        kafka: Kafka,
        topics: Iterable[str],
        *,
        time: str,
        columns: Mapping[str, pa.DataType],
        max_delay: int,
    ) -> None:
        self._columns = columns
        self._time = time
        self._max_delay = max_delay
        self.messages: list[Message] = []
        topics = list(topics)
        with ThreadPoolExecutor(4) as pool:
            for topic, records in zip(topics, pool.map(kafka.read_all, topics), strict=True):
                self._judge(topic, records)

    def _judge(self, topic: str, records: Sequence[Record]) -> None:
        largest: dict[int, int] = {}
        for record in records:
            row = self._parse(record.value or b"")
            if row is None:
                self.messages.append(Message(topic, record, None))
                continue
            time = row[self._time]
            future = time > record.timestamp_ms * 1000 + MAX_FUTURE
            before = largest.get(record.partition)
            watermark = -(2**62) if before is None else before - self._max_delay
            self.messages.append(Message(topic, record, row, time, future, watermark))
            if not future:
                largest[record.partition] = time if before is None else max(before, time)

    def _parse(self, value: bytes) -> Row | None:
        try:
            message = json.loads(value)
        except ValueError:
            return None
        if not isinstance(message, dict):
            return None
        row: Row = {}
        for name, kind in self._columns.items():
            one = message.get(name)
            if name == self._time:
                if isinstance(one, str):
                    one = micros(datetime.fromisoformat(one))
                elif isinstance(one, float):
                    one = round(one * SECOND)
                else:
                    return None
            elif one is not None and not pa.types.is_string(kind) and isinstance(one, str):
                return None
            row[name] = one
        return row

    def late(self, pane: int) -> int:
        return sum(one.is_late(pane) for one in self.messages)

    def refused(self) -> Counter[str]:
        """How many messages are no readings, by reason."""
        return Counter(
            "future" if one.row else "malformed" for one in self.messages if not one.is_reading
        )

    def table(self, pane: int | None) -> pa.Table:
        """The readings that windows with this pane take; None: all readings."""
        return self._table(
            one
            for one in self.messages
            if one.is_reading and (pane is None or not one.is_late(pane))
        )

    def table_with_lateness(self, pane: int) -> pa.Table:
        """All readings, with `late`: whether windows with this pane refuse them."""
        readings = [one for one in self.messages if one.is_reading]
        return self._table(readings).append_column(
            "late", pa.array([one.is_late(pane) for one in readings], pa.bool_())
        )

    def _table(self, messages: Iterable[Message]) -> pa.Table:
        rows = [one.row for one in messages if one.row is not None]
        return pa.table(
            {
                name: pa.array(
                    [row[name] for row in rows], pa.int64() if name == self._time else kind
                )
                for name, kind in self._columns.items()
            }
        )


def query(sql: str, **tables: pa.Table) -> list[Row]:
    """Rows of DuckDB."""
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    result = connection.execute(sql)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, values, strict=True)) for values in result.fetchall()]


def hopping(readings: str, time: str, size: int, slide: int) -> str:
    """A FROM item: each reading in each of its windows; window_start and window_end as numbers."""
    return (
        f"(SELECT *, window_start + {size} AS window_end FROM (SELECT *, "
        f"({time} // {slide} - shift) * {slide} AS window_start "
        f"FROM {readings}, range({size // slide}) AS shifts(shift)))"
    )


class Simulation(millrace.Process):
    """`millrace simulate FLEET`, while a job reads."""

    def __init__(self, kafka: Kafka, folder: Path, fleet: str, *flags: str) -> None:
        self._account = folder / "account.json"
        super().__init__(
            ["simulate", fleet, "--brokers", kafka.bootstrap, "--account", self._account, *flags],
            folder,
            name="simulate",
        )

    def account(self) -> dict[str, Any]:
        """Once it has ended."""
        assert self.wait(RUN_SECONDS) == 0, self.output
        loaded: dict[str, Any] = json.loads(self._account.read_text())
        return loaded


class JobUnderTest:
    """A copy of a job file with names of its own, and what its runs gave.

    `topics`: the job's names to this test's. Checkpoints are taken often, so that there is one
    before a kill.
    """

    def __init__(
        self, kafka: Kafka, folder: Path, job: Path, topics: Mapping[str, str], **texts: str
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._folder = folder
        self._starts = 0
        self.data_dir = folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        copy = job.read_text()
        for name, own in topics.items():
            copy, count = re.subn(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", own, copy)
            assert count > 0, f"{job} does not name {name}"
        for text, own in [
            ("metadata: {name: ", f"metadata: {{name: {unique_name('job')}-"),
            ("interval: 1s}", "interval: 200ms}"),
            *texts.items(),
        ]:
            assert text in copy, f"{job} does not hold {text}"
            copy = copy.replace(text, own)
        (self.name,) = re.findall(r"(?m)^metadata: {name: (.*)}$", copy)
        self.file = folder / job.name
        self.file.write_text(copy)

    def start(self, *arguments: str) -> millrace.Job:
        self._starts += 1
        return millrace.Job(
            self.file,
            self._folder,
            brokers=self._kafka.bootstrap,
            arguments=arguments,
            name=f"run-{self._starts}",
        )

    def run_killed(self, source: str, kill_at: Iterable[int]) -> None:
        """Killed when it has read so many readings of a source, whatever else it was doing."""
        for readings in kill_at:
            with self.start() as job:
                job.wait_for_metric("millrace_records_in_total", readings, 60.0, stream=source)
                job.kill()

    def finish(self) -> dict[str, Any]:
        """Runs it to the end of its input; the summary."""
        with self.start("--end-when-idle", "1s") as job:
            assert job.wait(RUN_SECONDS) == 0, job.output[-4000:]
            summary = job.summary()
        assert summary["ok"]
        assert summary["balanced"], summary["streams"]
        return summary

    def records(self, topic: str) -> list[Record]:
        return self._kafka.read_all(self._topics[topic])

    def rows(self, topic: str) -> list[Row]:
        """The final rows in a topic, with times as numbers."""
        return [
            with_numbers(json.loads(record.value or b""))
            for record in self.records(topic)
            if record.header("millrace-row-kind") not in (b"running", b"correction")
        ]

    def parquet_rows(self, folder: str) -> list[Row]:
        files = dataset.dataset(self.data_dir / folder, format="parquet", partitioning="hive")
        rows = [with_numbers(row) for row in files.to_table().to_pylist()]
        for row in rows:
            row.pop("date", None)
        return rows

    def alerts(self, topic: str) -> Counter[str]:
        """How many of each name; none may come twice."""
        alerts = [json.loads(record.value or b"") for record in self.records(topic)]
        ids = Counter(alert["id"] for alert in alerts)
        assert not [one for one, count in ids.items() if count > 1]
        return Counter(alert["alert"] for alert in alerts)

    def letters(self, topic: str) -> Counter[tuple[str, str]]:
        """How many dead letters of each stream and reason; none may come twice."""
        letters = self.records(topic)
        places = Counter(
            tuple(one.header(name) for name in ("stream", "topic", "partition", "offset"))
            for one in letters
        )
        assert not [one for one, count in places.items() if count > 1]
        return Counter(
            ((one.header("stream") or b"").decode(), (one.header("reason") or b"").decode())
            for one in letters
        )


def refused(job: JobUnderTest, topic: str, given: Input, source: str) -> Counter[tuple[str, str]]:
    """The letters of a source's messages that are no readings; malformed ones have one of two
    reasons."""
    letters = job.letters(topic)
    expected = given.refused()
    malformed = {(source, reason): letters[source, reason] for reason in MALFORMED}
    assert sum(malformed.values()) == expected["malformed"] > 0
    return Counter({**malformed, (source, "future"): expected["future"]})


MALFORMED = ("malformed", "type_mismatch")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def with_numbers(row: Row) -> Row:
    """Times as microseconds since 1970."""
    return {
        name: micros(value)
        if isinstance(value, datetime)
        else micros(datetime.fromisoformat(value))
        if isinstance(value, str) and TIME.fullmatch(value)
        else value
        for name, value in row.items()
    }


def same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        # What stands for zero after rounding is compared to what was taken apart.
        return math.isclose(found, expected, rel_tol=RELATIVE, abs_tol=1e-9)
    if isinstance(found, float) or isinstance(expected, float):
        return found is not None and expected is not None and same(float(found), float(expected))
    return bool(found == expected)


def assert_rows_equal(found: Sequence[Row], expected: Sequence[Row], *keys: str) -> None:
    """The same rows, whatever their order; several may have the same keys."""
    assert expected

    def by_keys(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        for group in groups.values():
            if len(group) > 1:
                group.sort(key=lambda row: [_order(row[name]) for name in sorted(row)])
        return groups

    ours, theirs = by_keys(found), by_keys(expected)
    missing = [key for key in theirs if key not in ours]
    extra = [key for key in ours if key not in theirs]
    assert not missing, f"{len(missing)} are missing, the first {missing[:SHOWN_MAX]}"
    assert not extra, f"{len(extra)} should not be there, the first {extra[:SHOWN_MAX]}"
    different = []
    for key, group in theirs.items():
        assert len(ours[key]) == len(group), f"{key}: {len(ours[key])} rows, not {len(group)}"
        for one, other in zip(ours[key], group, strict=True):
            assert set(one) == set(other), f"columns differ: {set(one) ^ set(other)}"
            different += [
                f"{key} {name}: found {one[name]!r}, expected {value!r}"
                for name, value in other.items()
                if not same(one[name], value)
            ]
    assert not different, f"{len(different)} values differ:\n" + "\n".join(different[:SHOWN_MAX])


def _order(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, float(value))
    return (2, str(value))


def own_topics(kafka: Kafka, topics: Mapping[str, int]) -> dict[str, str]:
    """New topics with so many partitions: the job's names to these."""
    return {
        name: kafka.create_topic(unique_name(name), partitions)
        for name, partitions in topics.items()
    }


def feed(
    simulation: Simulation, job: JobUnderTest, source: str, readings: int, kills: int = 2
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs and kills the job while the fleet reports; account and summary."""
    job.run_killed(source, [readings * (1 + kill) // (kills + 1) for kill in range(kills)])
    account = simulation.account()
    return account, job.finish()
