"""A cluster of real processes: a coordinator, workers, and its admin API."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from devtool import processes
from harness.millrace import Metrics, Process, program
from harness.proxy import Proxy
from harness.waiting import wait_for

HTTP_TIMEOUT_SECONDS = 5.0
# Two coordinators may run: one that leads, and one that stands by.
PLACES = 2
CLUSTER = "test"


def armed_at(crash_at: str | None, hold_at: str | None) -> dict[str, str]:
    """What tells a program where to end itself, or to hold a thread."""
    given = {"MILLRACE_CRASH_AT": crash_at, "MILLRACE_HOLD_AT": hold_at}
    return {name: place for name, place in given.items() if place is not None}


class WorkerLinks:
    """The proxies through which a worker dials the coordinators, and is dialed by the workers
    whose names are less. They outlive it: one that comes again under its name has the same."""

    def __init__(self, coordinator_ports: list[int]) -> None:
        self.listen_port = processes.free_port()
        self.coordinators = [Proxy(port) for port in coordinator_ports]
        self.exchange = Proxy(self.listen_port)

    @property
    def all(self) -> list[Proxy]:
        return [*self.coordinators, self.exchange]


@dataclass(frozen=True)
class NodeTls:
    """A certificate for every node of the fleet; it is its own CA."""

    certificate: Path
    key: Path

    @staticmethod
    def make(folder: Path) -> NodeTls:
        made = NodeTls(folder / "node.pem", folder / "node.key")
        names = ",".join(f"DNS:{role}.{CLUSTER}.millrace" for role in ("coordinator", "worker"))
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "2", "-subj", "/CN=nodes", "-addext", f"subjectAltName={names}",
                "-keyout", made.key, "-out", made.certificate,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return made


class Fleet:
    """Use as a context: every process is ended with the block. Processes share `folder`.

    `place`: where the coordinator is that tests ask (0 or 1), which has its own ports. `tls`:
    between nodes; without it plaintext.
    """

    def __init__(
        self, folder: Path, brokers: str, tls: NodeTls | None = None, cluster: str = CLUSTER
    ) -> None:
        self.folder = folder
        self.cluster = cluster
        self._tls = tls
        self.brokers = brokers
        self.place = 0
        self.ports = [processes.free_port() for _ in range(PLACES)]
        self.api_ports = [processes.free_port() for _ in range(PLACES)]
        self.workers: dict[str, Process] = {}
        self.links: dict[str, WorkerLinks] = {}  # of workers that are proxied
        self._coordinators: list[Process] = []
        self._lives = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers.values(), *self._coordinators]:
            process.__exit__()
        for links in self.links.values():
            for proxy in links.all:
                proxy.close()

    @property
    def coordinators(self) -> list[Process]:
        """In the order in which they were started."""
        return list(self._coordinators)

    @property
    def coordinator(self) -> Process:
        return self._coordinators[-1]

    def start_coordinator(
        self,
        *more: str | Path,
        place: int = 0,
        host: str = "127.0.0.1",
        crash_at: str | None = None,
        hold_at: str | None = None,
    ) -> Process:
        """`crash_at`: it ends itself there; `hold_at`: a thread of it stops there
        (engine/env/crash_point.h)."""
        self._lives += 1
        armed = armed_at(crash_at, hold_at)
        process = Process(
            [
                "--cluster", self.cluster,
                "--name", f"coordinator-{self._lives}",
                "--listen", f"127.0.0.1:{self.ports[place]}",
                "--api", f"{host}:{self.api_ports[place]}",
                "--metrics-port", "0",
                *self._shared(),
                *more,
            ],
            self.folder,
            name=f"coordinator-{self._lives}",
            env=armed or None,
            executable=program().with_name(f"millrace-coordinator{'-crash' if armed else ''}"),
        )  # fmt: skip
        self._coordinators.append(process)
        return process

    def start_worker(
        self,
        name: str,
        slots: int = 2,
        *more: str | Path,
        proxied: bool = False,
        hold_at: str | None = None,
    ) -> Process:
        """`proxied`: by `links[name]`. `hold_at`: a thread of it stops there."""
        self._lives += 1
        armed = armed_at(None, hold_at)
        coordinators = [f"127.0.0.1:{port}" for port in self.ports]
        listen = f"127.0.0.1:{processes.free_port()}"
        advertise = listen
        if proxied:
            links = self.links.get(name) or WorkerLinks(self.ports)
            self.links[name] = links
            coordinators = [proxy.address for proxy in links.coordinators]
            listen = f"127.0.0.1:{links.listen_port}"
            advertise = links.exchange.address
        process = Process(
            [
                "--cluster", self.cluster,
                "--name", name,
                "--coordinator", ",".join(coordinators),
                "--listen", listen,
                "--advertise", advertise,
                "--metrics-port", "0",
                "--slots", str(slots),
                "--local-dir", self.folder / f"local-{name}",
                *self._shared(),
                *more,
            ],
            self.folder,
            name=f"{name}-{self._lives}",
            env=armed or None,
            executable=program().with_name(f"millrace-worker{'-crash' if armed else ''}"),
        )  # fmt: skip
        self.workers[name] = process
        return process

    def _shared(self) -> list[str | Path]:
        flags: list[str | Path] = [
            "--storage", self.folder / "storage",
            "--data-dir", self.folder / "data",
            "--brokers", self.brokers,
        ]  # fmt: skip
        if self._tls is not None:
            certificate = self._tls.certificate
            flags += [
                "--tls-ca", certificate, "--tls-cert", certificate, "--tls-key", self._tls.key,
            ]  # fmt: skip
        return flags

    # ---- the operating ports

    def metrics(self, process: Process) -> Metrics:
        """One scrape of a coordinator or worker that is up."""
        address = process.wait_for_line(r"metrics=(http://\S+)")[1]
        answer = requests.get(address, timeout=HTTP_TIMEOUT_SECONDS)
        assert answer.ok, answer.text
        return Metrics(answer.text)

    # ---- the admin API

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_ports[self.place]}"

    def request(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method,
            f"{self.api_url}/api/v1/{path}",
            json=body,
            timeout=HTTP_TIMEOUT_SECONDS,
        )

    def worker_names(self) -> set[str]:
        """Those that the coordinator knows."""
        return {one["name"] for one in self.request("GET", "workers").json().get("workers", [])}

    def wait_for_workers(self, count: int) -> None:
        wait_for(f"{count} workers", lambda: len(self.worker_names()) == count)

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
        except (requests.ConnectionError, requests.Timeout):
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
