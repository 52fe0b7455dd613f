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
        "2026-03-29T01:30:00Z", "0004-12-31T12:00:00Z", "9999-12-31T23:59:59.999999Z",
        "2026-03-29T02:30:00Z", "2026-10-25T02:30:00Z", "2040-07-01T12:00:00Z",
        "1891-03-14T23:55:00Z", None,
    ],
    "date": [
        "1970-01-01", "2000-02-29", "2024-03-31", "2026-03-29", "0001-01-01", "9999-12-31",
        "1969-12-31", None,
    ],
    "real": [
        0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 0.1, 123456.79, 16777217, 1e-45, 3.4028235e38,
        -1e-30, "NaN", "Infinity", "-Infinity", None,
    ],
    "interval": [
        "1 day", "-1 day", "1 month", "-13 months", "90 minutes", "1 microsecond", "36:00:00",
        "1 year 2 months 3 days 04:05:06.789", "15 seconds", "0 seconds", "30 days", "24 hours",
        "-1 mon 31 days -00:00:00.5", "-3 hours -30 minutes", "PT15M", "P1Y2M-3DT4H5M6.5S",
        "1 mon 2 days ago", None,
    ],
    # As they are written.
    "json": [
        '{"a": 1, "b": {"c": [1, 2.50, "x"]}}', '[1, [2, null], {"a": "\\u00fc\\n\\"\\/"}]',
        '"te\\txt"',
        "-0.50e+1", "true", "{}", "[ ]", '{"1" : "one", "a" : null, "a":"last" }', '["a" , "b"]',
        '{"": {"a": "\\\\"}, "\\u0061": 7}', '{"a":"\\ud83d\\ude00", "b":[{}, [[]]]}', None,
    ],
}  # fmt: skip
# Texts of intervals, good and bad.
INTERVALS = [
    "1 century", "2 decades", "1 millennium", "1 mil", "1 c", "1.5 years", "1.5 mon", "0.7 decades",
    "1-2", "-1-2", "1-12", "1- day", "1-11 3 4:05", "1 2:03", "3 4:05:06", "1 day 5", "1 2 hours",
    "1 day, 2 hours", "@ 1 minute", ".5 s", "5. s", "-.5 s", "- 1 day", "+ 1 day", "4:5.5",
    "1:59:60", "1:60", "1:59:61", "1:", "1::2", ":1", "-1:30", "1:30.5:2", "2:03:04 1.5 days",
    "1.5 days 2:03:04", "1 day 1 day", "1 s 1 ms", "1.5 s 1 ms", "1:00 1 minute", "1 week 1 day",
    "0.5 us", "1.5 us", "2.5 us", "-0.5 us", "-1.6 us", "0.0000005", "0.0000015 s", "1 day -1",
    "ago", "ago 1 day", "5 ago", "1 day ago ago", "1 day hour", "1h30m", "1min30s", "1d2h3s",
    "1y2mon3d", "1 day2", "1dec2", "1/2", "1.2.3", "1..5", "1e3", "1 timezone", "1 quarter",
    "1 microsecondx", "1 MILLISECONDS", "1 fortnight", "1 $ day", "1 dayü", "día", "--1 day",
    "2147483647 days", "-2147483648 days", "2147483648 days", "-2147483648 days ago",
    "-9223372036854775808 us", "9223372036854775807 us", "9223372036854775808 us",
    "9223372036854775807.5 us", "178956970 years 7 months", "178956970 years 8 months",
    "99999999999999999999", "2562047788:00:54.775807", "2562047788:00:54.775808",
    "-2562047788:00:54.775807",
    "P0001-02-03T04:05:06", "P00010203T040506", "P1", "P1-2", "P1-2-3", "P2T1:30", "PT", "P", "PT1",
    "PT1:2:3.5", "PT040506.5", "P1Y1Y", "P1Y2", "P1.5M", "P1.5W", "P.5D", "P-1Y", "P+1D", "P1e2D",
    "P1D ", " P1D", "p1d", "P1H", "PT1D", "PT1HT1M", "P1e16D", "P1--2", "P1D2T", "P1DT", "P1T2H",
    None,
]  # fmt: skip
ZONES = [
    "Europe/Berlin", "america/new_york", "Asia/Kolkata", "Australia/Lord_Howe", "UTC",
    "America/St_Johns", "Pacific/Apia", "Africa/Casablanca", "Bogus/Zone", None,
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
FORMATS = [
    "YYYY-MM-DD HH24:MI:SS.US", "Day, DDth FMMonth YYYY", "HH12:MI AM", "hh:mi:ss.ms p.m.",
    "FMDay FMDD FMMon FMYY", "IYYY-IW-ID IDDD", "J Q CC WW W D DDD", "RM rm FMRM", "Y,YYY YYY YY Y",
    "\"week\" WW \"of\" YYYY BC", "SSSS FF1 FF3 FF6", "DAY Dy dy DY mon MON month",
    "TZ tz OF TZH:TZM", "TMRM TMrm TMMonth TMMon TMDay TMDD TMDDD TMTZ TMCC",
    "MMth DDTH HH24th FMDDDth", "\\\"x\\\"", "plain \u00fc text", "", "YYYYMMDDHH24MISS", None,
]  # fmt: skip
NUMBER_FORMATS = [
    "9", "99", "999", "9999999999", "0", "000", "0999", "9990", "9.9", "99.99", "999.999",
    "000.000",
    "0.0", ".99", ".00", "9.", "0.9", "9.0", "99.09", "FM9", "FM999", "FM000", "FM9.9", "FM999.99",
    "FM990.00", "FM0.0", "FM999.990", "FM99.09", "FM.99", "FM9.", "FM999,990.00",
    "9,999", "9,999,999.99", "0,000", "9G999D99", "FM9G999G999D99", ",9,", "S999", "999S", "S9.9",
    "9.9S", "FMS999", "FM999S", "FM9.99S", "9S9", "MI999", "999MI", "FM999MI", "FMMI9.9", "PL999",
    "999PL", "FM999PL", "SG999", "999SG", "FMSG99.9", "999PR", "999.99PR", "FM999PR", "FM99.99PR",
    "MIPL999", "PL999MI",
    "L999.99", "999L", "FML99", "999th", "999TH", "FM999th", "99.9TH", "FMRN", "RN", "rn",
    "FMrn th",
    "RNSG x", "RN,MI", "99V9", "9V99", "99V00", "FM999V99", "0V9", "S9V9", "9.9EEEE", "9.99EEEE",
    "99.9EEEE", "EEEE", "9eeee", "9.9EEEE \"x\"", "B999", "B9.9", "9B9", "C99", "SP99", "99 9 9",
    "9-9-9", "\"a\\\"b\" 999 x", "\\\"99", "999 ü", "fm999d99mi", "Fm999", "EEE9", "x", "",
    "99999999999999999999.99999999999999999999", "FM99999999999999999999.99999999999999999999",
    "0000000000000000.000", "999999999999999.999", "99999.9999999999999999999",
    # None of these is one.
    "9..9", "9.9V9", "9V9.9", "9PR9", "PR0", "SS9", "S9MI", "MI9S", "SG9S", "9PRS", "9S9PR",
    "PL9PR",
    "EEEE9", "9EEEEEEEE", "FM9EEEE", "S9EEEE", "RNEEEE", "B9EEEE",
    None,
]  # fmt: skip
# For reading: texts that fit some of them, and some that fit none.
READING_FORMATS = [
    "YYYY-MM-DD HH24:MI:SS.US", "DD.MM.YYYY", "YYYYMMDD", "YYYYMMDDHH24MISS", "DD Mon YYYY",
    "Month DD, YYYY", "HH12:MI AM", "IYYY-IW-ID", "YYYY-DDD", "YY-MM-DD", "Y,YYY-MM", "J",
    "YYYY-MM-DD BC", "MS", "FXYYYY/MM/DD", "YYYY-MM-DD HH24:MI TZH:TZM", "YYYY WW", "CC YY",
    "RM DD", "FX YYYY:MM", "FX  DD", "FF3", "FF1", "FF2", "YYYY YYY", "YYYY YY", "Dy Dy", "D Dy",
    "AM HH PM", "AD BC", "YYYY-MM-DD HH24:MI TZH", "DDDYYYY", "YYYY TZM", "MS MS", "TMDDTMMM",
    "\"at\" YYYY", "YYYY-MM-DD TZ", "SSSSS", "YYYY-MM-DD HH24:MI:SS.FF3", None,
]  # fmt: skip
READING_TEXTS = [
    "2024-02-29 23:59:58.25", "29.02.2024", "20240229", "20240229235958", "29 feb 2024",
    "February 3, 2021", "12:30 am", "07:15 PM", "2020-53-5", "2024-366", "2023-366", "69-12-31",
    "70-1-1", "2,024-05", "2459000", "0044-03-15 BC", "25", "2024/02/29", "2024-02-30",
    "2024-13-01", "2024-02-29 10:30 -05:30", "2024-02-29 10:30 +02", "2024 07", "21 03", "vii 4",
    " 2026:01", "  T", " T", "0507", "990", "507", "5", "2024 024", "2024 24", "Tue Wed", "Tue Tue",
    "2 Tue", "3 Tue", "PM 3 AM", "AM 3 PM", "BC AD", "2024-02-29 02:30 +05:30", "2 29",
    "2024-02-29 23:30 -05", "1969 95", "25 250",
    "at 1999", "", "abc", "  2024 - 2 - 3 ", "86399", "24:00", "2024-02-29 25:00:00", "13:00 PM",
    None,
]  # fmt: skip
# What an argument of a function is taken from, where it is not every text or number.
SPECIAL: dict[tuple[str, int], list[Any]] = {
    ("date_trunc", 0): UNITS,
    ("date_part", 0): UNITS,
    ("date_trunc", 2): ZONES,
    ("timezone", 0): ZONES,
    ("make_timestamptz", 6): ZONES,
    ("to_utc_timestamp", 1): ZONES,
    ("to_char", 1): FORMATS,
    ("to_date", 0): READING_TEXTS,
    ("to_date", 1): READING_FORMATS,
    ("to_timestamp", 0): READING_TEXTS,
    ("to_timestamp", 1): READING_FORMATS,
    ("make_date", 0): [1970, 2024, 2023, -44, 0, 1],
    ("make_date", 1): [1, 2, 12, 13, 0, None],
    **{("make_interval", place): [0, 1, -3, 100, None] for place in range(6)},
    ("make_interval", 6): [0.0, 1.5, -0.25, 59.9999995, "NaN", None],
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
    **{
        (name, 5): [0.0, 59.9999999, 60.0, 60.00000000000001, 60.1, -1.0, -1e-17, 12.345678, None]
        for name in ("make_timestamp", "make_timestamptz")
    },
    ("width_bucket", 3): [1, 5, 0, -1, 2**31 - 1],
    ("->", 1): ["a", "b", "", "1", "c", "\u00fc", None],
    ("->>", 1): ["a", "b", "", "1", "c", "\u00fc", None],
    **{
        (function, place): ["a", "b", "", "1", "0", "-1", "c", "-9", "x", None]
        for function in ("json_extract_path", "json_extract_path_text")
        for place in (1, 2, 3)
    },
    **{
        (name, 0): [0.0, 30.0, 45.0, -60.0, 90.0, 135.0, 180.0, -270.0, 720.5, 12.34, "NaN", None]
        for name in ("sind", "cosd", "tand", "cotd")
    },
    **{
        (name, 0): [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 0.25, 0.75, 1.5, "NaN", "Infinity", None]
        for name in ("asind", "acosd")
    },
    ("chr", 0): [65, 252, 26085, 128512, 0, -1, 55296, 1114112, None],
    ("like_escape", 1): ["", "\\", "!", "%", "ab", "\u00fc"],
}
for _name in ("~", "~*", "!~", "!~*", "regexp_like", "regexp_count", "regexp_instr",
              "regexp_substr",
              "regexp_replace", "substring"):  # fmt: skip
    SPECIAL[(_name, 1)] = PATTERNS

# Of numeric only there, double precision here (docs/sql.md).
NUMERIC_THERE = {
    ("%", "double precision"), ("mod", "double precision"), ("round", "integer"),
    ("trunc", "integer"), ("log", "double precision, double precision"),
    ("div", "double precision"),
}  # fmt: skip


def writes_other_number(kind: str, value: Any, template: Any) -> bool:
    """What to_char of whole numbers gives for what does not fit there."""
    if not isinstance(value, int) or not isinstance(template, str):
        return False
    if "V" in template.upper() and kind in ("integer", "bigint"):
        shifted = abs(value) * 10 ** template.upper().partition("V")[2].count("9")
        return bool(shifted >= (2**31 if kind == "integer" else 2**63))
    if kind == "bigint" and "RN" in template.upper():
        return not -(2**31) <= value < 2**31
    # A mantissa that is rounded up to 10 is written so.
    after = template.partition(".")[2].count("9")
    return bool(
        kind == "bigint"
        and "EEEE" in template.upper()
        and round(abs(value) / 10 ** (len(str(abs(value))) - 1), after) >= 10
    )


def departs(call: Call, row: tuple[Any, ...]) -> bool:
    """What docs/sql.md says is another here."""
    if call.name in ("~~", "!~~", "~~*", "!~~*"):
        # Always an error here; there only where the text reaches so far.
        return str(row[1]).endswith("\\")
    if call.name == "/" and call.result == "interval":
        # Version 15 does not see that the result does not fit.
        return row[1] in ("NaN", "Infinity", "-Infinity") or (
            isinstance(row[1], float) and 0 < abs(row[1]) < 1e-9
        )
    if call.name == "right":
        # 15.18 gives the whole text where -n does not fit an integer; earlier ones gave none of it.
        return bool(row[1] == -(2**31))
    if call.name == "to_char" and call.table.types[0] == "timestamp":
        # An empty template gives null there.
        return str(row[1]) == ""
    if call.name == "to_char":
        return writes_other_number(call.table.types[0], *row)
    if call.name == "to_date":
        # The year is beyond what timestamps have.
        return str(row[0]) == "2459000" and str(row[1]) != "J"
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
        for kind in ("integer", "real", "double precision", "text", "date", "timestamp")
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
    ("extract(isoyear from a0)", ["date"], "double precision"),
    ("extract(epoch from a0 - a1)", ["timestamp", "timestamp"], "double precision"),
    ("a0 - a1 > INTERVAL '30 days'", ["timestamp", "timestamp"], "boolean"),
    ("(a0 - a1) * 2 + INTERVAL '1 mon'", ["timestamp", "timestamp"], "interval"),
    ("a0 + INTERVAL '1 mon 1 day' * a1", ["timestamp", "integer"], "timestamp"),
    ("make_interval(days => a0 / 1000, hours => 3)", ["integer"], "interval"),
    ("make_interval(1, secs => 1.25)", [], "interval"),
    *[
        (f"(INTERVAL '{text}' {unit})", [], "interval")
        for unit in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
        for text in ("1.7", "-0.5", "90", "1 day 5", "1:30", "PT90M", "2 year 3.5")
        if unit.lower() not in text  # else twice
    ],
    *[
        (f"extract({unit} from a0)", ["date"], "double precision")
        for unit in ("day", "week", "month", "julian", "epoch", "millennium", "doy", "isodow")
    ],
    ("to_char(a0 AT TIME ZONE 'Asia/Kolkata', 'HH24:MI [TZ] [tz] OF TZH')", ["timestamp"], "text"),
    ("to_char(make_timestamp(2024, 2, 29, a0, 0, 0), '[TZ]')", ["integer"], "text"),
    ("to_char(a0, '[TZ]')", ["date"], "text"),
    ("age(a0, a1)", ["date", "date"], "interval"),
    ("a0 AT TIME ZONE 'Europe/Berlin'", ["timestamp"], "timestamp"),
    ("a0 AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'Asia/Tokyo'", ["timestamp"], "timestamp"),
    ("a0 AT TIME ZONE INTERVAL '-03:30'", ["timestamp"], "timestamp"),
    (
        "date_trunc('day', a0 AT TIME ZONE 'America/New_York') AT TIME ZONE 'America/New_York'",
        ["timestamp"],
        "timestamp",
    ),
    ("CAST(a0 AT TIME ZONE 'Asia/Kolkata' AS date)", ["timestamp"], "date"),
    ("CAST(a0 AS timestamp) AT TIME ZONE 'Europe/Berlin'", ["timestamp"], "timestamp"),
    ("(a0 + INTERVAL '2 hours 30 min') AT TIME ZONE 'Europe/Berlin'", ["date"], "timestamp"),
    ("CAST(a0 AS timestamptz) AT TIME ZONE 'Europe/Berlin'", ["date"], "timestamp"),
    (
        "make_timestamp(2026, 10, 25, 2, a0, 0) AT TIME ZONE 'Europe/Berlin'",
        ["integer"],
        "timestamp",
    ),
    ("num_nulls(a0, a1, NULL)", ["integer", "text"], "integer"),
    ("num_nonnulls(a0, a1, 1, 'x')", ["date", "double precision"], "integer"),
    ("a0 > '2000-01-01'", ["date"], "boolean"),
    ("a0 < a1", ["date", "timestamp"], "boolean"),
    ("COALESCE(a0, a1)", ["date", "timestamp"], "timestamp"),
    ("a0 = DATE '2000-02-29'", ["date"], "boolean"),
    ("'at ' || a0", ["date"], "text"),
    ("'for ' || CAST(a0 AS interval)", ["interval"], "text"),
    ("a0 + 1", ["real"], "double precision"),
    ("a0 * a1", ["real", "double precision"], "double precision"),
    ("a0 > 0.1", ["real"], "boolean"),
    ("greatest(a0, a1)", ["real", "double precision"], "double precision"),
    ("CASE WHEN a0 > 0 THEN a0 ELSE 0 END", ["real"], "real"),
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
            "integer": ["boolean", "bigint", "real", "double precision", "text"],
            "bigint": ["integer", "real", "double precision", "text"],
            "real": ["integer", "bigint", "double precision", "text"],
            "double precision": ["integer", "bigint", "real", "text"],
            "text": ["boolean", "integer", "bigint", "real", "double precision", "json"],
            "date": ["timestamp", "text"],
            "timestamp": ["date", "text"],
            "json": ["text"],
            "interval": ["interval"],
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
    entries = [json.loads(line) for line in listed.stdout.splitlines()]
    return [entry for entry in entries if entry["name"] not in NOT_THERE]


# No function there; cases/resample.test has its values.
NOT_THERE = {"time_grid"}


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


def edges_of(name: str, place: int, kind: str, args: list[str]) -> list[Any]:
    if (name, place) == ("to_char", 1) and args[0] != "timestamp":
        return NUMBER_FORMATS
    special = SPECIAL.get((name, place))
    if special is None or isinstance(special[0], str) != (kind == "text") or kind == "interval":
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
        lists = [edges_of(name, place, kind, args) for place, kind in enumerate(args)]
        terms = [
            f"CAST(a{place} AS interval)" if kind == "interval" else f"a{place}"
            for place, kind in enumerate(args)
        ]
        self.add(name, written(name, terms), result, self.table(args, lists))


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
    calls.add("", "CAST(a0 AS interval)", "interval", calls.table(["text"], [INTERVALS]))
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
            short = {"double precision": "double", "interval": "text"}.get(kind, kind)
            columns[f"a{i}"] = {"type": short} | (
                {"accept_text": True} if kind in ("real", "double precision") else {}
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


# What AT TIME ZONE is there for a timestamp without time zone.
TO_UTC_TIMESTAMP = """
CREATE FUNCTION to_utc_timestamp(local timestamptz, zone ZONE_TYPE) RETURNS timestamptz
LANGUAGE sql AS $$ SELECT local AT TIME ZONE 'UTC' AT TIME ZONE zone $$
"""


def fill_there(connection: psycopg.Connection, tables: list[Table]) -> None:
    connection.execute(EVALUATE)
    for zone in ("text", "interval"):
        connection.execute(TO_UTC_TIMESTAMP.replace("ZONE_TYPE", zone))
    for table in tables:
        kinds = [
            {"timestamp": "timestamptz", "interval": "text"}.get(kind, kind) for kind in table.types
        ]
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
