"""Every scalar function and operator over edge values, all pairs, against PostgreSQL itself.

The list is the program's own (`millrace functions`), so a function that is added is compared from
its first day. A row that fails there must fail here, and one that does not must give the same.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import millrace, postgres
from sql.running import run_queries

RUN_SECONDS = 120.0
ROWS_MAX = 250  # of one list of argument types
# What the C library computes may differ in the last digits.
RELATIVE = 1e-13

EDGES: dict[str, list[Any]] = {
    "boolean": [True, False, None],
    "integer": [0, 1, -1, 2, 7, -3, 12, 31, 33, 2**31 - 1, -(2**31), None],
    "bigint": [0, 1, -1, 10, -7, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63), None],
    "double precision": [
        0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 0.1, 123456.789, -123456.789, 1e-300, 1e300, -1e300,
        1.7976931348623157e308, 5e-324, "NaN", "Infinity", "-Infinity", None,
    ],
    "text": [
        "", "a", "A", "abc", "aXbXc", "Z\u00fcrich", "\u65e5\u672c\u8a9e", "  x y ", "1", "-7.5",
        "true", "a%b", "a_b", "\\", "X", "\u00dc", None,
    ],
    "timestamp": [
        "1970-01-01T00:00:00Z", "2000-02-29T23:59:59.999999Z", "1969-12-31T23:59:59.5Z",
        "2026-03-29T01:30:00Z", "0004-12-31T12:00:00Z", "9999-12-31T23:59:59.999999Z", None,
    ],
    # As they are written.
    "json": [
        '{"a": 1, "b": {"c": [1, 2.50, "x"]}}', '[1, [2, null], {"a": "\\u00fc\\n\\"\\/"}]',
        '"te\\txt"',
        "-0.50e+1", "true", "{}", "[ ]", '{"1" : "one", "a" : null, "a":"last" }', '["a" , "b"]',
        '{"": {"a": "\\\\"}, "\\u0061": 7}', '{"a":"\\ud83d\\ude00", "b":[{}, [[]]]}', None,
    ],
}  # fmt: skip
INTERVALS = [
    "1 day", "-1 day", "1 month", "-13 months", "90 minutes", "1 microsecond", "36:00:00",
    "1 year 2 months 3 days 04:05:06.789", "15 seconds", "0 seconds",
]  # fmt: skip
UNITS = [
    "year", "month", "day", "hour", "minute", "second", "milliseconds", "microseconds", "week",
    "quarter", "decade", "century", "millennium", "epoch", "dow", "doy", "isodow", "isoyear",
    "YEAR", "bogus", "", None,
]  # fmt: skip
PATTERNS = [
    "a", "^A", "b*", "(a)(b)?", "[[:alpha:]]+", ".", "\u00fc", "(", "\\d+", "X|Z", "a{2}", "", "c$",
    "[^a-c]", "\\s", "\\ya", "a.*?b", None,
]  # fmt: skip
# What an argument of a function is taken from, where it is not every text or number.
SPECIAL: dict[tuple[str, int], list[Any]] = {
    ("date_trunc", 0): UNITS,
    ("date_part", 0): UNITS,
    ("regexp_replace", 2): ["", "-", "[\\1]", "<\\&>", "\\\\"],
    ("regexp_replace", 3): ["", "g", "i", "gi"],
    ("regexp_like", 2): ["", "i", "c"],
    ("repeat", 1): [0, 1, -1, 3, 100, None],
    ("lpad", 1): [0, 1, -1, 3, 12, None],
    ("rpad", 1): [0, 1, -1, 3, 12, None],
    ("make_timestamp", 0): [1970, 2024, 2023, -44, 0, 1],
    ("make_timestamptz", 0): [1970, 2024, 2023, -44, 0, 1],
    ("make_timestamp", 1): [1, 2, 12, 13, 0],
    ("make_timestamptz", 1): [1, 2, 12, 13, 0],
    ("make_timestamp", 5): [0.0, 59.9999999, 60.0, 60.1, -1.0, 12.345678, None],
    ("make_timestamptz", 5): [0.0, 59.9999999, 60.0, 60.1, -1.0, 12.345678, None],
    ("width_bucket", 3): [1, 5, 0, -1, 2**31 - 1],
    ("->", 1): ["a", "b", "", "1", "c", "\u00fc", None],
    ("->>", 1): ["a", "b", "", "1", "c", "\u00fc", None],
    **{
        (function, place): ["a", "b", "", "1", "0", "-1", "c", "-9", "x", None]
        for function in ("json_extract_path", "json_extract_path_text")
        for place in (1, 2, 3)
    },
    ("chr", 0): [65, 252, 26085, 128512, 0, -1, 55296, 1114112, None],
    ("like_escape", 1): ["", "\\", "!", "%", "ab", "\u00fc"],
}
for _name in ("~", "~*", "!~", "!~*", "regexp_like", "regexp_count", "regexp_substr",
              "regexp_replace", "substring"):  # fmt: skip
    SPECIAL[(_name, 1)] = PATTERNS

# Of numeric only there, double precision here (docs/sql.md).
NUMERIC_THERE = {
    ("%", "double precision"), ("mod", "double precision"), ("round", "integer"),
    ("trunc", "integer"), ("log", "double precision, double precision"),
    ("div", "double precision"),
}  # fmt: skip


def departs(call: Call, row: tuple[Any, ...]) -> bool:
    """What docs/sql.md says is another here."""
    if call.name in ("~~", "!~~", "~~*", "!~~*"):
        # Always an error here; there only where the text reaches so far.
        return str(row[1]).endswith("\\")
    if call.name == "to_timestamp":
        return row[0] in ("Infinity", "-Infinity")
    if call.name == "width_bucket":
        # Version 15 lets a quotient that rounds to 1 fall into the bucket beyond.
        value, low, high = row[:3]
        if not all(isinstance(number, float) for number in row[:3]):
            return False
        rounds = high not in (low, value) and (value - low) / (high - low) == 1.0
        return bool(rounds or max(abs(low), abs(high)) > 1e299)
    return False


@dataclass
class Call:
    """One overload, and how it is written over columns a0, a1, ..."""

    name: str
    text: str
    result: str
    number: int
    table: Table


# What has a grammar of its own: text, types of a0, a1, ..., type of the result.
FORMS: list[tuple[str, list[str], str]] = [
    ("a0 AND a1", ["boolean"] * 2, "boolean"),
    ("a0 OR a1", ["boolean"] * 2, "boolean"),
    *[
        (f"a0 IS {negated}{test}", ["boolean"], "boolean")
        for negated in ("", "NOT ")
        for test in ("TRUE", "FALSE", "UNKNOWN", "NULL")
    ],
    *[
        form
        for kind in ("integer", "double precision", "text", "timestamp")
        for form in [
            ("a0 BETWEEN a1 AND a2", [kind] * 3, "boolean"),
            ("a0 NOT BETWEEN a1 AND a2", [kind] * 3, "boolean"),
            ("a0 BETWEEN SYMMETRIC a1 AND a2", [kind] * 3, "boolean"),
            ("a0 NOT BETWEEN SYMMETRIC a1 AND a2", [kind] * 3, "boolean"),
            ("a0 IN (a1, a2, NULL)", [kind] * 3, "boolean"),
            ("a0 NOT IN (a1, a2)", [kind] * 3, "boolean"),
            ("CASE a0 WHEN a1 THEN a2 WHEN a2 THEN a1 END", [kind] * 3, kind),
            ("COALESCE(a0, a1, a2)", [kind] * 3, kind),
        ]
    ],
    ("CASE WHEN a0 THEN a1 / a2 ELSE -1 END", ["boolean", "integer", "integer"], "integer"),
    ("a0 + a1", ["integer", "bigint"], "bigint"),
    ("a0 * a1", ["bigint", "double precision"], "double precision"),
    ("a0 < a1", ["integer", "double precision"], "boolean"),
    ("a0 || a1", ["text", "integer"], "text"),
    ("a0 || a1", ["boolean", "text"], "text"),
    ("a0 SIMILAR TO 'a%|(X|Z_r)%'", ["text"], "boolean"),
    ("a0 NOT SIMILAR TO '[a-c]+'", ["text"], "boolean"),
    ("a0 LIKE a1 ESCAPE '!'", ["text", "text"], "boolean"),
    ("substring(a0 from a1)", ["text", "integer"], "text"),
    ("substring(a0 from 2 for a1)", ["text", "integer"], "text"),
    ("position(a1 in a0)", ["text", "text"], "integer"),
    ("trim(both a1 from a0)", ["text", "text"], "text"),
    ("trim(leading from a0)", ["text"], "text"),
    ("overlay(a0 placing a1 from 2 for 1)", ["text", "text"], "text"),
    ("extract(isodow from a0)", ["timestamp"], "double precision"),
    ("a0 = '7'", ["integer"], "boolean"),
    ("a0 > '2000-01-01'", ["timestamp"], "boolean"),
    *[
        (f"a0 {operator} '{path}'", ["json"], result)
        for operator, result in (("#>", "json"), ("#>>", "text"))
        for path in ("{}", "{a}", "{b,c,1}", "{1,1}", "{-1}", "{2,a}", '{""}', "{NULL}", "{b,-1,0}")
    ],
    ("CASE WHEN a1 THEN a0 END", ["json", "boolean"], "json"),
    ("COALESCE(a0, a1)", ["json", "json"], "json"),
    *[
        (f"CAST(a0 AS {to})", [kind], to)
        for kind, targets in {
            "boolean": ["integer", "text"],
            "integer": ["boolean", "bigint", "double precision", "text"],
            "bigint": ["integer", "double precision", "text"],
            "double precision": ["integer", "bigint", "text"],
            "text": ["boolean", "integer", "bigint", "double precision", "json"],
            "timestamp": ["text"],
            "json": ["text"],
        }.items()
        for to in targets
    ],
]


@dataclass
class Table:
    """Rows of arguments that overloads of the same types and lists share."""

    name: str
    types: list[str]
    rows: list[tuple[Any, ...]]
    calls: list[Call] = field(default_factory=list)


def catalogue() -> list[dict[str, Any]]:
    listed = millrace.run(["functions", "-o", "json"])
    assert listed.code == 0, listed.stderr
    return [json.loads(line) for line in listed.stdout.splitlines()]


def is_numeric_there(name: str, args: list[str]) -> bool:
    shown = ", ".join(args)
    return any(name == other and shown.endswith(types) for other, types in NUMERIC_THERE)


def written(name: str, terms: list[str]) -> str:
    if name == "is_distinct_from":
        return f"({terms[0]} IS DISTINCT FROM {terms[1]})"
    if name == "like_escape":
        return f"('a%bX' LIKE {terms[0]} ESCAPE {terms[1]})"
    if name[0].isalpha() and name != "not":
        return f"{name}({', '.join(terms)})"
    return f"({name} {terms[0]})" if len(terms) == 1 else f"({terms[0]} {name} {terms[1]})"


def edges_of(name: str, place: int, kind: str) -> list[Any]:
    special = SPECIAL.get((name, place))
    if special is None or isinstance(special[0], str) != (kind == "text"):
        return EDGES[kind]
    return special


class Calls:
    """Overloads and forms, and the tables of arguments that they share."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tables: dict[str, Table] = {}
        self._chance = random.Random(20261128)

    def table(self, types: list[str], lists: list[list[Any]]) -> Table:
        key = repr((types, lists))
        if key not in self.tables:
            rows = list(itertools.product(*lists))
            if len(rows) > ROWS_MAX and len(types) > 2:
                rows = self._chance.sample(rows, ROWS_MAX)
            self.tables[key] = Table(f"t{len(self.tables)}", types, rows)
        return self.tables[key]

    def add(self, name: str, text: str, result: str, table: Table) -> None:
        call = Call(name, text, result, len(self.calls), table)
        table.calls.append(call)
        self.calls.append(call)

    def add_function(self, name: str, args: list[str], result: str) -> None:
        columns = [kind for kind in args if kind != "interval"]
        lists = [
            edges_of(name, place, kind) for place, kind in enumerate(args) if kind != "interval"
        ]
        table = self.table(columns, lists)
        for interval in INTERVALS if "interval" in args else [""]:
            places = iter(range(len(columns)))
            terms = [
                f"INTERVAL '{interval}'" if kind == "interval" else f"a{next(places)}"
                for kind in args
            ]
            self.add(name, written(name, terms), result, table)


