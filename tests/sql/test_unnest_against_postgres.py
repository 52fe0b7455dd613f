"""The rows that cases/unnest.test expects, against PostgreSQL itself.

Every query without a window runs there over one reading at a time: a reading that fails there must
be a dead letter here, and the rows of the others are the rows of the case.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from harness import postgres

CASES = Path(__file__).parent / "cases" / "unnest.test"
COLUMNS = ["id", "device", "samples", "payload", "note", "at"]
WINDOWS = ("tumble(", "hop(", "gathered", "unfolded")

# What PostgreSQL has for arrays and jsonb only, and a null in JSON taken for no array (docs/sql.md,
# departures).
SETUP = """
CREATE TABLE readings (id integer, device text, samples json, payload json, note text,
                       at timestamptz);
CREATE SCHEMA first;
SET search_path = first, pg_catalog, public;
CREATE FUNCTION first.json_array_elements(json, OUT value json) RETURNS SETOF json AS $$
  SELECT * FROM pg_catalog.json_array_elements($1) WHERE json_typeof($1) <> 'null' $$ LANGUAGE SQL;
CREATE FUNCTION unnest(json) RETURNS SETOF json AS $$
  SELECT * FROM json_array_elements($1) $$ LANGUAGE SQL;
CREATE FUNCTION as_double(json) RETURNS float8 AS $$
  SELECT CASE WHEN json_typeof($1) <> 'null' THEN $1::jsonb::float8 END $$ LANGUAGE SQL;
CREATE FUNCTION as_real(json) RETURNS float4 AS $$
  SELECT CASE WHEN json_typeof($1) <> 'null' THEN $1::jsonb::float4 END $$ LANGUAGE SQL;
CREATE FUNCTION as_integer(json) RETURNS integer AS $$
  SELECT CASE WHEN json_typeof($1) <> 'null' THEN $1::jsonb::integer END $$ LANGUAGE SQL;
CREATE FUNCTION as_bigint(json) RETURNS bigint AS $$
  SELECT CASE WHEN json_typeof($1) <> 'null' THEN $1::jsonb::bigint END $$ LANGUAGE SQL;
CREATE FUNCTION as_boolean(json) RETURNS boolean AS $$
  SELECT CASE WHEN json_typeof($1) <> 'null' THEN $1::jsonb::boolean END $$ LANGUAGE SQL;
CREATE CAST (json AS float8) WITH FUNCTION as_double(json);
CREATE CAST (json AS float4) WITH FUNCTION as_real(json);
CREATE CAST (json AS integer) WITH FUNCTION as_integer(json);
CREATE CAST (json AS bigint) WITH FUNCTION as_bigint(json);
CREATE CAST (json AS boolean) WITH FUNCTION as_boolean(json);
CREATE FUNCTION try_cast(x json, type text) RETURNS float8 AS $$
BEGIN RETURN as_double(x); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$ LANGUAGE plpgsql;
"""


@dataclass
class Case:
    sql: str
    rows: list[str] = field(default_factory=list)
    dead: int = 0
    error: bool = False


def read_cases() -> tuple[list[dict[str, Any]], dict[str, str], list[Case]]:
    """The readings, the streams between, the queries."""
    readings: list[dict[str, Any]] = []
    streams: dict[str, str] = {}
    cases: list[Case] = []
    for section in CASES.read_text().split("\n== ")[1:]:
        head, _, body = section.partition("\n")
        lines = [line for line in body.split("\n") if line]
        if head.startswith("input"):
            readings = [json.loads(line, parse_float=Number, parse_int=Number) for line in lines]
        elif head.startswith("stream "):
            streams[head.split()[1]] = body
        elif head.split()[0] == "query":
            cases.append(Case(body))
        elif head == "rows":
            cases[-1].rows = lines
        elif head == "dead letters":
            cases[-1].dead = len(lines)
        elif head == "error":
            cases[-1].error = True
    return readings, streams, cases


class Number(str):
    """A number as it is written."""


def written(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(item) for item in value) + "]"
    return json.dumps(value)


def store(connection: psycopg.Connection, reading: dict[str, Any]) -> None:
    """As the one row; a JSON null is no value, as where messages are read."""
    values = [reading.get(name) for name in COLUMNS]
    for place in (2, 3):
        values[place] = None if values[place] is None else written(values[place])
    connection.execute("TRUNCATE readings")
    connection.execute("INSERT INTO readings VALUES (%s, %s, %s, %s, %s, %s)", values)


def cell(text: str | None) -> str:
    if text is None:
        return "NULL"
    return {"t": "true", "f": "false", "": "''"}.get(text, text.removesuffix("+00"))


def rows_there(connection: psycopg.Connection, sql: str) -> list[str]:
    with connection.cursor().copy(f"COPY ({sql}) TO STDOUT") as copy:
        copy.set_types(["text"])
        text = b"".join(copy).decode()
    rows = []
    for line in text.split("\n")[:-1]:
        cells = [None if c == "\\N" else c.replace("\\\\", "\\") for c in line.split("\t")]
        rows.append(" | ".join(cell(c) for c in cells))
    return rows


def same(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    try:
        return abs(float(ours) - float(theirs)) <= 1e-12 * abs(float(theirs))
    except ValueError:
        return False


def same_row(ours: str, theirs: str) -> bool:
    cells = ours.split(" | "), theirs.split(" | ")
    return len(cells[0]) == len(cells[1]) and all(map(same, *cells))


def is_compared(case: Case) -> bool:
    return not case.error and not any(word in case.sql for word in WINDOWS)


def test_rows_are_postgres() -> None:
    readings, streams, cases = read_cases()
    compared = [case for case in cases if is_compared(case)]
    assert len(compared) >= 25
    with postgres.running() as connection:
        connection.execute(SETUP)
        for name, sql in streams.items():
            if not any(word in sql for word in WINDOWS):
                connection.execute(f"CREATE VIEW {name} AS {sql}")
        for case in compared:
            rows: list[str] = []
            failed = 0
            for reading in readings:
                store(connection, reading)
                try:
                    rows += rows_there(connection, case.sql)
                except psycopg.errors.Error:
                    failed += 1
            assert failed == case.dead, case.sql
            assert len(rows) == len(case.rows), (case.sql, rows)
            pairs = zip(sorted(case.rows), sorted(rows), strict=True)
            wrong = [(ours, theirs) for ours, theirs in pairs if not same_row(ours, theirs)]
            assert not wrong, (case.sql, wrong)
