"""A disk fills while a job runs; with space, the next start goes on where it was."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.case import Case, Expected
from harness.millrace import Job

DISK = "32m"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Takes all the space that is left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("what", ["state", "files"])
def test_the_disk_is_full(what: str, case: Case, expected: Expected, tmp_path: Path) -> None:
    # Of state and files, the one is on the small disk and the other is not.
    disk = tmp_path / "small" if what == "state" else case.data_dir
    state = disk if what == "state" else tmp_path / "state"
    case.arguments = ["--state-dir", str(state)]
    with small_disk(disk):
        for _ in range(2):
            with case.start() as job:
                fail_when_full(case, job, disk / "ballast")
        case.check(case.finish(), expected)


def fail_when_full(case: Case, job: Job, ballast: Path) -> None:
    """Runs for some epochs, then has no more space, while input goes on."""
    case.run_epochs(job, 4)
    fill(ballast)
    case.send_by_epoch(job, lambda _: job.code is not None, "the end")
    ballast.unlink()
    assert job.code == 1, job.output[-4000:]
    assert "code=disk_full" in job.stderr
