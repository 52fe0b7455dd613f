"""The commands by themselves: help, usage errors, and what lint says about mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import millrace

HEAD = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {name: mistaken}
spec:
  streams:
    readings:
      kafka: {topics: [readings]}
      format: json
      columns:
        device: text
        at: timestamp
        temperature: double
      event_time: {column: at, max_delay: 10s}
"""
SINK = "  sinks:\n    - {stream: readings, console: {}}\n"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (
            [],
            ["run", "lint", "plan", "functions", "simulate", "completion", "apply", "get",
             "describe", "logs", "tail", "pause", "resume", "cancel", "delete", "rescale", "wait",
             "top", "savepoint", "restore"],
        ),
        (["get"], ["jobs", "job", "workers", "savepoints"]),
        (["get", "jobs"], ["-o", "-w", "--server", "--token-file", "--ca", "--timeout"]),
        (["apply"], ["file", "--dry-run", "--wait", "--server"]),
        (["restore"], ["job", "--from", "--from-savepoint", "--accept-duplicates", "--server"]),
        (["functions"], ["prefix", "--output"]),
        (
            ["run"],
            ["job", "--brokers", "--data-dir", "--state-dir", "--new-generation",
             "--from-savepoint", "--parallelism", "--metrics-port", "--host", "--end-when-idle",
             "--summary", "--log-format", "--log-level"],
        ),
        (["lint"], ["job"]),
        (["plan"], ["job"]),
        (["simulate"], ["smoke"]),
        (
            ["simulate", "smoke"],
            ["--brokers", "--topic", "--readings", "--rate", "--devices", "--seed", "--start",
             "--account", "--null-share", "--late-share", "--malformed-share", "--future-share",
             "--duplicate-share", "--stuck-devices", "--gap-devices", "--fires-per-day"],
        ),
    ],
    ids=lambda value: "-".join(value) or "millrace" if isinstance(value, list) else None,
)  # fmt: skip
def test_help_names_every_part(command: list[str], shown: list[str]) -> None:
    finished = millrace.run([*command, "--help"])
    assert finished.code == 0
    assert finished.stderr == ""
    lines = [line.split() for line in finished.stdout.splitlines() if line.startswith("  ")]
    names = {name for line in lines if line for name in line[0].split(":")[0].split(",")}
    assert set(shown) <= names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "A subcommand is required"),
        (["run"], "job is required"),
        (["lint"], "job is required"),
        (["plan"], "job is required"),
        (["frobnicate"], "frobnicate"),
        (["get"], "A subcommand is required"),
        (["get", "jobs", "-o", "xml"], "'xml' is no form of output"),
        (["get", "jobs", "--timeout", "soon"], "'soon' is not a duration"),
        (["pause"], "job is required"),
        (["run", "job.yaml", "--frobnicate"], "--frobnicate"),
        (["run", "job.yaml", "--metrics-port", "99999"], "99999"),
        (["run", "job.yaml", "--parallelism", "0"], "--parallelism"),
        (["run", "job.yaml", "--log-format", "xml"], "xml"),
        (["run", "job.yaml", "--end-when-idle", "3x"], "'3x' is not a duration"),
        (["simulate", "smoke"], "--brokers is required"),
        (["simulate", "smoke", "--brokers", "h:1", "--late-share", "2"], "--late-share"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(HEAD + SINK)
    finished = millrace.run(words, cwd=tmp_path)
    assert finished.code == 2
    assert finished.stdout == ""
    assert message in finished.stderr


# What is wrong -> the text after the head, the place, the message, the hint, the line shown with
# its caret.
MISTAKES = {
    "wrong YAML": (
        "  sinks: [{stream: readings\nfoo: b\n",
        (15, 4),
        "not valid YAML: ",
        "",
    ),
    "unknown key": (
        "  sink:\n    - {stream: readings, console: {}}\n",
        (14, 3),
        "'sink'",
        "did you mean 'sinks'?",
    ),
    "unknown column": (
        "    hot:\n      sql: SELECT device, temprature FROM readings\n" + SINK,
        (15, 27),
        "'temprature'",
        "did you mean 'temperature'?",
    ),
    "unknown function": (
        "    hot:\n      sql: SELECT flor(temperature) AS whole FROM readings\n" + SINK,
        (15, 19),
        "flor",
        "did you mean 'floor'?",
    ),
    "unknown stream in SQL": (
        "    hot:\n      sql: SELECT device FROM reedings\n" + SINK,
        (15, 31),
        "'reedings'",
        "did you mean 'readings'?",
    ),
    "unknown stream of a sink": (
        "  sinks:\n    - {stream: raedings, console: {}}\n",
        (15, 16),
        "there is no stream 'raedings'",
        "did you mean 'readings'?",
    ),
    "type clash": (
        "    hot:\n      sql: SELECT temperature > device AS hot FROM readings\n" + SINK,
        (15, 31),
        "double precision > text",
        "",
    ),
    "a stream that reads itself": (
        "    loop:\n      sql: SELECT device FROM loop\n" + SINK,
        (15, 31),
        "reads itself",
        "",
    ),
    "two streams that read each other": (
        "    a:\n      sql: SELECT device FROM b\n    b:\n      sql: SELECT device FROM a\n" + SINK,
        (17, 31),
        "streams read each other in a cycle: a -> b -> a",
        "",
    ),
    "two sinks on one path": (
        "  sinks:\n    - {stream: readings, files: {path: out}}\n"
        "    - {stream: readings, parquet: {path: out}}\n",
        (16, 7),
        "two sinks write to path 'out'; the first is on line 15",
        "",
    ),
    "two sinks on one path, spelled otherwise": (
        "  sinks:\n    - {stream: readings, files: {path: out}}\n"
        "    - {stream: readings, parquet: {path: ./x/../out/}}\n",
        (16, 7),
        "two sinks write to path",
        "",
    ),
    "two sinks on one topic": (
        "  sinks:\n    - {stream: readings, kafka: {topic: out}}\n"
        "    - {stream: readings, kafka: {topic: out}}\n",
        (16, 7),
        "two sinks write to topic 'out'; the first is on line 15",
        "",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_lint_tells_mistakes_with_their_place(mistake: str, tmp_path: Path) -> None:
    text, (line, column), message, hint = MISTAKES[mistake]
    (tmp_path / "job.yaml").write_text(HEAD + text)
    finished = millrace.run(["lint", "job.yaml"], cwd=tmp_path)
    assert finished.code == 1
    told = finished.stderr.splitlines()
    place = f"job.yaml:{line}:{column}: error: "
    starts = [index for index, one in enumerate(told) if one.startswith(place)]
    assert starts, finished.stderr
    head, shown, caret = told[starts[0] : starts[0] + 3]
    assert message in head
    assert head.endswith(hint)
    source = (HEAD + text).splitlines()[line - 1]
    margin = f"{line:>6} | "
    assert shown == margin + source
    assert caret == " " * (len(margin) - 2) + "| " + " " * (column - 1) + "^"
    # `run` refuses the same file with the same words.
    assert millrace.run(["run", "job.yaml"], cwd=tmp_path).stderr == finished.stderr
    assert millrace.run(["plan", "job.yaml"], cwd=tmp_path).code == 1


def test_lint_tells_all_mistakes_at_once(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        HEAD
        + "    hot:\n      sql: SELECT temprature FROM readings\n"
        + "    cold:\n      sql: SELECT device + 1 AS x FROM readings\n"
        + "  sinks:\n    - {stream: readings, console: {rows_per_second_max: 0}}\n"
        + "    - {stream: hod, console: {}}\n"
    )
    finished = millrace.run(["lint", "job.yaml"], cwd=tmp_path)
    assert finished.code == 1
    places = [one.split(": error")[0] for one in finished.stderr.splitlines() if ": error" in one]
    assert places == ["job.yaml:15:19", "job.yaml:17:26", "job.yaml:19:57", "job.yaml:20:16"]


def test_lint_of_a_right_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(HEAD + SINK)
    finished = millrace.run(["lint", "job.yaml"], cwd=tmp_path)
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.stdout.startswith("job.yaml: ")


def test_lint_of_a_missing_file(tmp_path: Path) -> None:
    finished = millrace.run(["lint", "nowhere.yaml"], cwd=tmp_path)
    assert finished.code == 1
    assert "cannot read 'nowhere.yaml': No such file or directory" in finished.stderr


def test_plan_shows_operators_keys_and_exchanges(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        HEAD
        + "    minutes:\n      sql: >-\n"
        + "        SELECT window_start, window_end, device, count(*) AS readings\n"
        + "        FROM tumble(readings, size => INTERVAL '1 minute')\n"
        + "        GROUP BY window_start, window_end, device\n"
        + "  sinks:\n    - {stream: minutes, console: {}}\n"
    )
    finished = millrace.run(["plan", "job.yaml"], cwd=tmp_path)
    assert finished.code == 0
    for word in ("readings", "minutes", "tumble", "device", "exchange", "console"):
        assert word in finished.stdout, finished.stdout


def test_no_broker_named(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(HEAD + SINK)
    finished = millrace.run(["run", "job.yaml", "--metrics-port", "0"], cwd=tmp_path)
    assert finished.code == 1
    assert "no Kafka broker is named: set bootstrap.servers under kafka.properties" in (
        finished.stderr
    )
    assert "--brokers" in finished.stderr


def test_functions_are_listed() -> None:
    listed = millrace.run(["functions", "regexp_c"])
    assert listed.code == 0
    shown = "regexp_count(text, text) integer how often a regular expression matches"
    assert listed.stdout.split() == shown.split()
    one = json.loads(millrace.run(["functions", "corr", "-o", "json"]).stdout)
    assert one["kind"] == "aggregate" and one["summary"] == "correlation coefficient"
    none = millrace.run(["functions", "no_such"])
    assert none.code == 1
    assert none.stderr == "no function, operator or aggregate begins with 'no_such'\n"
