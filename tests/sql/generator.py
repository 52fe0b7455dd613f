"""Readings and queries over them from a seed, each query in Millrace's SQL and in DuckDB's.

Only what both compute alike: integers divide by `//` in DuckDB, divisors are never zero, values
stay small, and doubles are multiples of 1/4, so that sums are exact in any order. Two aggregates
are compared by more than what rounding makes of equal ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

COLUMNS = {
    "id": "bigint",
    "device": "text",
    "note": "text",
    "level": "integer",
    "total": "bigint",
    "x": "double",
    "y": "double",
    "ok": "boolean",
    "seen_at": "timestamp",
    "observed_at": "timestamp",
}
START = 1_767_225_600  # 2026-01-01 00:00 UTC
SECOND = 1_000_000
BY_TYPE = {
    "integer": ["level", "total"],
    "double": ["x", "y"],
    "text": ["device", "note"],
    "boolean": ["ok"],
    "timestamp": ["seen_at", "observed_at"],
}

# Of joins: what is equal, and what bounds times; {low} is at most {high}.
KEY_PAIRS = [
    "a.device = b.device",
    "a.level = b.level",
    "a.total = b.level",
    "a.y = b.y",
    "a.device = b.note",
    "a.device = b.device AND a.ok = b.ok",
    "coalesce(a.note, 'none') = coalesce(b.note, 'none') AND a.level = b.level",
]
BOUNDS = [
    "b.at BETWEEN a.at + INTERVAL '{low} microseconds' AND a.at + INTERVAL '{high} microseconds'",
    "b.at >= a.at + INTERVAL '{low} microseconds' AND a.at >= b.at - INTERVAL '{high} "
    "microseconds'",
    "a.at - INTERVAL '1 second' + INTERVAL '{low} microseconds' < b.at AND b.at < a.at + "
    "INTERVAL '{high} microseconds' + INTERVAL '00:00:01'",
    "b.at - a.at >= INTERVAL '{low} microseconds' AND b.at - a.at <= INTERVAL '{high} "
    "microseconds'",
    "b.at = a.at + INTERVAL '{low} microseconds'",
]


@dataclass(frozen=True)
class Sql:
    """One text in both dialects."""

    ours: str
    theirs: str


@dataclass(frozen=True)
class Query:
    """A query; its output is compared after sorting by the first `keys` columns."""

    ours: str
    theirs: str
    keys: int


def both(text: str) -> Sql:
    return Sql(text, text)


def fill(pattern: str, *parts: Sql) -> Sql:
    return Sql(
        pattern.format(*(part.ours for part in parts)),
        pattern.format(*(part.theirs for part in parts)),
    )


def readings(rng: random.Random, count: int, delay_seconds: int) -> list[dict[str, Any]]:
    """Rows in order of arrival; times in microseconds, at most `delay_seconds` behind."""
    step = rng.choice([1, 7, 40])
    rows = []
    for number in range(count):
        behind = rng.uniform(0, delay_seconds) if rng.random() < 0.5 else 0
        time = int((START + max(0, number * step - behind)) * SECOND)
        quarter = rng.randint(-40, 400) / 4
        rows.append(
            {
                "id": number,
                "device": rng.choice(["a", "b", "B", "\u00fc", "", '"q\\', None]),
                "note": rng.choice(["x", "yy z", "\u65e5\u672c", "it's", "", None]),
                "level": rng.choice([-3, 0, 1, 2, 5, 1000, None]),
                "total": rng.choice([0, 1, -7, 2**33, 12, None]),
                "x": rng.choice([quarter, quarter, 0.0, None]),
                "y": rng.choice([quarter, 1.5, "NaN", "Infinity", "-Infinity", None]),
                "ok": rng.choice([True, False, None]),
                "seen_at": rng.choice([time, -1, 951_782_400_000_000, None]),
                "observed_at": time,
            }
        )
    return rows


class Generator:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def plain(self) -> Query:
        """Computed columns by row, with a filter."""
        columns = [self.value(self._any_type(), 3) for _ in range(4)]
        select = fill(", ".join(f"{{}} AS c{i}" for i in range(4)), *columns)
        query = fill("SELECT id, {} FROM readings WHERE {}", select, self.condition(2))
        return Query(query.ours, query.theirs, 1)

    def windowed(self) -> Query:
        rng = self._rng
        if rng.random() < 0.2:
            return self._grouped(lambda keys, where: session_window(rng, keys, where))
        slide = rng.choice([1, 10, 30, 45, 60]) * SECOND
        size = slide * rng.choice([1, 1, 2, 5]) + rng.choice([0, 0, slide // 2])
        offset = rng.choice([0, 0, slide // 3, -slide // 4, 7 * slide + 1000])
        cumulates = size % slide == 0 and rng.random() < 0.4
        function, step = ("cumulate", "step") if cumulates else ("hop", "slide")
        window = Sql(
            f"{function}(readings, INTERVAL '{size} microseconds', "
            f"{step} => INTERVAL '{slide} microseconds', "
            f"\"offset\" => INTERVAL '{offset} microseconds')",
            (growing_windows_of_each_row if cumulates else windows_of_each_row)(
                size, slide, offset
            ),
        )
        query = self._grouped(lambda _keys, _where: window)
        return self._first_rows(query) if rng.random() < 0.2 else query

    def over(self) -> Query:
        """Functions over the rows before and after. Rows of one time are in the order of id here
        too: the first function takes it.
        """
        rng = self._rng
        # Zeros of both signs are one key, but not in the order of rows of one time.
        unsigned = {"double": "({} + 0.0)"}
        keys = []
        for _ in range(rng.choice([0, 1, 1, 2])):
            kind = self._any_type()
            keys.append(fill(unsigned.get(kind, "{}"), self.value(kind, 1)))
        names = ", ".join("{}" for _ in keys)
        partition = fill(f"PARTITION BY {names} ", *keys) if keys else both("")
        calls = [self._call(partition) for _ in range(rng.randint(1, 6))]
        columns = ", ".join(f"{{}} AS c{i}" for i in range(len(calls)))
        before = _over("lag(id)", partition, "")
        where = self.condition(2) if rng.random() < 0.4 else both("true")
        query = fill(f"SELECT id, {{}} AS before, {columns} FROM readings WHERE {{}}",
                     before, *calls, where)  # fmt: skip
        return Query(query.ours, query.theirs, 1)

    def joined(self) -> Query:
        """Pairs of rows by key and nearness in time."""
        rng = self._rng
        if rng.random() < 0.3:
            return self._joined_windows()
        sides = [
            fill(
                "(SELECT id, device, note, level, total, x, y, ok, observed_at AS at FROM readings "
                "WHERE {})",
                self.condition(1),
            )
            for _ in range(2)
        ]
        key = rng.choice(KEY_PAIRS)
        if rng.random() < 0.25:
            return self._as_of(sides, key)
        kind = rng.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN"])
        low, high = sorted(rng.choice([-90, -30, -7, -1, 0, 0, 1, 7, 40, 120]) for _ in range(2))
        bound = rng.choice(BOUNDS).format(low=low * SECOND, high=high * SECOND)
        conditions = [key, bound]
        if rng.random() < 0.4:
            missing = {"JOIN": rng.choice("ab"), "LEFT JOIN": "b", "RIGHT JOIN": "a"}[kind]
            conditions.append(f"{missing}.{rng.choice(['ok', 'level > 0', 'note IS NULL'])}")
        if kind == "JOIN" and rng.random() < 0.4:
            conditions.append(rng.choice(["a.x < b.x", "a.id <> b.id", "(a.ok OR b.ok)"]))
        rng.shuffle(conditions)
        query = fill(
            "SELECT a.id, b.id AS other, a.at, a.x + b.x AS x, coalesce(a.note, b.note) AS note "
            f"FROM {{}} a {kind} {{}} b ON {' AND '.join(conditions)}",
            *sides,
        )
        return Query(query.ours, query.theirs, 2)

    def _as_of(self, sides: list[Sql], key: str) -> Query:
        within = self._rng.choice([1, 30, 200]) * SECOND
        with_sides = f"WITH a AS {sides[0].ours}, b AS {sides[1].ours} "
        columns = "SELECT a.id, b.id AS other, b.at, b.x FROM "
        ours = (
            f"{with_sides}{columns}"
            f"asof_join(a, b, {key}, within => INTERVAL '{within} microseconds')"
        )
        theirs = (
            f"WITH a AS {sides[0].theirs}, b AS {sides[1].theirs} {columns} a LEFT JOIN LATERAL "
            f"(SELECT * FROM b WHERE {key} AND b.at <= a.at AND b.at >= a.at - INTERVAL "
            f"'{within} microseconds' ORDER BY b.at DESC, b.id DESC LIMIT 1) b ON true"
        )
        return Query(ours, theirs, 2)

    def _joined_windows(self) -> Query:
        rng = self._rng
        size = rng.choice([5, 30, 100])
        parts = []
        for _ in range(2):
            where = self.condition(1)
            select = (
                "SELECT window_start, window_end, device, count(*) AS n, max(level) AS top "
                "FROM {} WHERE {{}} GROUP BY window_start, window_end, device"
            )
            ours = select.format(f"tumble(readings, INTERVAL '{size} seconds')")
            start = f"time_bucket(INTERVAL '{size} seconds', observed_at, TIMESTAMP '1970-01-01')"
            theirs = select.format(
                f"(SELECT *, {start} AS window_start, {start} + INTERVAL '{size} seconds' AS "
                "window_end FROM readings)"
            )
            parts.append(fill("{}", Sql(ours.format(where.ours), theirs.format(where.theirs))))
        kind = rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        edge = rng.choice(["window_end", "window_start"])
        key = rng.choice(
            ["a.device = b.device", "a.n = b.n", "a.device = b.device AND a.top = b.top"]
        )
        query = fill(
            "WITH a AS ({}), b AS ({}) SELECT COALESCE(a.window_end, b.window_end) AS t, a.device, "
            "b.device AS other, a.n, b.n AS m, a.top, b.top AS high FROM a "
            f"{kind} b ON a.{edge} = b.{edge} AND {key}",
            *parts,
        )
        return Query(query.ours, query.theirs, 5)

    def _call(self, partition: Sql) -> Sql:
        rng = self._rng
        length, after = rng.choice([0, 1, 3, 10, 50]), rng.choice([0, 0, 0, 1, 4])
        rows = rng.choice(
            [f"ROWS {length} PRECEDING", "ROWS UNBOUNDED PRECEDING",
             f"ROWS BETWEEN {length} PRECEDING AND {after} FOLLOWING",
             f"ROWS BETWEEN {length + 2} PRECEDING AND 2 PRECEDING",
             f"ROWS BETWEEN {after} FOLLOWING AND {after + length} FOLLOWING"]
        )  # fmt: skip
        column = rng.choice(["x", "level", "note", "ok", "total", "seen_at", "device"])
        kind = rng.randrange(9)
        if kind == 8:
            return self._health(partition)
        if kind == 0:
            return _over("row_number()", partition, "")
        if kind == 1:
            return _over(f"{rng.choice(['rank', 'dense_rank'])}()", partition, "", peers=True)
        if kind == 2:
            name = rng.choice(["lag", "lead"])
            other = rng.choice(["", "", f", {column}"])
            call = f"{name}({column}, {rng.choice([0, 1, 2, 9])}{other})"
            return _over(call, partition, "")
        if kind == 3:
            call = rng.choice(["first_value({})", "last_value({})", "nth_value({}, 2)"])
            return _over(call.format(column), partition, rows)
        if kind == 4:
            found = _over(f"last_value_ignore_nulls({column})", partition, rows)
            theirs = found.theirs.replace(
                f"last_value_ignore_nulls({column})", f"last_value({column} IGNORE NULLS)"
            )
            return Sql(found.ours, theirs)
        seconds = rng.choice([0, 1, 30, 200])
        frame = rng.choice(
            [rows, rows, "", f"RANGE INTERVAL '{seconds} seconds' PRECEDING",
             f"RANGE BETWEEN INTERVAL '{seconds} seconds' PRECEDING "
             f"AND INTERVAL '{rng.choice([1, 40])} seconds' FOLLOWING",
             f"RANGE BETWEEN INTERVAL '{seconds + 5} seconds' PRECEDING "
             "AND INTERVAL '2 seconds' PRECEDING"]
        )  # fmt: skip
        of = rng.choice(["x", "level"])
        name = rng.choice(
            ["sum", "avg", "min", "max", "stddev_samp", "stddev_pop", "var_samp", "var_pop",
             "count"]
        )  # fmt: skip
        if rng.random() < 0.2 and frame and "UNBOUNDED" not in frame:
            name = "median"
        sliding = both(f"{name}({of})")
        if rng.random() < 0.2:
            sliding = both(rng.choice(["max(note)", "min(seen_at)", "bool_and(ok)", "count(*)"]))
        sliding = self._filtered(sliding)
        found = _over("@", partition, frame, peers=not frame.startswith("ROWS"))
        ours = found.ours.replace("@", sliding.ours, 1)
        theirs = found.theirs.replace("@", sliding.theirs, 1)
        if "(level)" in sliding.ours and not sliding.ours.startswith(("min", "max")):
            return Sql(f"CAST({ours} AS double precision)", f"CAST({theirs} AS double precision)")
        return Sql(ours, theirs)

    def _health(self, partition: Sql) -> Sql:
        """What tells a sensor's health: in DuckDB over the time before and after, and over the list
        of all values so far that are not null."""
        rng = self._rng

        def over(call: str, frame: str = "") -> str:
            return _over(call, partition, frame).theirs

        column = rng.choice(["x", "y", "level", "note", "ok", "device"])
        before = over("lag(epoch_us(observed_at))")
        seconds = f"((epoch_us(observed_at) - {before}) / 1e6)"
        kind = rng.randrange(6)
        if kind == 0:
            return Sql(_over("gap_seconds()", partition, "").ours, seconds)
        if kind == 1:
            number = rng.choice(["x", "level"])
            change = f"({number} - {over(f'lag({number})')})"
            return Sql(
                _over(f"rate_of_change({number})", partition, "").ours,
                f"({change} / nullif({seconds}, 0))",
            )
        if kind == 2:
            limit = rng.choice(["1", "20.5", "abs(level)"])
            return Sql(
                _over(f"is_sudden_change(x, {limit})", partition, "").ours,
                f"(abs(x - {over('lag(x)')}) > {limit})",
            )
        if kind == 3:
            length = rng.choice([1, 40, 300])
            after = f"({over('lead(epoch_us(observed_at))')} - epoch_us(observed_at))"
            return Sql(
                _over(f"is_silent(INTERVAL '{length} seconds')", partition, "").ours,
                f"coalesce({after} > {length} * 1000000, true)",
            )

        def all_of(what: str) -> str:
            call = f"list({what}) FILTER (WHERE {column} IS NOT NULL)"
            return over(call, "ROWS UNBOUNDED PRECEDING")

        values = all_of(column)
        differs = f"list_transform(list_reverse({values}), lambda v: v IS DISTINCT FROM {column})"
        rows = f"coalesce(list_position({differs}, true) - 1, len({values}))"
        since = f"({all_of('epoch_us(observed_at)')})[len({values}) - ({rows}) + 1]"
        lasted = f"(epoch_us(observed_at) - {since})"
        ours, theirs = rng.choice(
            [("unchanged_rows({})", rows),
             ("unchanged_since({})", f"make_timestamp({since})"),
             ("unchanged_seconds({})", f"{lasted} / 1e6"),
             ("is_stuck({}, 3)", f"{rows} >= 3"),
             ("is_stuck({}, INTERVAL '20 seconds')", f"{lasted} >= 20000000")]
        )  # fmt: skip
        return Sql(
            _over(ours.format(column), partition, "").ours,
            f"CASE WHEN {column} IS NOT NULL THEN {theirs} END",
        )

    def _first_rows(self, query: Query) -> Query:
        """The first rows of each window: by their number of readings, by keys, or both."""
        rng = self._rng
        keys = [f"k{i}" for i in range(query.keys - 2)]
        order = rng.sample(keys, rng.randint(0, len(keys)))
        by_count = not order or rng.random() < 0.5
        items = [f"{key} {rng.choice(['', 'DESC', 'ASC NULLS FIRST'])}" for key in order]
        # DuckDB's nulls come last whatever the direction. What is equal is in the order of keys.
        theirs = [item + " NULLS FIRST" if item.endswith("DESC") else item for item in items]
        theirs += [f"{key} NULLS LAST" for key in keys]
        if by_count:
            items.insert(0, "count(*) DESC")
            theirs.insert(0, "count_of_rows DESC")
        limit = rng.randint(1, 4)
        counted = query.theirs.replace("SELECT ", "SELECT count(*) AS count_of_rows, ", 1)
        # Positions in GROUP BY move by one.
        head, _, tail = counted.rpartition(" GROUP BY ")
        positions, _, having = tail.partition(" HAVING ")
        moved = ", ".join(str(int(one) + 1) for one in positions.split(", "))
        by = ", ".join(theirs)
        return Query(
            f"{query.ours} ORDER BY {', '.join(items)} LIMIT {limit}",
            f"SELECT * EXCLUDE (count_of_rows) FROM ({head} GROUP BY {moved} HAVING {having}) "
            f"QUALIFY row_number() OVER (PARTITION BY window_start, window_end ORDER BY {by}) "
            f"<= {limit}",
            query.keys,
        )

    def _grouped(self, window: Callable[[list[Sql], Sql], Sql]) -> Query:
        """Aggregates by what `window` makes of the keys and the condition on readings."""
        rng = self._rng
        keys = [self.value(self._any_type(), 1) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
        aggregates = [self.aggregate() for _ in range(rng.randint(1, 6))]
        names = [f"k{i}" for i in range(len(keys))] + [f"a{i}" for i in range(len(aggregates))]
        columns = ", ".join(f"{{}} AS {name}" for name in names)
        select = fill(f"SELECT window_start, window_end, {columns}", *keys, *aggregates)
        where = self.condition(2) if rng.random() < 0.4 else both("true")
        group = ", ".join(str(i + 1) for i in range(2 + len(keys)))
        having = both("true")
        if rng.random() < 0.3:
            having = fill("coalesce({} > {} + 1e-3, false)", self.number(), self.number())
        tail = f"FROM {{}} WHERE {{}} GROUP BY {group} HAVING {{}}"
        query = fill("{} " + tail, select, window(keys, where), where, having)
        return Query(query.ours, query.theirs, 2 + len(keys))

    def aggregate(self) -> Sql:
        rng = self._rng
        kind = rng.randrange(9)
        if kind > 5:
            return self.ordered() if kind == 6 else self.of_two() if kind == 7 else self.text()
        if kind == 0:
            return self._filtered(
                fill(rng.choice(["min", "max"]) + "({})", self.value(self._ordered_type(), 2))
            )
        if kind == 1:
            return self._filtered(
                fill(rng.choice(["bool_and", "bool_or"]) + "({})", self.condition(2))
            )
        if kind == 2:
            return fill(
                "CASE WHEN {} > {} + 1e-3 THEN {} ELSE {} END",
                *(self.number() for _ in range(4)),
            )
        return self.number()

    def ordered(self) -> Sql:
        """The first or last value, by time or by another column; ties as docs/sql.md says."""
        rng = self._rng
        name, column = rng.choice(["first", "last"]), rng.choice(["x", "level", "note", "ok"])
        if rng.random() < 0.5:
            ours = f"{name}({column})"
            order = f"observed_at, {column}"
        else:
            by = rng.choice(["id", "total", "x"])
            ours = f"arg_{'min' if name == 'first' else 'max'}({column}, {by})"
            order = f"{by}, {column}"
        there = f"{column} IS NOT NULL AND {order.split(', ')[0]} IS NOT NULL"
        return Sql(ours, f"{name}({column} ORDER BY {order}) FILTER (WHERE {there})")

    def of_two(self) -> Sql:
        """Over pairs. Where all are equal DuckDB has NaN, which JSON shows as null, too. Of large
        values it loses digits that are kept here.
        """
        name = self._rng.choice(
            ["corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept", "regr_count",
             "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy"]
        )  # fmt: skip
        y, x = self._rng.choice([("x", "level"), ("level", "x"), ("x", "x"), ("x", "id")])
        return self._filtered(both(f"{name}({y}, {x})"))

    def text(self) -> Sql:
        """Joined texts, and what is of different values only."""
        rng = self._rng
        kind = rng.randrange(4)
        if kind == 0:
            order = rng.choice(["id", "id DESC"])
            return self._filtered(both(f"string_agg(note, '|' ORDER BY {order})"))
        if kind == 1:
            return self._filtered(both("string_agg(DISTINCT device, '' ORDER BY device)"))
        if kind == 2:
            name, column = rng.choice(["sum", "avg"]), rng.choice(["level", "x"])
            return fill(
                "CAST({} AS double precision)", self._filtered(both(f"{name}(DISTINCT {column})"))
            )
        column = rng.choice(["note", "level", "x", "ok"])
        return self._filtered(Sql(f"approx_count_distinct({column})", f"count(DISTINCT {column})"))

    def number(self) -> Sql:
        """An aggregate as a double."""
        rng = self._rng
        kind = rng.randrange(6)
        if kind == 5:
            return Sql(
                "CAST(sum(100 / level) FILTER (WHERE level <> 0) AS double precision)",
                "CAST(sum(100 // nullif(level, 0)) FILTER (WHERE level <> 0) AS double precision)",
            )
        if kind == 0:
            call = both("count(*)")
        elif kind == 1:
            call = fill(
                rng.choice(["count({})", "count(DISTINCT {})"]), self.value(self._any_type(), 2)
            )
        elif kind == 2:
            call = both(f"{rng.choice(['sum', 'avg'])}({rng.choice(['level', 'x', 'total'])})")
        elif kind == 3:
            name = rng.choice(["stddev_samp", "stddev_pop", "var_samp", "var_pop"])
            call = both(f"{name}({rng.choice(['level', 'x'])})")
        else:
            fraction = rng.choice(["0", "0.25", "0.5", "0.95", "1"])
            call = both(
                f"percentile_cont({fraction}) WITHIN GROUP (ORDER BY {rng.choice(['x', 'level'])})"
            )
            call = Sql(call.ours, call.theirs.replace("level", "level::double"))
        return fill("CAST({} AS double precision)", self._filtered(call))

    def condition(self, depth: int) -> Sql:
        rng = self._rng
        if depth == 0:
            return both(rng.choice(["ok", "true", "false", "ok IS NULL"]))
        kind = rng.randrange(7)
        operand = self._ordered_type()
        left, right, third = (self.value(operand, depth - 1) for _ in range(3))
        if kind == 0:
            sign = rng.choice(["=", "<>", "<", "<=", ">", ">="])
            return fill(f"({{}} {sign} {{}})", left, right)
        if kind == 1:
            return fill(
                f"({{}} {rng.choice(['AND', 'OR'])} {{}})",
                self.condition(depth - 1),
                self.condition(depth - 1),
            )
        if kind == 2:
            return fill("(NOT {})", self.condition(depth - 1))
        if kind == 3:
            return fill(f"({{}} {rng.choice(['', 'NOT '])}IN ({{}}, {{}}))", left, right, third)
        if kind == 4:
            return fill(
                f"({{}} {rng.choice(['', 'NOT '])}BETWEEN {{}} AND {{}})", left, right, third
            )
        if kind == 5:
            return fill(f"({{}} IS {rng.choice(['', 'NOT '])}DISTINCT FROM {{}})", left, right)
        if kind == 6 and rng.random() < 0.3:
            return Sql(
                f"is_out_of_range({left.ours}, {right.ours}, {third.ours})",
                f"({left.theirs} NOT BETWEEN {right.theirs} AND {third.theirs})",
            )
        test = rng.choice(["IS NULL", "IS NOT NULL"])
        return fill(f"({{}} {test})", left)

    def value(self, kind: str, depth: int) -> Sql:
        if kind == "boolean":
            return self.condition(depth)
        rng = self._rng
        if depth == 0 or rng.random() < 0.2:
            return both(rng.choice(BY_TYPE[kind])) if rng.random() < 0.8 else literal(rng, kind)
        deeper = depth - 1
        choice = rng.randrange(6)
        if choice == 0:
            return fill(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.condition(deeper),
                self.value(kind, deeper),
                self.value(kind, deeper),
            )
        if choice == 1:
            name = rng.choice(["coalesce", "nullif", "greatest", "least"])
            return fill(name + "({}, {})", self.value(kind, deeper), self.value(kind, deeper))
        return self._computed(kind, deeper)

    def _computed(self, kind: str, depth: int) -> Sql:
        rng = self._rng
        if kind == "integer":
            left, right = both("level::bigint"), literal(rng, "integer")
            form = rng.choice(["({} + {})", "({} - {})", "({} * {})", "({} % nullif({}, 0))"])
            if rng.random() < 0.3:
                return Sql(f"(total / {right.ours})", f"(total // {right.theirs})")
            if rng.random() < 0.2:
                return fill("length({})", self.value("text", depth))
            return fill(form, left, right)
        if kind == "double":
            if rng.random() < 0.4:
                return fill(rng.choice(["abs({})", "floor({})", "ceil({})"]), both("x"))
            return fill(rng.choice(["(x + {})", "(x - {})", "(x * {})"]), literal(rng, "double"))
        if kind == "text":
            part = self.value("text", depth)
            if rng.random() < 0.3:
                other = self.value(rng.choice(["text", "integer"]), depth)
                return fill(rng.choice(["({} || '-' || {})", "concat({}, {})"]), part, other)
            form = rng.choice(
                ["lower({})", "trim({})", "reverse({})", "substr({}, 2, 3)", "left({}, 2)",
                 "replace({}, 'y', '\u00e9')", "split_part({}, ' ', 1)", "lpad({}, 5, '*')"]
            )  # fmt: skip
            return fill(form, part)
        unit = rng.choice(["minute", "hour", "day", "week", "month", "quarter", "year"])
        span = rng.choice(["1 day", "1 month", "90 minutes", "-1 year"])
        form = rng.choice([f"date_trunc('{unit}', {{}})", f"({{}} + INTERVAL '{span}')"])
        return fill("CAST(" + form + " AS timestamp)", both(rng.choice(BY_TYPE["timestamp"])))

    def _filtered(self, call: Sql) -> Sql:
        if self._rng.random() < 0.7:
            return call
        return fill("{} FILTER (WHERE {})", call, self.condition(1))

    def _any_type(self) -> str:
        return self._rng.choice(list(BY_TYPE))

    def _ordered_type(self) -> str:
        return self._rng.choice(["integer", "double", "text", "timestamp"])


def _over(call: str, partition: Sql, frame: str, *, peers: bool = False) -> Sql:
    """Where `peers`, rows of one time stand together in DuckDB as well."""
    end = f" {frame})" if frame else ")"
    return Sql(
        f"{call} OVER ({partition.ours}ORDER BY observed_at{end}",
        f"{call} OVER ({partition.theirs}ORDER BY observed_at{'' if peers else ', id'}{end}",
    )


def literal(rng: random.Random, kind: str) -> Sql:
    if kind == "integer":
        return both(rng.choice(["1", "2", "-5", "7"]))
    if kind == "double":
        text = rng.choice(["0.5", "2.25", "-1.0", "8.0"])
        return Sql(text, f"{text}::double")
    if kind == "text":
        return both(rng.choice(["''", "'a'", "'it''s'", "'\u00fc'"]))
    return both(f"TIMESTAMP '{rng.choice(['2026-01-01 00:10:00', '2000-02-29 00:00:00'])}'")


def windows_of_each_row(size: int, slide: int, offset: int) -> str:
    """DuckDB's FROM item: every row once for each of its windows, with the window's bounds."""
    micros = "epoch_us(observed_at)"
    last = f"({offset} + ({micros} - ({offset})) // {slide} * {slide})"
    starts = f"generate_series({last} - {size // slide * slide}, {last}, {slide})"
    return (
        f"(SELECT *, make_timestamp(start) AS window_start, "
        f"make_timestamp(start + {size}) AS window_end FROM "
        f"(SELECT *, unnest({starts}) AS start FROM readings) "
        f"WHERE start + {size} > {micros})"
    )


def growing_windows_of_each_row(size: int, step: int, offset: int) -> str:
    """The same of windows that grow by `step` until they have `size`."""
    micros = "epoch_us(observed_at)"
    start = f"({offset} + ({micros} - ({offset})) // {size} * {size})"
    ends = f"generate_series({start} + {step}, {start} + {size}, {step})"
    return (
        f"(SELECT *, make_timestamp({start}) AS window_start, "
        f"make_timestamp(finish) AS window_end FROM "
        f"(SELECT *, unnest({ends}) AS finish FROM readings) WHERE finish > {micros})"
    )


def session_window(rng: random.Random, keys: list[Sql], where: Sql) -> Sql:
    """Rows that pass, each with the bounds of its key's session."""
    gap = rng.choice([1, 7, 20, 60, 300]) * SECOND + rng.choice([0, 0, 1])
    of_key = "".join(f"{key.theirs}, " for key in keys)
    by_key = f"PARTITION BY {of_key[:-2]} " if keys else ""
    before = f"lag(epoch_us(observed_at)) OVER ({by_key}ORDER BY observed_at)"
    whole = f"OVER (PARTITION BY {of_key}session)"
    return Sql(
        f"session(readings, gap => INTERVAL '{gap} microseconds')",
        f"(SELECT *, min(observed_at) {whole} AS window_start, "
        f"make_timestamp(epoch_us(max(observed_at) {whole}) + {gap}) AS window_end FROM "
        f"(SELECT *, sum(begins) OVER ({by_key}ORDER BY observed_at) AS session FROM "
        f"(SELECT *, CASE WHEN epoch_us(observed_at) - {before} < {gap} THEN 0 ELSE 1 END "
        f"AS begins FROM readings WHERE {where.theirs})))",
    )
