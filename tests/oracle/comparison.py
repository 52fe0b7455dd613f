"""Windows of a job against windows of the oracle: counts and texts exactly, doubles to 1e-12."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from oracle.readings import micros

RELATIVE = 1e-12
SHOWN_MAX = 10

Windows = Mapping[tuple[Any, ...], Mapping[str, Any]]


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) or isinstance(found, float):
        if found is None or expected is None:
            return False
        return math.isclose(found, expected, rel_tol=RELATIVE, abs_tol=0.0)
    return bool(found == expected)


def assert_windows_equal(found: Windows, expected: Windows) -> None:
    """Every window of one is in the other, with every column of `expected`."""
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    assert not missing, f"{len(missing)} windows are missing, the first {missing[:SHOWN_MAX]}"
    assert not extra, f"{len(extra)} windows should not be there, the first {extra[:SHOWN_MAX]}"
    different = []
    for key, window in expected.items():
        columns = set(window) ^ set(found[key])
        assert not columns, f"{key}: columns differ: {sorted(columns)}"
        different += [
            f"{key} {column}: found {found[key][column]!r}, expected {value!r}"
            for column, value in window.items()
            if not same(found[key][column], value)
        ]
    assert not different, f"{len(different)} values differ:\n" + "\n".join(different[:SHOWN_MAX])


def time_micros(value: str | datetime) -> int:
    """Microseconds since 1970 of a time in a job's output."""
    return micros(datetime.fromisoformat(value) if isinstance(value, str) else value)


def keyed(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Output rows by `keys`, with times as microseconds; each key must be there once."""
    windows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        for column in ("window_start", "window_end"):
            row[column] = time_micros(row[column])
        key = tuple(row[column] for column in keys)
        assert key not in windows, f"two rows for {key}"
        windows[key] = row
    return windows
