"""What a job has given out, as multisets: two runs over the same input must give the same.

Doubles are compared to 1e-12, everything else exactly. Left out is what names a run: alert ids (a
hash with the job's name) and the headers of generation and epoch.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet

from harness.kafka import Kafka

RELATIVE = 1e-12
READ_SECONDS = 600.0  # a topic
SHOWN_MAX = 5

# A row: its parts that are compared exactly, and its doubles by name.
Row = tuple[str, dict[str, float]]


def row(parts: Mapping[str, Any]) -> Row:
    exact = {key: value for key, value in parts.items() if not isinstance(value, float)}
    doubles = {key: value for key, value in parts.items() if isinstance(value, float)}
    return json.dumps(exact, sort_keys=True, default=str), doubles


@dataclass(frozen=True)
class Outputs:
    """Rows by the target that they were read from."""

    rows: dict[str, list[Row]]

    def count(self, target: str) -> int:
        return len(self.rows[target])


def rows_of_topic(kafka: Kafka, topic: str) -> list[Row]:
    """The committed records of JSON, with their keys."""
    found = []
    for record in kafka.read_all(topic, timeout_seconds=READ_SECONDS):
        parts: dict[str, Any] = json.loads(record.value or b"")
        parts.pop("id", None)
        found.append(row({**parts, "record key": (record.key or b"").decode()}))
    return found


# A record as bytes: its value without an alert's id, and its key.
Text = tuple[bytes, bytes]
ALERT_ID = re.compile(rb'"id":"[^"]*",?')


def texts_of_topic(kafka: Kafka, topic: str) -> Counter[Text]:
    """The committed records of JSON, for those that are too many to be taken apart."""
    return Counter(
        (ALERT_ID.sub(b"", record.value or b"", count=1), record.key or b"")
        for record in kafka.read_all(topic, timeout_seconds=READ_SECONDS)
    )


def text_differences(target: str, found: Counter[Text], expected: Counter[Text]) -> list[str]:
    """As `differences`: those that are not the same bytes may be the same rows."""

    def rows(texts: Counter[Text]) -> list[Row]:
        return [
            row({**json.loads(value), "record key": key.decode()})
            for value, key in texts.elements()
        ]

    return differences(target, rows(found - expected), rows(expected - found))


def letters_of_topic(kafka: Kafka, topic: str) -> list[Row]:
    """Dead letters: the original bytes, why, and where they were read."""
    return [
        row(
            {
                "value": (record.value or b"").hex(),
                **{
                    name: (record.header(name) or b"none").decode()
                    for name in ("reason", "partition", "offset")
                },
            }
        )
        for record in kafka.read_all(topic, timeout_seconds=READ_SECONDS)
    ]


def finished_files(folder: Path, ending: str) -> list[Path]:
    """Files under their final names."""
    return [
        path
        for path in sorted(folder.rglob(f"*{ending}"))
        if path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]


def leftovers(folder: Path) -> list[Path]:
    """What was being written by a process that died."""
    return [path for path in folder.rglob(".inprogress-*") if path.is_file()]


def rows_of_parquet(folder: Path) -> list[Row]:
    return [
        row(parts)
        for path in finished_files(folder, ".parquet")
        for parts in pyarrow.parquet.ParquetFile(path).read().to_pylist()
    ]


def rows_of_json_files(folder: Path) -> list[Row]:
    return [
        row(json.loads(line))
        for path in finished_files(folder, ".jsonl") + finished_files(folder, ".json")
        for line in path.read_text().splitlines()
    ]


def assert_same_outputs(found: Outputs, expected: Outputs) -> None:
    assert found.rows.keys() == expected.rows.keys()
    problems = [
        problem
        for target in expected.rows
        for problem in differences(target, found.rows[target], expected.rows[target])
    ]
    assert not problems, "\n".join(problems)


def differences(target: str, found: Iterable[Row], expected: Iterable[Row]) -> list[str]:
    ours, theirs = grouped(found), grouped(expected)
    missing, extra, different = [], [], []
    for exact in ours.keys() | theirs.keys():
        have, want = ours.get(exact, []), theirs.get(exact, [])
        if len(have) < len(want):
            missing.append(f"{len(want) - len(have)} x {exact}")
        elif len(have) > len(want):
            extra.append(f"{len(have) - len(want)} x {exact}")
        elif not all(map(same_doubles, have, want)):
            different.append(f"{exact}: {have} instead of {want}")
    return [
        f"{target}: {len(rows)} {what}, for example:\n  " + "\n  ".join(sorted(rows)[:SHOWN_MAX])
        for what, rows in (("missing", missing), ("too many", extra), ("different", different))
        if rows
    ]


def grouped(rows: Iterable[Row]) -> dict[str, list[dict[str, float]]]:
    groups: dict[str, list[dict[str, float]]] = {}
    for exact, doubles in rows:
        # Which columns hold doubles is part of what is exact.
        groups.setdefault(f"{exact} {sorted(doubles)}", []).append(doubles)
    for members in groups.values():
        members.sort(key=lambda doubles: [doubles[name] for name in sorted(doubles)])
    return groups


def same_doubles(found: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    return all(
        math.isclose(found[name], value, rel_tol=RELATIVE, abs_tol=0.0)
        for name, value in expected.items()
    )
