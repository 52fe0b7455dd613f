"""Processes told apart by id and start time, so that a reused id is never taken for ours."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FIRST_PORT = 10_240  # above those that servers have by custom

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ProcessId:
    pid: int
    start_ticks: int  # since boot, from /proc/PID/stat

    @staticmethod
    def of(pid: int) -> ProcessId | None:
        """The process with this id, None if there is none or it is only waiting to be reaped."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        return None if fields[0] == "Z" else ProcessId(pid, int(fields[19]))

    def is_running(self) -> bool:
        return ProcessId.of(self.pid) == self

    def send(self, signal_number: int) -> None:
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def save(self, path: Path) -> None:
        path.write_text(f"{self.pid} {self.start_ticks}\n")

    @staticmethod
    def load(path: Path) -> ProcessId | None:
        """What `save` wrote, None if the file is absent, damaged, or its process is gone."""
        try:
            pid, start_ticks = (int(word) for word in path.read_text().split())
        except (OSError, ValueError):
            return None
        saved = ProcessId(pid, start_ticks)
        return saved if saved.is_running() else None


def wait_until(
    condition: Callable[[], bool], timeout_seconds: float, interval_seconds: float = 0.02
) -> bool:
    """Whether the condition became true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_seconds)
    return True


def end_with_parent() -> None:
    """For `preexec_fn`: the child is terminated when the process that started it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago, and is none that the system gives to
    connections: a process that is started again finds it free as well."""
    while True:
        port = random.SystemRandom().randrange(FIRST_PORT, _first_port_of_connections())
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _first_port_of_connections() -> int:
    """Where few are left below it, those of connections are chosen, too."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return first if first >= FIRST_PORT + 1000 else 65_536


def is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
