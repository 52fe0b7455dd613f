"""Random queries over random readings against DuckDB, and against themselves in parallel."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sql.generator import COLUMNS, Generator, Query, readings
from sql.running import run_queries

RUN_SECONDS = 60.0
RELATIVE = 1e-9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_DELAY_SECONDS = 300

Row = list[Any]


def iso(micros: int | None) -> str | None:
    return None if micros is None else (EPOCH + timedelta(microseconds=micros)).isoformat()


def write_readings(folder: Path, rows: list[dict[str, Any]], files: int) -> None:
    folder.mkdir(parents=True)
    for number in range(files):
        with (folder / f"{number}.json").open("w") as file:
            for row in rows[number::files]:
                times = {name: iso(row[name]) for name in ("seen_at", "observed_at")}
                file.write(json.dumps(row | times) + "\n")


def run(
    folder: Path, source: Path, queries: dict[str, str], max_delay: str, parallelism: int
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any], list[dict[str, Any]]]:
    """Output rows by stream, the summary, and the dead letters."""
    columns = {
        name: {"type": kind, "accept_text": True} if kind == "double" else {"type": kind}
        for name, kind in COLUMNS.items()
    }
    sources = {
        "readings": {
            "files": {"path": str(source)},
            "format": "json",
            "columns": columns,
            "event_time": {"column": "observed_at", "max_delay": max_delay},
        }
    }
    ran = run_queries(
        folder, sources, queries, timeout_seconds=RUN_SECONDS, parallelism=parallelism
    )
    for name, rows in ran.rows.items():
        assert ran.summary["streams"][name]["rows_out"] == len(rows), name
    return ran.rows, ran.summary, ran.dead_letters


def oracle(rows: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    kinds = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    connection.execute(f"CREATE TABLE readings ({kinds})")
    values = [
        [iso(value) if name in ("seen_at", "observed_at") else value for name, value in row.items()]
        for row in rows
    ]
    connection.executemany(f"INSERT INTO readings VALUES ({', '.join('?' * len(COLUMNS))})", values)
    return connection


def plain(value: Any) -> Any:
    """As JSON has it: no NaN, infinities or negative zero, and times are texts."""
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    return value


def same(found: Any, expected: Any) -> bool:
    if found is None or expected is None or isinstance(expected, bool | str):
        return bool(found == expected)
    return math.isclose(found, expected, rel_tol=RELATIVE, abs_tol=RELATIVE)


def by_keys(rows: list[Row], keys: int) -> dict[tuple[str, ...], list[Row]]:
    """JSON shows NaN and the infinities as one null, so that several groups may show one key."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        shown = tuple(
            f"{value:.9g}" if isinstance(value, float | int) else repr(value)
            for value in row[:keys]
        )
        groups.setdefault(shown, []).append(row)
    return groups


def assert_same(query: Query, found: list[dict[str, Any]], expected: list[tuple[Any, ...]]) -> None:
    ours = by_keys([list(row.values()) for row in found], query.keys)
    theirs = by_keys([[plain(value) for value in row] for row in expected], query.keys)
    assert len(found) == len(expected), query
    for key, left in theirs.items():
        for their_row in left:
            candidates = ours.get(key, [])
            match = next(
                (
                    row
                    for row in candidates
                    if len(row) == len(their_row) and all(map(same, row, their_row))
                ),
                None,
            )
            assert match is not None, f"{query.ours}\nfound    {candidates}\nexpected {their_row}"
            candidates.remove(match)


def test_random_queries_are_duckdbs(sql_seed: int, tmp_path: Path) -> None:
    rng = random.Random(sql_seed)
    rows = readings(rng, rng.choice([40, 400]), MAX_DELAY_SECONDS - 1)
    write_readings(tmp_path / "in", rows, files=rng.choice([1, 3]))
    generator = Generator(rng)
    queries = [generator.plain() for _ in range(6)] + [generator.windowed() for _ in range(14)]
    queries += [generator.over() for _ in range(6)]
    queries += [generator.joined() for _ in range(14)]
    named = {f"q{number}": query for number, query in enumerate(queries)}
    found, summary, dead = run(
        tmp_path / "run",
        tmp_path / "in",
        {name: query.ours for name, query in named.items()},
        f"{MAX_DELAY_SECONDS}s",
        parallelism=1 + sql_seed % 4,
    )
    assert summary["readings_in"] == len(rows)
    assert dead == []
    connection = oracle(rows)
    for name, query in named.items():
        assert_same(query, found[name], connection.execute(query.theirs).fetchall())
    assert sum(len(of_query) for of_query in found.values()) > len(rows)


PIPELINE = {
    "checked": "SELECT *, 100 / level AS share, device || coalesce(note, '-') AS name "
    "FROM readings WHERE id % 7 <> 3",
    "windows": "SELECT window_start, window_end, device, count(*) AS n, min(y) AS low, "
    "max(y) AS high, avg(x) AS mean, median(y) AS middle, max(name) AS name, "
    "count(DISTINCT note) AS notes, sum(share) AS shares "
    "FROM tumble(checked, INTERVAL '10 seconds') GROUP BY 1, 2, 3",
    "sliding": "SELECT window_end, device, sum(n) AS n, max(100 / (n - 2)) AS fails "
    "FROM hop(windows, INTERVAL '1 minute', INTERVAL '20 seconds') "
    "WHERE mean IS NOT NULL GROUP BY window_end, device",
    "after": "SELECT window_end, device, 10 / (n - 3) AS fails_too FROM sliding",
}


@pytest.mark.parametrize("seed", [11, 12])
def test_parallelism_changes_nothing(seed: int, tmp_path: Path) -> None:
    """Also of what is late or fails: rows, dead letters and account are the same."""
    rng = random.Random(seed)
    rows = readings(rng, 3000, delay_seconds=60)
    for row in rows:
        row["y"] = rng.choice([0.0, -0.0, row["y"]])
    write_readings(tmp_path / "in", rows, files=3)
    results = []
    for parallelism in (1, 4):
        found, summary, dead = run(
            tmp_path / str(parallelism), tmp_path / "in", PIPELINE, "20s", parallelism
        )
        outputs = {name: sorted(json.dumps(row) for row in of) for name, of in found.items()}
        letters = sorted(json.dumps(letter) for letter in dead)
        assert len(letters) == sum(summary["dead_letters_by_reason"].values())
        assert set(summary["dead_letters_by_reason"]) == {"late", "division_by_zero"}
        results.append((outputs, letters, summary["streams"]))
    assert all(results[0][0].values())
    assert results[0] == results[1]
