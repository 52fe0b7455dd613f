"""`completion bash`, sourced by bash, with the words that it would be given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import CLEAN, Ask
from cli.fake_api import FakeApi
from harness import millrace

Complete = Callable[..., list[str]]

# The words, the last one being typed; then what bash would offer.
ASK = """
source <("$0" completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_millrace "$0" "${COMP_WORDS[COMP_CWORD]}" ""
for word in "${COMPREPLY[@]}"; do printf '%s\\n' "$word"; done
"""


@pytest.fixture
def complete(api: FakeApi, tmp_path: Path) -> Complete:
    """complete("get", "j"): of `millrace get j<TAB>`."""

    def run(*words: str, server: str | None = None) -> list[str]:
        done = subprocess.run(
            ["bash", "--norc", "-c", ASK, millrace.program(), "millrace", *words],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**CLEAN, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
                 "MILLRACE_SERVER": api.url if server is None else server},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.splitlines()

    return run


def test_the_script_is_bash(ask: Ask) -> None:
    script = ask("completion", "bash")
    assert (script.code, script.stderr) == (0, "")
    checked = subprocess.run(
        ["bash", "-n"], input=script.stdout, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_commands(complete: Complete) -> None:
    assert complete("re") == ["resume", "rescale", "restore"]
    assert {"run", "apply", "get", "savepoint", "completion"} <= set(complete(""))
    assert complete("get", "") == ["jobs", "job", "workers", "savepoints"]
    assert complete("savepoint", "d") == ["delete"]
    assert complete("nothing", "") != []  # an unknown word changes nothing


def test_flags(complete: Complete) -> None:
    assert complete("get", "jobs", "--w") == ["--watch"]
    assert "--parallelism" in complete("rescale", "smoke", "--")
    assert complete("logs", "--le") == ["--level"]
    assert "--watch" not in complete("logs", "--")


def test_values_of_flags(complete: Complete, tmp_path: Path) -> None:
    assert complete("get", "jobs", "-o", "") == ["table", "wide", "json", "yaml", "name"]
    assert complete("get", "jobs", "--output", "j") == ["json"]
    assert complete("get", "jobs", "--output=j") == ["json"]
    assert complete("get", "jobs", "--output", "=", "j") == ["json"]  # as bash splits it
    assert complete("run", "job.yaml", "--log-level", "w") == ["warn"]
    (tmp_path / "ca.pem").write_text("")
    assert complete("get", "jobs", "--ca", "c") == ["ca.pem"]
    assert complete("rescale", "smoke", "--parallelism", "") == []


def test_names_of_jobs_are_asked_for(complete: Complete, api: FakeApi) -> None:
    assert complete("pause", "") == ["smoke", "rig"]
    assert complete("get", "job", "s") == ["smoke"]
    assert complete("logs", "-f", "--tail", "3", "r") == ["rig"]
    assert complete("pause", "smoke", "") == []  # it takes one
    assert api.lines == ["GET /jobs"] * 3


def test_the_server_on_the_line_is_asked(complete: Complete, api: FakeApi) -> None:
    nobody = "http://127.0.0.1:1"
    assert complete("pause", "", server=nobody) == []
    assert complete("pause", "--server", api.url, "s", server=nobody) == ["smoke"]
    split = ["http", ":", "//127.0.0.1", ":", str(api.port)]
    assert complete("pause", "--server", *split, "s", server=nobody) == ["smoke"]
    assert complete("pause", "--server", "=", *split, "s", server=nobody) == ["smoke"]


def test_files_and_savepoints(complete: Complete, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("")
    assert complete("apply", "j") == ["job.yaml"]
    assert complete("apply", "job.yaml", "j") == ["job.yaml"]  # one more
    assert complete("lint", "j") == ["job.yaml"]
    assert complete("lint", "job.yaml", "j") == []
    assert set(complete("savepoint", "list", "")) == {"smoke", "rig", "job.yaml"}
    api.savepoints["smoke"] = {
        name: {"name": name, "state": "complete"} for name in ("before-edit", "other")
    }
    assert complete("savepoint", "delete", "smoke", "b") == ["before-edit"]
    assert complete("restore", "smoke", "--from-savepoint", "") == ["before-edit", "other"]
    assert complete("savepoint", "delete", "job.yaml", "b") == []


def test_what_a_server_says_is_not_run(complete: Complete, api: FakeApi, tmp_path: Path) -> None:
    """`compgen -W` expands its words."""
    api.jobs["$(touch ran)"] = {**api.jobs["smoke"], "name": "$(touch ran)"}
    assert complete("pause", "s") == ["smoke"]
    complete("pause", "")
    assert not (tmp_path / "ran").exists()
