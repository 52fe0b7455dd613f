"""The millrace program as tests see it: started, watched by its output and metrics, ended.

Output goes to files in the test's folder (stdout and stderr apart), so that nothing blocks on a
full pipe and a failed test leaves them to read.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from devtool import paths, processes
from harness.waiting import wait_for

STOP_TIMEOUT_SECONDS = 10.0
HTTP_TIMEOUT_SECONDS = 5.0


def program() -> Path:
    """The program under test: MILLRACE_PROGRAM, or else the release build's."""
    return Path(os.environ.get("MILLRACE_PROGRAM", paths.millrace()))


def crash_program() -> Path:
    """The same program, which ends itself at a named place (engine/env/crash_point.h)."""
    return program().with_name("millrace-crash")


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str


def run(
    arguments: Sequence[str | Path],
    *,
    timeout_seconds: float = 60.0,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Runs a command that ends by itself; its failure is the caller's to judge."""
    result = subprocess.run(
        [str(program()), *(str(word) for word in arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    return Finished(result.returncode, result.stdout, result.stderr)


class Process:
    """A running millrace command. Use as a context: it is ended with the block."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        *,
        name: str = "millrace",
        env: Mapping[str, str] | None = None,
        executable: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.stdout_path = folder / f"{name}.out"
        self.stderr_path = folder / f"{name}.err"
        with self.stdout_path.open("wb") as out, self.stderr_path.open("wb") as err:
            self._child = subprocess.Popen(
                [str(executable or program()), *(str(word) for word in arguments)],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=processes.end_with_parent,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def code(self) -> int | None:
        """The exit code (negative: a signal's), None while it runs."""
        return self._child.poll()

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def resident_bytes(self) -> int:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait_for_line(self, pattern: str, timeout_seconds: float = 30.0) -> re.Match[str]:
        """Until a line of either stream matches; fails at once when the process has ended."""
        expression = re.compile(pattern, re.M)

        def look() -> re.Match[str] | None:
            ended = self.code is not None
            found = expression.search(self.output)
            assert found or not ended, (
                f"exit code {self.code} before a line /{pattern}/:\n{self.output[-4000:]}"
            )
            return found

        return wait_for(f"line /{pattern}/", look, timeout_seconds)

    def wait(self, timeout_seconds: float = 60.0) -> int:
        """Until it ends by itself; its exit code."""
        try:
            return self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"no end after {timeout_seconds:g} s:\n{self.output[-4000:]}"
            ) from None

    def send(self, signal_number: int) -> None:
        self._child.send_signal(signal_number)

    def stop(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
        """SIGTERM, and the exit code; fails when it does not end in time."""
        self.send(signal.SIGTERM)
        return self.wait(timeout_seconds)

    def kill(self) -> None:
        """kill -9."""
        self._child.kill()
        self._child.wait()


class Job(Process):
    """`millrace run JOB` with metrics on a port of its own and a summary at its end."""

    def __init__(
        self,
        job: Path,
        folder: Path,
        *,
        brokers: str | None = None,
        arguments: Sequence[str | Path] = (),
        name: str = "run",
        env: Mapping[str, str] | None = None,
        executable: Path | None = None,
    ) -> None:
        self.metrics_port = processes.free_port()
        self.summary_path = folder / f"{name}.summary.json"
        self.data_dir = folder / "data"
        command: list[str | Path] = [
            "run",
            job,
            "--metrics-port",
            str(self.metrics_port),
            "--data-dir",
            self.data_dir,
            "--summary",
            self.summary_path,
        ]
        if brokers is not None:
            command += ["--brokers", brokers]
        super().__init__([*command, *arguments], folder, name=name, env=env, executable=executable)

    def summary(self) -> dict[str, Any]:
        """What it wrote at its end."""
        loaded: dict[str, Any] = json.loads(self.summary_path.read_text())
        return loaded

    def get(self, path: str) -> requests.Response | None:
        """GET on the metrics port; None while nothing listens there, and when the process dies
        with its answer half sent (nothing else may cut an answer short)."""
        try:
            return requests.get(
                f"http://127.0.0.1:{self.metrics_port}{path}", timeout=HTTP_TIMEOUT_SECONDS
            )
        except requests.ConnectionError:
            return None
        except requests.exceptions.ChunkedEncodingError:
            # Its sockets close a moment before the process can be waited for.
            self.wait(HTTP_TIMEOUT_SECONDS)
            return None

    def metrics(self) -> Metrics:
        response = self.get("/metrics")
        return Metrics(response.text if response is not None and response.ok else "")

    def wait_for_metric(
        self, name: str, at_least: float, timeout_seconds: float = 30.0, **labels: str
    ) -> float:
        """Until the sum of a metric's samples with these labels reaches a value."""

        def look() -> tuple[float] | None:
            assert self.code is None, f"exit code {self.code}:\n{self.output[-4000:]}"
            value = self.metrics().total(name, **labels)
            return (value,) if value is not None and value >= at_least else None

        return wait_for(f"{name}{labels or ''} >= {at_least:g}", look, timeout_seconds)[0]


class Metrics:
    """One scrape in Prometheus' text format."""

    SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text: str) -> None:
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            found = self.SAMPLE.match(line)
            if found:
                labels = dict(self.LABEL.findall(found[2] or ""))
                self.samples.append((found[1], labels, float(found[3])))

    def total(self, name: str, **labels: str) -> float | None:
        """The sum over the samples that have these labels, None if there are none."""
        values = [
            value
            for sample, has, value in self.samples
            if sample == name and labels.items() <= has.items()
        ]
        return sum(values) if values else None


def documented_metrics() -> dict[str, set[str]]:
    """Names and labels, as the tables of docs/metrics.md have them."""
    found: dict[str, set[str]] = {}
    for line in (paths.ROOT / "docs" / "metrics.md").read_text().splitlines():
        if not line.startswith("| `millrace_"):
            continue
        for name, labels in re.findall(r"`(millrace_\w+)(?:\{([\w,]*)\})?`", line.split("|")[1]):
            found[name] = set(filter(None, labels.split(",")))
    return found
