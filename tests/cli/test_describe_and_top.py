"""`describe` and `top`: what people look at."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest

from cli.conftest import CLEAN, Ask
from cli.fake_api import FakeApi, log_line
from harness import millrace


def test_describe_begins_with_what_matters(ask: Ask, api: FakeApi) -> None:
    api.logs["smoke"] = [log_line(1, "no broker answers", "warn")]
    got = ask("describe", "job", "smoke")
    assert (got.code, got.stderr) == (0, "")
    assert got.stdout.startswith(
        "Job         smoke\nState       running for 3m12s: all of it runs\n"
    )
    assert "\x1b" not in got.stdout
    heads = [line for line in got.stdout.splitlines() if re.fullmatch(r"[A-Z]\w+", line)]
    assert heads == ["Findings", "Sources", "Log"]
    assert "  - partition readings/2 holds the watermark: \\x1b[31m40m behind\n" in got.stdout
    assert "readings/2, 39m55s behind the next one" in got.stdout
    assert got.stdout.splitlines()[-1] == (
        "  2026-03-01T08:00:01.000000Z  warn   coordinator   no broker answers"
    )


def test_describe_for_programs(ask: Ask) -> None:
    described = json.loads(ask("describe", "job", "smoke", "-o", "json").stdout)
    assert described["sources"][0]["held_by"] == "readings/2"
    assert "file: |\n  kind: StreamJob\n" in ask("describe", "job", "smoke", "-o", "yaml").stdout


def test_top_in_a_pipe_is_one_table(ask: Ask) -> None:
    got = ask("top")
    assert (got.code, got.stderr) == (0, "")
    lines = got.stdout.splitlines()
    assert lines[0] == "cluster plant: coordinator-1 leads (term 7), 2 jobs, 1 workers"
    assert [line.split()[0] for line in lines if line] == [
        "cluster", "JOB", "rig", "smoke", "WORKER", "worker-0",
    ]  # fmt: skip


class Terminal:
    """The program on a terminal of 24 lines and 60 columns."""

    def __init__(self, *words: str) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        self.child = subprocess.Popen(
            [millrace.program(), *words], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, **CLEAN},
        )  # fmt: skip
        os.close(slave)
        self._master = master
        self.shown = ""

    def read_until(self, text: str, timeout_seconds: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_seconds
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} in {self.shown!r}"
            readable, _, _ = select.select([self._master], [], [], left)
            if not readable:
                continue
            try:
                self.shown += os.read(self._master, 65536).decode()
            except OSError:  # the other side is closed
                assert text in self.shown, self.shown
                return

    def end(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self._master)


@pytest.fixture
def terminal(api: FakeApi) -> Iterator[Terminal]:
    running = Terminal("top", "--server", api.url)
    yield running
    running.end()


def test_top_on_a_terminal_goes_on_and_leaves_it_as_it_was(
    terminal: Terminal, api: FakeApi
) -> None:
    terminal.read_until("worker-0")
    assert terminal.shown.startswith("\x1b[?1049h\x1b[?25l\x1b[H")
    # Cut to its columns: no line is wrapped.
    frame = terminal.shown.split("\x1b[H", 1)[1].split("\x1b[J")[0]
    assert max(len(re.sub(r"\x1b\[K|\r", "", line)) for line in frame.split("\n")) == 60
    api.jobs["smoke"].update(records_in="34570000", state="running")
    terminal.shown = ""
    terminal.read_until("\x1b[J")
    terminal.read_until("\x1b[J")
    rate = re.search(r"smoke +running +3 +(\d+)", terminal.shown)
    assert rate is not None, terminal.shown
    assert 0 <= int(rate[1]) <= 10_000
    api.intercept = lambda _: b""
    terminal.read_until("closed the connection")
    assert "worker-0" in terminal.shown  # what was known stays
    terminal.child.send_signal(signal.SIGINT)
    terminal.read_until("\x1b[?25h\x1b[?1049l")
    assert terminal.child.wait(10) == 0


def test_top_of_a_cluster_that_is_not_there(ask: Ask) -> None:
    got = ask("top", "--server", "http://127.0.0.1:1")
    assert got.code == 1
    assert "no coordinator answers" in got.stderr
