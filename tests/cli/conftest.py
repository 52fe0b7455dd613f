"""The fake API, and the program asked against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.fake_api import FakeApi, job_status, worker_status
from harness import millrace
from harness.millrace import Finished

# What a shell may have set must not reach the program.
CLEAN = {"MILLRACE_SERVER": "", "MILLRACE_TOKEN_FILE": "", "MILLRACE_CA": ""}

Ask = Callable[..., Finished]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A cluster with two jobs and a worker."""
    with FakeApi() as running:
        running.jobs["smoke"] = job_status("smoke")
        running.jobs["rig"] = job_status(
            "rig", "paused", desired="paused", parallelism=0, slot_workers=[], lag_records="-1",
            watermark_delay_seconds=-1, seconds_since_checkpoint=-1, why="paused", age="5m",
        )  # fmt: skip
        running.workers["worker-0"] = worker_status("worker-0")
        yield running


@pytest.fixture
def ask(api: FakeApi, tmp_path: Path) -> Ask:
    """ask("get", "jobs"): the program, told of the fake by its environment."""

    def run(*words: str | Path, env: dict[str, str] | None = None) -> Finished:
        return millrace.run(
            words, cwd=tmp_path, env={**CLEAN, "MILLRACE_SERVER": api.url, **(env or {})}
        )

    return run
