"""A container engine: the machine's, or else a Docker daemon of its own, for root."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from devtool import paths
from harness.millrace import Process
from harness.waiting import wait_for

BASE = "debian:bookworm-slim"
MIRROR = "http://deb.debian.org/debian"
# Where the base is made here: certificates that this machine trusts, for registries behind them.
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_SECONDS = 4 * 3600


class Engine:
    """Use as a context. Images of a daemon of its own are kept in .cache, for the next run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = paths.CACHE / "docker"
        self._socket = f"unix://{folder / 'docker.sock'}"
        self._stack = ExitStack()
        self._own = False

    def __enter__(self) -> Self:
        if self.run("info").returncode != 0:
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        if os.geteuid() != 0 or shutil.which("dockerd") is None:
            pytest.skip("no container engine runs, and none can be started")
        self._own = True
        daemon = Process(
            [
                "--data-root", self._root,
                "--exec-root", self._folder / "exec",
                "--host", self._socket,
                "--pidfile", self._folder / "docker.pid",
            ],
            self._folder,
            name="dockerd",
            executable=Path(shutil.which("dockerd") or ""),
        )  # fmt: skip
        self._stack.callback(lambda: daemon.stop(60))

        def answers() -> bool:
            assert daemon.code is None, daemon.output[-4000:]
            return self.run("info").returncode == 0

        wait_for("Docker daemon", answers)
        if self.run("image", "inspect", BASE).returncode != 0:
            self._make_base()

    def _make_base(self) -> None:
        """Debian's own installer makes what the registry would give."""
        if self.run("pull", BASE).returncode == 0:
            return
        tree = self._folder / "base"
        subprocess.run(
            ["debootstrap", "--variant=minbase", "bookworm", str(tree), MIRROR],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        shutil.copy(HOST_CERTIFICATES, tree / "etc" / "certificates-of-host.crt")
        archive = subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE)
        change = "ENV PIP_CERT=/etc/certificates-of-host.crt"
        subprocess.run(
            ["docker", "import", "--change", change, "-", BASE],
            env=self.environment,
            stdin=archive.stdout,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert archive.wait() == 0
        shutil.rmtree(tree)

    @property
    def environment(self) -> dict[str, str]:
        own = {"DOCKER_HOST": self._socket, "DOCKER_BUILDKIT": "0"} if self._own else {}
        return {**os.environ, **own}

    def run(
        self, *words: str | Path, program: str = "docker", seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *(str(word) for word in words)],
            cwd=paths.ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def succeed(self, *words: str | Path, program: str = "docker", seconds: float = 300) -> str:
        result = self.run(*words, program=program, seconds=seconds)
        assert result.returncode == 0, f"{words}:\n{result.stdout[-4000:]}{result.stderr[-4000:]}"
        return result.stdout

    def build(self, file: Path, tag: str, context: Path = paths.ROOT, target: str = "") -> None:
        network = ["--network", "host"] if self._own else []
        chosen = ["--target", target] if target else []
        self.succeed(
            "build", *network, *chosen, "-f", file, "-t", tag, context, seconds=BUILD_SECONDS
        )

    def compose(self, file: Path, *words: str) -> str:
        """The plugin, or Debian's program."""
        plugin = self.run("compose", "version").returncode == 0
        start = ["docker", "compose"] if plugin else ["docker-compose"]
        folder = str(paths.ROOT / "deploy")
        arguments = ["-p", "millrace", "-f", str(file), "--project-directory", folder, *words]
        return self.succeed(*start[1:], *arguments, program=start[0])
