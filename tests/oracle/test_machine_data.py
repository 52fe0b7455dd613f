"""Two measured temperature series of machines, one with gaps, one whose clock went back by an hour:
windows of every kind, from the files as they are, against DuckDB over the sorted readings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from oracle.comparison import assert_windows_equal, keyed
from oracle.shared_data import present
from sql.running import run_queries

SERIES = present(
    "machine/ambient_temperature_system_failure.csv",
    "machine/machine_temperature_system_failure.csv",
)
RUN_SECONDS = 120.0
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR


@dataclass(frozen=True)
class Window:
    ours: str
    bounds: str  # DuckDB's: rows of `readings` with `start` and `finish`, in microseconds


def hopping(size: int, slide: int, offset: int = 0) -> str:
    last = f"({offset} + (t - ({offset})) // {slide} * {slide})"
    return (
        f"(SELECT *, start + {size} AS finish FROM (SELECT *, unnest(generate_series("
        f"{last} - {size // slide * slide}, {last}, {slide})) AS start FROM readings) "
        f"WHERE start + {size} > t)"
    )


def growing(size: int, step: int) -> str:
    start = f"(t // {size} * {size})"
    return (
        f"(SELECT * FROM (SELECT *, {start} AS start, unnest(generate_series("
        f"{start} + {step}, {start} + {size}, {step})) AS finish FROM readings) WHERE finish > t)"
    )


def sessions(gap: int) -> str:
    return (
        f"(SELECT *, min(t) OVER (PARTITION BY n) AS start, "
        f"max(t) OVER (PARTITION BY n) + {gap} AS finish FROM (SELECT *, sum(CASE WHEN "
        f"t - before < {gap} THEN 0 ELSE 1 END) OVER (ORDER BY t, value) AS n FROM "
        f"(SELECT *, lag(t) OVER (ORDER BY t, value) AS before FROM readings)))"
    )


WINDOWS = {
    "hours": Window("tumble(readings, INTERVAL '1 hour')", hopping(HOUR, HOUR)),
    "shifts": Window(
        "tumble(readings, INTERVAL '8 hours', INTERVAL '-2 hours')",
        hopping(8 * HOUR, 8 * HOUR, -2 * HOUR),
    ),
    "days": Window("hop(readings, INTERVAL '1 day', INTERVAL '6 hours')", hopping(DAY, 6 * HOUR)),
    "uneven": Window(
        "hop(readings, INTERVAL '10 hours', INTERVAL '4 hours')", hopping(10 * HOUR, 4 * HOUR)
    ),
    "growing": Window(
        "cumulate(readings, INTERVAL '1 day', INTERVAL '3 hours')", growing(DAY, 3 * HOUR)
    ),
    "runs": Window("session(readings, INTERVAL '61 minutes')", sessions(61 * HOUR // 60)),
}
# A column: here, and in DuckDB.
COLUMNS = {
    "n": ("count(*)", "count(*)"),
    "total": ("sum(value)", "fsum(value)"),
    "mean": ("avg(value)", "favg(value)"),
    "low": ("min(value)", "min(value)"),
    "high": ("max(value)", "max(value)"),
    "spread": ("range(value)", "max(value) - min(value)"),
    "p95": (
        "percentile_cont(0.95) WITHIN GROUP (ORDER BY value)",
        "quantile_cont(value, 0.95)",
    ),
    "middle": ("median(value)", "median(value)"),
    "tenth": (
        "percentile_disc(0.1) WITHIN GROUP (ORDER BY value)",
        "quantile_disc(value, 0.1)",
    ),
    "first": ("first(value)", "first(value ORDER BY t, value)"),
    "last": ("last(value)", "last(value ORDER BY t, value)"),
    "hottest": (
        "extract(epoch FROM arg_max(at, value))",
        "last(t ORDER BY value, t) / 1000000.0",
    ),
    "hot": ("count(*) FILTER (WHERE value > 90)", "count(*) FILTER (WHERE value > 90)"),
    "different": ("count(DISTINCT floor(value))", "count(DISTINCT floor(value))"),
    "deviation": ("stddev_samp(value)", "stddev_samp(value)"),
}


def ours(window: Window) -> str:
    columns = ", ".join(f"{here} AS {name}" for name, (here, _) in COLUMNS.items())
    return (
        f"SELECT window_start, window_end, {columns} FROM {window.ours} "
        "GROUP BY window_start, window_end"
    )


def theirs(series: Path, window: Window) -> dict[tuple[Any, ...], dict[str, Any]]:
    columns = ", ".join(f"{there} AS {name}" for name, (_, there) in COLUMNS.items())
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE readings AS SELECT epoch_us(timestamp) AS t, value "
            "FROM read_csv(?) ORDER BY t, value",
            [str(series)],
        )
        found = connection.execute(
            f"SELECT start AS window_start, finish AS window_end, {columns} "
            f"FROM {window.bounds} GROUP BY start, finish"
        )
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row["window_start"], row["window_end"]): row for row in rows}


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("parallelism", [1, 3])
def test_every_window_is_duckdbs(series: Path, parallelism: int, tmp_path: Path) -> None:
    source = {
        "files": {"path": str(series)},
        "format": "csv",
        "columns": {"at": {"type": "timestamp", "from": "timestamp"}, "value": "double"},
        "event_time": {"column": "at", "max_delay": "1h"},
    }
    queries = {name: ours(window) for name, window in WINDOWS.items()}
    ran = run_queries(
        tmp_path,
        {"readings": source},
        queries,
        timeout_seconds=RUN_SECONDS,
        parallelism=parallelism,
    )
    assert ran.dead_letters == []
    for name, window in WINDOWS.items():
        assert_windows_equal(
            keyed(ran.rows[name], "window_start", "window_end"), theirs(series, window)
        )