def all_calls() -> Calls:
    calls = Calls()
    for entry in catalogue():
        name, args = entry["name"], list(entry["args"])
        if entry["kind"] == "aggregate" or is_numeric_there(name, args):
            continue
        if name in ("#>", "#>>"):
            continue  # an array there: see FORMS
        if entry["variadic"]:
            args += [args[-1]] * 2
        calls.add_function(name, args, entry["result"])
    for text, types, result in FORMS:
        calls.add("", f"({text})", result, calls.table(types, [EDGES[kind] for kind in types]))
    return calls


def run_here(folder: Path, tables: list[Table]) -> dict[int, dict[int, str | None]]:
    """By call and row: the result as text. Rows that failed are not there."""
    sources: dict[str, Any] = {}
    queries: dict[str, str] = {}
    for table in tables:
        lines = folder / f"{table.name}.json"
        with lines.open("w") as file:
            for number, row in enumerate(table.rows):
                values = [
                    value if kind == "json" and value is not None else json.dumps(value)
                    for kind, value in zip(table.types, row, strict=True)
                ]
                pairs = [f'"a{i}": {value}' for i, value in enumerate(values)]
                file.write("{" + ", ".join([f'"id": {number}', *pairs]) + "}\n")
        columns: dict[str, Any] = {"id": "bigint"}
        for i, kind in enumerate(table.types):
            short = {"double precision": "double"}.get(kind, kind)
            columns[f"a{i}"] = {"type": short} | (
                {"accept_text": True} if kind == "double precision" else {}
            )
        sources[table.name] = {"files": {"path": str(lines)}, "format": "json", "columns": columns}
        for call in table.calls:
            queries[f"c{call.number}"] = (
                f"SELECT id, CAST({call.text} AS text) AS v FROM {table.name}"
            )
    ran = run_queries(folder, sources, queries, timeout_seconds=RUN_SECONDS)
    found = {
        call.number: {row["id"]: row["v"] for row in ran.rows[f"c{call.number}"]}
        for table in tables
        for call in table.calls
    }
    failed = sum(len(t.rows) - len(found[c.number]) for t in tables for c in t.calls)
    assert sum(ran.summary["dead_letters_by_reason"].values()) == failed
    return found


