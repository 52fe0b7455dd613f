"""The rows that cases/join_*.test expect, against PostgreSQL itself: there streams are tables, and
what windows and asof_join() give is written out.

With MILLRACE_WRITE_CASES=1 the rows are not compared but written into the files.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from harness import postgres

CASES = sorted((Path(__file__).parent / "cases").glob("join_*.test"))
TYPES = {"double": "double precision", "timestamp": "timestamptz"}
WORDS = "JOIN|ON|GROUP|LEFT|RIGHT|FULL|INNER|WHERE|UNION"
TUMBLE = re.compile(rf"tumble\((\w+), (INTERVAL '[^']+')\)(?: (?!(?:{WORDS})\b)(\w+))?")
AS_OF = re.compile(
    r"asof_join\((\w+), (\w+), (?:condition => )?(.+?), (?:within => )?(INTERVAL '[^']+')\)"
)


@dataclass
class Section:
    title: str
    body: str


def sections(path: Path) -> list[Section]:
    parts = path.read_text().split("\n== ")
    found = [Section("", parts[0])]
    for part in parts[1:]:
        title, _, body = part.partition("\n")
        found.append(Section(title, body))
    return found


def columns_of(streams: str) -> dict[str, dict[str, str]]:
    """Of each stream, the types of its columns by their names."""
    columns: dict[str, dict[str, str]] = {}
    for line in streams.split("\n"):
        if re.match(r"\w+:$", line):
            name = line[:-1]
        if match := re.search(r"columns: \{(.*)\}", line):
            pairs = (pair.split(": ") for pair in match.group(1).split(", "))
            columns[name] = {column: TYPES.get(kind, kind) for column, kind in pairs}
    return columns


def fill(connection: psycopg.Connection, parts: list[Section]) -> dict[str, dict[str, str]]:
    columns = columns_of(next(part.body for part in parts if part.title == "streams"))
    for name, types in columns.items():
        fields = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
        connection.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({fields})")
    for part in parts:
        if not part.title.startswith("input "):
            continue
        name = part.title.split()[1]
        for line in filter(None, part.body.split("\n")):
            reading = json.loads(line)
            values = [reading.get(column) for column in columns[name]]
            marks = ", ".join(["%s"] * len(values))
            connection.execute(f"INSERT INTO {name} VALUES ({marks})", values)
    return columns


def translated(sql: str, columns: dict[str, dict[str, str]]) -> str:
    def tumble(match: re.Match[str]) -> str:
        stream, size, alias = match.groups()
        start = f"date_bin({size}, at, 'epoch')"
        return (
            f"(SELECT *, {start} AS window_start, {start} + {size} AS window_end FROM {stream})"
            f" AS {alias or stream}"
        )

    def as_of(match: re.Match[str]) -> str:
        left, right, condition, within = match.groups()
        order = ", ".join(f"{right}.{column} DESC" for column in columns[right])
        return (
            f"{left} LEFT JOIN LATERAL (SELECT * FROM {right} WHERE {condition}"
            f" AND {right}.at <= {left}.at AND {right}.at >= {left}.at - {within}"
            f" ORDER BY {right}.at DESC, {order} LIMIT 1) AS {right} ON true"
        )

    return AS_OF.sub(as_of, TUMBLE.sub(tumble, sql))


def cell(text: str | None) -> str:
    if text is None:
        return "NULL"
    return {"t": "true", "f": "false", "": "''"}.get(text, text.removesuffix("+00"))


def rows_there(
    connection: psycopg.Connection, sql: str, columns: dict[str, dict[str, str]]
) -> list[str]:
    with connection.cursor().copy(f"COPY ({translated(sql, columns)}) TO STDOUT") as copy:
        copy.set_types(["text"])
        text = b"".join(copy).decode()
    lines = text.split("\n")[:-1]
    return [" | ".join(cell(None if c == "\\N" else c) for c in line.split("\t")) for line in lines]


def normal(row: str) -> tuple[object, ...]:
    def value(text: str) -> object:
        try:
            return float(text)
        except ValueError:
            return text

    return tuple(value(text) for text in row.split(" | "))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rows_are_those_of_postgres(path: Path) -> None:
    parts = sections(path)
    writes = os.environ.get("MILLRACE_WRITE_CASES") == "1"
    compared = 0
    with postgres.running() as connection:
        columns = fill(connection, parts)
        for query, rows in pairwise(parts):
            if not query.title.startswith("query") or rows.title != "rows":
                continue
            there = sorted(rows_there(connection, query.body, columns))
            if writes:
                rows.body = "\n".join(there)
            here = [row for row in rows.body.split("\n") if row and not row.startswith("# ")]
            assert sorted(map(normal, here), key=repr) == sorted(map(normal, there), key=repr), (
                query.body
            )
            compared += 1
    assert compared > 0
    if writes:
        texts = [parts[0].body] + [f"{part.title}\n{part.body}".rstrip("\n") for part in parts[1:]]
        path.write_text("\n== ".join(texts) + "\n")
