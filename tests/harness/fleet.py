"""A cluster of real processes: a coordinator, workers, and its admin API."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import requests

from devtool import processes
from harness.millrace import Metrics, Process, program
from harness.waiting import wait_for

HTTP_TIMEOUT_SECONDS = 5.0


class Fleet:
    """Use as a context: every process is ended with the block. Processes share `folder`."""

    def __init__(self, folder: Path, brokers: str) -> None:
        self.folder = folder
        self.brokers = brokers
        self.port = processes.free_port()
        self.api_port = processes.free_port()
        self.workers: dict[str, Process] = {}
        self._coordinators: list[Process] = []
        self._lives = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers.values(), *self._coordinators]:
            process.__exit__()

    @property
    def coordinator(self) -> Process:
        return self._coordinators[-1]

    def start_coordinator(self, *more: str | Path, host: str = "127.0.0.1") -> Process:
        self._lives += 1
        process = Process(
            [
                "--cluster", "test",
                "--name", f"coordinator-{self._lives}",
                "--listen", f"127.0.0.1:{self.port}",
                "--api", f"{host}:{self.api_port}",
                "--metrics-port", "0",
                *self._shared(),
                *more,
            ],
            self.folder,
            name=f"coordinator-{self._lives}",
            executable=program().with_name("millrace-coordinator"),
        )  # fmt: skip
        self._coordinators.append(process)
        return process

    def start_worker(self, name: str, slots: int = 2) -> Process:
        self._lives += 1
        process = Process(
            [
                "--cluster", "test",
                "--name", name,
                "--coordinator", f"127.0.0.1:{self.port}",
                "--listen", f"127.0.0.1:{processes.free_port()}",
                "--metrics-port", "0",
                "--slots", str(slots),
                "--local-dir", self.folder / f"local-{name}",
                *self._shared(),
            ],
            self.folder,
            name=f"{name}-{self._lives}",
            executable=program().with_name("millrace-worker"),
        )  # fmt: skip
        self.workers[name] = process
        return process

    def _shared(self) -> list[str | Path]:
        return [
            "--storage", self.folder / "storage",
            "--data-dir", self.folder / "data",
            "--brokers", self.brokers,
        ]  # fmt: skip

    # ---- the operating ports

    def metrics(self, process: Process) -> Metrics:
        """One scrape of a coordinator or worker that is up."""
        address = process.wait_for_line(r"metrics=(http://\S+)")[1]
        answer = requests.get(address, timeout=HTTP_TIMEOUT_SECONDS)
        assert answer.ok, answer.text
        return Metrics(answer.text)

    # ---- the admin API

    def request(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method,
            f"http://127.0.0.1:{self.api_port}/api/v1/{path}",
            json=body,
            timeout=HTTP_TIMEOUT_SECONDS,
        )

    def apply(self, file: Path) -> dict[str, Any]:
        body = {"file_name": file.name, "file": file.read_text()}
        answer = self.request("POST", "jobs", body)
        assert answer.ok, answer.text
        loaded: dict[str, Any] = answer.json()
        return loaded

    def job(self, name: str) -> dict[str, Any] | None:
        """None while no coordinator answers, or it has no such job."""
        try:
            answer = self.request("GET", f"jobs/{name}")
        except requests.ConnectionError:
            return None
        if not answer.ok:
            return None
        loaded: dict[str, Any] = answer.json()
        return loaded

    def wait_for_job(
        self, name: str, state: str, timeout_seconds: float = 30.0, **fields: Any
    ) -> dict[str, Any]:
        """Until the job is in the state, and these fields have at least these values."""
        last: dict[str, Any] | None = None

        def look() -> dict[str, Any] | None:
            nonlocal last
            last = self.job(name)
            if last is None or last["state"] != state:
                return None
            there = all(int(last[field]) >= value for field, value in fields.items())
            return last if there else None

        try:
            return wait_for(f"job {name} {state} {fields or ''}", look, timeout_seconds)
        except AssertionError as error:
            logs = "".join(
                f"\n--- {process.stderr_path.name}\n{process.stderr[-3000:]}"
                for process in [*self._coordinators, *self.workers.values()]
            )
            raise AssertionError(f"{error}\nlast: {last}{logs}") from None