EVALUATE = """
CREATE FUNCTION evaluate(expression text, source text, rows integer)
RETURNS TABLE (id integer, failed boolean, v text) LANGUAGE plpgsql AS $$
BEGIN
  FOR place IN 0 .. rows - 1 LOOP
    id := place;
    BEGIN
      EXECUTE format('SELECT CAST(%s AS text) FROM %s WHERE id = %s', expression, source, place)
        INTO v;
      failed := false;
    EXCEPTION WHEN OTHERS THEN
      failed := true;
      v := SQLSTATE || ' ' || SQLERRM;
    END;
    RETURN NEXT;
  END LOOP;
END $$
"""


def fill_there(connection: psycopg.Connection, tables: list[Table]) -> None:
    connection.execute(EVALUATE)
    for table in tables:
        kinds = [{"timestamp": "timestamptz"}.get(kind, kind) for kind in table.types]
        columns = ", ".join(f"a{i} {kind}" for i, kind in enumerate(kinds))
        connection.execute(
            f"CREATE TABLE {table.name} (id integer PRIMARY KEY{', ' * bool(kinds)}{columns})"
        )
        with connection.cursor() as cursor:
            places = ", ".join(f"%s::text::{kind}" for kind in kinds)
            cursor.executemany(
                f"INSERT INTO {table.name} VALUES (%s{', ' * bool(kinds)}{places})",
                [(number, *map(as_text, row)) for number, row in enumerate(table.rows)],
            )


