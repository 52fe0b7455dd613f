"""`tools/dev demo` as a process supervisor, with a stand-in for the millrace program: how it ends,
what it leaves, and when it fails. Kafka is real.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtool import demo, paths
from devtool.demo_pipelines import PIPELINES
from devtool.processes import ProcessId
from harness.waiting import wait_for

# Stands in for `millrace simulate smoke` and `millrace run`: says its process id in a file, then
# does what the test asks for.
STAND_IN = """#!/usr/bin/env python3
import json, os, signal, sys, time

def value(name):
    return sys.argv[sys.argv.index(name) + 1]

role = sys.argv[1]
folder = os.environ["STAND_IN_FOLDER"]
# Before the file, which is what the test waits for: a signal may follow it at once.
sys.asked_to_end = False
signal.signal(signal.SIGTERM, lambda *_: setattr(sys, "asked_to_end", True))
with open(f"{folder}/{role}.pid", "w") as out:
    out.write(str(os.getpid()))
bounded = "--end-when-idle" in sys.argv or ("--readings" in sys.argv and value("--readings") != "0")
while not bounded and not sys.asked_to_end:
    time.sleep(0.01)
if role == "simulate":
    with open(value("--account"), "w") as out:
        out.write(os.environ["STAND_IN_SENT"])
    open(f"{folder}/simulate.done", "w").close()
else:
    # A bounded job ends after what it reads was sent.
    deadline = time.monotonic() + 10
    while bounded and not os.path.exists(f"{folder}/simulate.done"):
        if sys.asked_to_end or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    print("a window", flush=True)
    with open(value("--summary"), "w") as out:
        out.write(os.environ["STAND_IN_SUMMARY"])
sys.exit(int(os.environ.get("STAND_IN_EXIT_" + role.upper(), "0")))
"""

# Runs the demo in a folder of the test's, without set-up and build.
DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, {tools!r})
from devtool import build, cli, demo, install, paths
install.setup = build.build = lambda: None
paths.ROOT = Path({folder!r})
paths.millrace = lambda: Path({program!r})
paths.CACHE = paths.ROOT
demo.FOLDER = paths.ROOT / "demo"
sys.exit(cli.main(sys.argv[1:]))
"""

SMOKE = PIPELINES["smoke-detection"]
SENT = {"readings": 10, "late": 2, "future": 0, "malformed": 1}
STREAM = {"rows_in": 10, "counted": 9, "filtered": 0, "open": 0, "dead_letters": 1}
LATE = {"rows_in": 7, "counted": 6, "filtered": 0, "open": 0, "dead_letters": 1}
WINDOWS = {"rows_in": 9, "counted": 6, "filtered": 0, "open": 1, "dead_letters": 2}
SUMMARY = {
    "error": "",
    "readings_in": 10,
    "lost": 0,
    "dead_letters_by_reason": {"late": 2, "malformed": 1},
    "windows_out": 4,
    "alerts_by_severity": {"critical": 1234},
    "latency_p50_seconds": 0.0123,
    "latency_p99_seconds": 0.0456,
    "streams": {"readings": STREAM, "metrics": WINDOWS},
}


class Run:
    """The demo as a process."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self.folder = folder
        program = folder / "millrace"
        program.write_text(STAND_IN)
        program.chmod(0o755)
        driver = DRIVER.format(
            tools=str(paths.ROOT / "tools"), folder=str(folder), program=str(program)
        )
        self.child = subprocess.Popen(
            [sys.executable, "-c", driver, "demo", *arguments],
            env={
                **os.environ,
                "STAND_IN_FOLDER": str(folder),
                "STAND_IN_SENT": json.dumps(SENT),
                "STAND_IN_SUMMARY": json.dumps(SUMMARY),
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            text=True,
        )

    def processes(self) -> list[ProcessId]:
        """The broker, the simulator and the job, once all run."""

        def look() -> list[ProcessId] | None:
            files = [self.folder / "demo" / "broker" / "broker.pid"]
            files += [self.folder / f"{role}.pid" for role in ("simulate", "run")]
            if not all(path.exists() and path.read_text() for path in files):
                assert self.child.poll() is None, self.end()
                return None
            found = [ProcessId.of(int(path.read_text().split()[0])) for path in files]
            return [one for one in found if one is not None]

        return wait_for("three processes", look)

    def end(self) -> tuple[int, str, str]:
        out, err = self.child.communicate(timeout=60.0)
        return self.child.returncode, out, err


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    started: list[Run] = []
    yield started
    for run in started:
        if run.child.poll() is None:
            run.child.kill()
            run.child.communicate()


def test_bounded_demo_ends_with_its_summary(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(Run(tmp_path, "--once"))
    code, out, err = runs[0].end()
    assert (code, out.splitlines()) == (
        0,
        [
            "a window",
            "readings in    10",
            "windows out    4",
            "alerts         1,234 critical",
            "dead letters   2 late, 1 malformed",
            "latency        p50 12 ms, p99 46 ms",
            "account        in = counted + filtered + in open windows + dead letters",
            "  readings     10 = 9 + 0 + 0 + 1",
            "  metrics      9 = 6 + 0 + 1 + 2",
        ],
    ), err
    assert not (tmp_path / "demo" / "broker" / "broker.pid").exists()


def test_bounded_demo_fails_by_the_account_or_a_part(tmp_path: Path, runs: list[Run]) -> None:
    streams = {"readings": {**STREAM, "counted": 8}, "metrics": WINDOWS}
    summary = json.dumps({**SUMMARY, "streams": streams})
    runs.append(Run(tmp_path, "--once", STAND_IN_SUMMARY=summary, STAND_IN_EXIT_RUN="3"))
    code, _, err = runs[0].end()
    assert code == 1
    assert "error: stream readings: 10 rows in, 9 accounted for" in err
    assert "error: the job ended with exit code 3" in err


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_everything(
    tmp_path: Path, runs: list[Run], signal_number: signal.Signals
) -> None:
    runs.append(Run(tmp_path))
    children = runs[0].processes()
    assert len(children) == 3
    runs[0].child.send_signal(signal_number)
    code, out, err = runs[0].end()
    assert code == 0, err
    assert "a window" in out
    assert not [one for one in children if one.is_running()]


def test_killed_demo_leaves_no_process(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(Run(tmp_path))
    children = runs[0].processes()
    assert len(children) == 3
    runs[0].child.kill()
    wait_for("end of all", lambda: not any(one.is_running() for one in children), 30.0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"error": "disk full"}, "disk full"),
        ({"lost": 3}, "3 offsets were lost before they were read"),
        ({"readings_in": 9}, "readings: 10 were sent, 9 came in"),
        (
            {"streams": {"readings": {**STREAM, "rows_in": 9, "dead_letters": 0}, "metrics": LATE}},
            "late, future and malformed readings: 3 were sent, 1 came in",
        ),
    ],
)
def test_account_is_held_against_what_was_sent(change: dict[str, Any], problem: str | None) -> None:
    expected = [] if problem is None else [problem]
    assert demo.differences(SMOKE, {**SUMMARY, **change}, SENT) == expected


def test_interrupted_run_is_not_held_against_what_was_sent() -> None:
    assert demo.differences(SMOKE, {**SUMMARY, "readings_in": 9}, None) == []
