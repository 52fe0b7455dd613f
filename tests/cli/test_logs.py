"""`logs` and `tail`: pages, levels, following, and rows that hold anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import CLEAN, Ask
from cli.fake_api import Answer, FakeApi, Json, log_line
from harness.millrace import Process
from harness.waiting import wait_for


def messages(stdout: str) -> list[str]:
    return [line.split("  ")[-1].strip() for line in stdout.splitlines()]


def row(sequence: int, sink: str = "alerts", text: str | None = None) -> Json:
    return {
        "sequence": str(sequence),
        "sink": sink,
        "row": text if text is not None else json.dumps({"n": sequence}),
    }


@pytest.fixture
def lines(api: FakeApi) -> list[Json]:
    api.logs["smoke"] = [
        log_line(sequence, f"message {sequence}", ("info", "warn", "error")[sequence % 3])
        for sequence in range(1, 31)
    ]
    return api.logs["smoke"]


@pytest.mark.usefixtures("lines")
def test_logs_of_several_pages(ask: Ask, api: FakeApi) -> None:
    api.page_items = 7
    got = ask("logs", "smoke")
    assert (got.code, got.stderr) == (0, "")
    assert messages(got.stdout) == [f"message {sequence}" for sequence in range(1, 31)]
    assert got.stdout.splitlines()[0] == (
        "2026-03-01T08:00:01.000000Z  warn   coordinator   message 1"
    )
    assert len(api.lines) == 6
    assert api.lines[1].endswith("after=7")


@pytest.mark.usefixtures("lines")
def test_logs_by_level_and_the_last_ones(ask: Ask, api: FakeApi) -> None:
    api.page_items = 7
    assert messages(ask("logs", "smoke", "--level", "error").stdout) == [
        f"message {sequence}" for sequence in range(2, 31, 3)
    ]
    assert messages(ask("logs", "smoke", "--level", "warn", "--tail", "3").stdout) == [
        "message 26", "message 28", "message 29",
    ]  # fmt: skip
    assert ask("logs", "smoke", "--tail", "0").stdout == ""
    assert ask("logs", "smoke", "--level", "debug").code == 2


def test_logs_as_json(ask: Ask, lines: list[Json]) -> None:
    got = ask("logs", "smoke", "--json", "--tail", "2").stdout.splitlines()
    assert [json.loads(line) for line in got] == lines[-2:]


def test_messages_hold_anything(ask: Ask, api: FakeApi) -> None:
    api.logs["smoke"] = [log_line(1, "one\n2026-03-01T08:00:00Z  error  fake\x1b]0;x\x07")]
    assert ask("logs", "smoke").stdout == (
        "2026-03-01T08:00:01.000000Z  info   coordinator   one\n"
        "    2026-03-01T08:00:00Z  error  fake\\x1b]0;x\\x07\n"
    )


def test_lines_that_are_no_longer_kept_are_told(ask: Ask, api: FakeApi) -> None:
    api.intercept = lambda request: Answer(
        200, {"lines": [log_line(9, "x")] if "after=0" in request.path else [], "next": "9",
              "dropped": "8" if "after=0" in request.path else "0"},
    )  # fmt: skip
    got = ask("logs", "smoke")
    assert messages(got.stdout) == ["x"]
    assert got.stderr == "8 older lines are no longer kept\n"


def test_pages_that_do_not_go_on(ask: Ask, api: FakeApi) -> None:
    api.intercept = lambda _: Answer(200, {"lines": [log_line(1, "x")], "next": "0"})
    got = ask("logs", "smoke")
    assert got.code == 1
    assert got.stderr == "error: the coordinator's pages do not go on\n"


@pytest.fixture
def follow(api: FakeApi, tmp_path: Path) -> Iterator[Process]:
    env = {**CLEAN, "MILLRACE_SERVER": api.url}
    words = ["logs", "smoke", "-f", "--tail", "2", "--level", "warn"]
    with Process(words, tmp_path, env=env) as process:
        yield process


def test_following_a_log(follow: Process, api: FakeApi, lines: list[Json]) -> None:
    del lines[5:]
    wait_for("two lines", lambda: len(follow.stdout.splitlines()) == 2)
    assert messages(follow.stdout) == ["message 4", "message 5"]
    lines.append(log_line(40, "not shown"))
    lines.append(log_line(41, "shown", "error"))
    wait_for("a line", lambda: len(follow.stdout.splitlines()) == 3)
    api.intercept = lambda _: b""
    follow.wait_for_line("trying again")
    lines.append(log_line(42, "again", "warn"))
    api.intercept = lambda _: None
    wait_for("a line", lambda: len(follow.stdout.splitlines()) == 4)
    assert messages(follow.stdout)[2:] == ["shown", "again"]
    # Another coordinator leads, whose log begins anew.
    lines[:] = [log_line(1, "anew", "warn")]
    wait_for("a line", lambda: len(follow.stdout.splitlines()) == 5)
    assert messages(follow.stdout)[4:] == ["anew"]
    follow.wait_for_line("another coordinator leads")
    del api.jobs["smoke"]
    assert follow.wait() == 3


# ---- tail


def test_tail_ends_after_its_rows(ask: Ask, api: FakeApi) -> None:
    api.rows = [row(sequence) for sequence in range(1, 40)]
    got = ask("tail", "smoke")
    assert (got.code, got.stderr) == (0, "")
    assert [json.loads(line)["n"] for line in got.stdout.splitlines()] == list(range(1, 11))
    api.page_items = 10
    got = ask("tail", "smoke", "--limit", "25")
    assert [json.loads(line)["n"] for line in got.stdout.splitlines()] == list(range(1, 26))


def test_tail_of_one_sink(ask: Ask, api: FakeApi) -> None:
    api.rows = [row(1), row(2, "minutes & more"), row(3)]
    got = ask("tail", "smoke", "--sink", "minutes & more", "--limit", "1")
    assert got.stdout == '{"n": 2}\n'
    assert "sink=minutes%20%26%20more" in api.lines[0]


def test_tail_waits_for_rows_for_a_while(ask: Ask, api: FakeApi) -> None:
    api.rows = [row(1)]
    got = ask("tail", "smoke", "--limit", "2", "--timeout", "500ms")
    assert (got.code, got.stdout) == (124, '{"n": 1}\n')
    assert got.stderr == "error: 1 of 2 rows came in 500ms\n"


def test_rows_hold_anything_and_stay_json(ask: Ask, api: FakeApi) -> None:
    value = "\x1b[2J\u009b31m\u202e\x7f°"
    api.rows = [row(1, text=json.dumps({"device": value}, ensure_ascii=False))]
    api.rows.append(row(2, text='{"raw":"\x1b[0m"}'))
    got = ask("tail", "smoke", "--limit", "2")
    assert not any(ord(letter) < 32 for letter in got.stdout.replace("\n", ""))
    assert "\u009b" not in got.stdout and "\u202e" not in got.stdout
    first, second = got.stdout.splitlines()
    assert json.loads(first) == {"device": value}
    assert json.loads(second) == {"raw": "\x1b[0m"}


def test_rows_that_came_too_fast_are_told(ask: Ask, api: FakeApi) -> None:
    api.rows = [row(5)]
    api.rows_dropped = 4
    got = ask("tail", "smoke", "--limit", "1")
    assert (got.code, got.stdout) == (0, '{"n": 5}\n')
    assert got.stderr == "4 rows are left out\n"


def test_following_rows(api: FakeApi, tmp_path: Path) -> None:
    env = {**CLEAN, "MILLRACE_SERVER": api.url}
    with Process(["tail", "smoke", "-f", "--timeout", "1s"], tmp_path, env=env) as process:
        wait_for("three polls", lambda: len(api.lines) >= 3)
        api.rows = [row(sequence) for sequence in range(1, 21)]
        wait_for("all rows", lambda: len(process.stdout.splitlines()) == 20)
        assert process.code is None
