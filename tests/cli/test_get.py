"""`get`: tables, other forms, watching."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.conftest import CLEAN, Ask
from cli.fake_api import FakeApi, job_status, worker_status
from harness import millrace
from harness.millrace import Process
from harness.waiting import wait_for


def test_jobs_are_a_table(ask: Ask) -> None:
    got = ask("get", "jobs")
    assert got.code == 0
    assert got.stderr == ""
    assert got.stdout == (
        "NAME   STATE    DESIRED  PAR   LAG  WM-DELAY  LAST-CKPT  RESTARTS   AGE\n"
        "smoke  running  running    3  1200       12s       0.8s         0  3d4h\n"
        "rig    paused   paused     0     -         -          -         0    5m\n"
    )


def test_wide_says_where_and_why(ask: Ask) -> None:
    header, smoke, _ = ask("get", "jobs", "-o", "wide").stdout.splitlines()
    assert header.endswith("ATTEMPT  EPOCH  STATE-SIZE     IN  OUT  UNPUBLISHED  SLOTS"
                           "                   WHY")  # fmt: skip
    assert smoke.endswith("2 worker-0, 1 worker-1  all of it runs")


def test_one_job(ask: Ask) -> None:
    assert ask("get", "job", "rig").stdout.splitlines()[1].split()[:2] == ["rig", "paused"]
    gone = ask("get", "job", "rigg")
    assert (gone.code, gone.stdout) == (3, "")
    assert gone.stderr == "error: there is no job 'rigg'\n"


def test_names_are_a_line_each(ask: Ask) -> None:
    assert ask("get", "jobs", "-o", "name").stdout == "smoke\nrig\n"
    assert ask("get", "job", "rig", "-o", "name").stdout == "rig\n"
    assert ask("get", "workers", "-o", "name").stdout == "worker-0\n"


def test_json_is_the_api_s(ask: Ask, api: FakeApi) -> None:
    listed = json.loads(ask("get", "jobs", "-o", "json").stdout)
    assert [job["name"] for job in listed["jobs"]] == ["smoke", "rig"]
    assert json.loads(ask("get", "job", "smoke", "-o", "json").stdout) == api.jobs["smoke"]


def test_yaml(ask: Ask) -> None:
    lines = ask("get", "job", "smoke", "-o", "yaml").stdout.splitlines()
    assert lines[:3] == ["name: smoke", "state: running", "desired: running"]
    assert 'why: "all of it runs"' in lines
    assert "lag_records: 1200" in lines
    assert "watermark_delay_seconds: 12.5" in lines
    assert lines[lines.index("slot_workers:") + 1] == "  - worker-0"
    assert "notes: []" in lines


def test_workers(ask: Ask) -> None:
    assert ask("get", "workers").stdout == (
        "NAME      STATE   SLOTS  JOBS  BEAT  BUILD\nworker-0  active      4     1  0.3s  0.1.0\n"
    )


def test_savepoints(ask: Ask, api: FakeApi) -> None:
    none = ask("get", "savepoints", "smoke")
    assert (none.code, none.stdout, none.stderr) == (0, "", "there are no savepoints\n")
    api.savepoints["smoke"] = {
        "a": {"name": "a", "state": "failed", "why": "disk_full", "epoch": "0", "created": "",
              "generation": ""},
    }  # fmt: skip
    assert ask("get", "savepoints", "smoke").stdout.splitlines()[1].split() == [
        "a", "failed", "-", "-", "-",
    ]  # fmt: skip
    assert (
        ask("get", "savepoints", "smoke", "-o", "wide").stdout.splitlines()[1].endswith("disk_full")
    )


def test_nothing_is_no_output(ask: Ask, api: FakeApi) -> None:
    api.jobs.clear()
    api.workers.clear()
    assert ask("get", "jobs").stderr == "there are no jobs\n"
    assert ask("get", "workers").stdout == ""
    assert ask("get", "jobs", "-o", "name").stdout == ""
    assert json.loads(ask("get", "jobs", "-o", "json").stdout) == {"jobs": []}


def test_what_a_server_says_does_not_reach_the_terminal_raw(ask: Ask, api: FakeApi) -> None:
    api.jobs["smoke"]["state"] = "\x1b[2Jrunning\nfake  row"
    got = ask("get", "jobs", "-o", "wide")
    assert "\x1b" not in got.stdout
    assert len(got.stdout.splitlines()) == 3
    assert "\\x1b[2Jrunning\\nfake  row" in got.stdout


def test_a_full_disk_is_an_error(api: FakeApi) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [millrace.program(), "get", "jobs", "--server", api.url],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


# ---- watching


@pytest.fixture
def watch(api: FakeApi, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*words: str) -> Process:
        process = Process(
            words, tmp_path, name=f"watch-{len(started)}",
            env={**CLEAN, "MILLRACE_SERVER": api.url},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.__exit__()


def lines_of(process: Process, count: int) -> list[str]:
    wait_for(
        f"{count} lines",
        lambda: process.code is not None or len(process.stdout.splitlines()) >= count,
    )
    return process.stdout.splitlines()


def polls(api: FakeApi) -> int:
    return len(api.lines)


def test_watching_shows_rows_that_change(watch: Callable[..., Process], api: FakeApi) -> None:
    process = watch("get", "jobs", "-w")
    assert [line.split()[0] for line in lines_of(process, 3)] == ["NAME", "smoke", "rig"]
    api.jobs["smoke"].update(lag_records="77777", seconds_since_checkpoint=9)
    asked = polls(api)
    wait_for("two more polls", lambda: polls(api) >= asked + 2)
    assert len(process.stdout.splitlines()) == 3  # measurements alone are no change
    api.jobs["smoke"].update(state="stopping")
    assert lines_of(process, 4)[3].split()[:5] == ["smoke", "stopping", "running", "3", "77777"]
    api.jobs["hydraulics"] = job_status("hydraulics", "waiting")
    assert lines_of(process, 5)[4].split()[:2] == ["hydraulics", "waiting"]
    del api.jobs["rig"]
    assert lines_of(process, 6)[5].split() == ["rig", "deleted", "-", "-", "-", "-", "-", "-", "-"]
    # What has not changed is not sent again.
    assert any("if-none-match" in request.headers for request in api.requests)


def test_watching_as_json_is_an_object_a_line(watch: Callable[..., Process], api: FakeApi) -> None:
    process = watch("get", "job", "smoke", "-w", "-o", "json")
    assert json.loads(lines_of(process, 1)[0])["state"] == "running"
    api.jobs["smoke"].update(state="failed")
    assert json.loads(lines_of(process, 2)[1])["state"] == "failed"
    del api.jobs["smoke"]
    assert process.wait() == 3
    assert process.stderr == "error: there is no job 'smoke'\n"


def test_watching_outlasts_a_coordinator_that_is_away(
    watch: Callable[..., Process], api: FakeApi
) -> None:
    process = watch("get", "workers", "-w", "--timeout", "500ms")
    lines_of(process, 2)
    api.intercept = lambda _: b""  # closes the connection
    process.wait_for_line("trying again")
    api.workers["worker-1"] = worker_status("worker-1", state="leaving")
    api.intercept = lambda _: None
    assert lines_of(process, 3)[2].split()[:2] == ["worker-1", "leaving"]
    assert process.stderr.count("trying again") == 1
    assert process.stderr.endswith("a coordinator answers again\n")


def test_watching_ends_where_nobody_reads(api: FakeApi) -> None:
    """`... -w | head -1`: the next row that is written ends it, as SIGPIPE does."""
    child = subprocess.Popen(
        [millrace.program(), "get", "jobs", "-w", "--server", api.url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None and child.stderr is not None
    assert child.stdout.readline().startswith("NAME")
    child.stdout.close()
    api.jobs["smoke"].update(state="stopping")
    assert child.wait(10) == -13
    assert child.stderr.read() == ""
    child.stderr.close()