def as_text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def same(ours: str | None, theirs: str | None) -> bool:
    if ours is None or theirs is None or ours == theirs:
        return ours == theirs
    try:
        a, b = float(ours), float(theirs)
    except ValueError:
        return False
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=0.0)


@pytest.fixture(scope="module")
def server() -> Any:
    with postgres.running() as connection:
        yield connection


def test_every_function_is_postgres(server: psycopg.Connection, tmp_path: Path) -> None:
    every = all_calls()
    tables = list(every.tables.values())
    ours = run_here(tmp_path, tables)
    fill_there(server, tables)
    wrong = []
    for call in every.calls:
        # There is one type of timestamp here.
        text = f"({call.text})::timestamptz" if call.result == "timestamp" else call.text
        theirs = server.execute(
            "SELECT * FROM evaluate(%s, %s, %s)", (text, call.table.name, len(call.table.rows))
        ).fetchall()
        for number, failed, value in theirs:
            if departs(call, call.table.rows[number]):
                continue
            mine = ours[call.number]
            if failed == (number not in mine) and (failed or same(mine[number], value)):
                continue
            shown = mine.get(number, "fails") if number in mine else "fails"
            wrong.append(f"{call.text} {call.table.rows[number]!r}: {shown!r}, not {value!r}")
    assert not wrong, f"{len(wrong)} of {sum(len(call.table.rows) for call in every.calls)}:\n" + (
        "\n".join(wrong[:400])
    )
