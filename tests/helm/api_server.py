"""A real Kubernetes API server and its etcd on loopback, without controllers and kubelets: it
validates, admits and stores; nothing is run."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from devtool import paths, processes
from harness.millrace import Process
from harness.waiting import wait_for

START_SECONDS = 60.0
TOKEN = "the-administrator-of-this-test"


class ApiServer:
    """Use as a context: it answers inside of the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = processes.free_port()
        self._stack = ExitStack()
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self) -> Self:
        etcd, peers = processes.free_port(), processes.free_port()
        with self._stack:
            self._start(
                paths.API_SERVER / "etcd" / "etcd",
                "--data-dir", self._folder / "etcd",
                "--listen-client-urls", f"http://127.0.0.1:{etcd}",
                "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
                "--listen-peer-urls", f"http://127.0.0.1:{peers}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peers}",
                "--initial-cluster", f"default=http://127.0.0.1:{peers}",
                "--unsafe-no-fsync",
            )  # fmt: skip
            key = self._folder / "accounts.key"
            subprocess.run(
                ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
            )
            tokens = self._folder / "tokens.csv"
            tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
            server = self._start(
                paths.API_SERVER / "bin" / "kube-apiserver",
                f"--etcd-servers=http://127.0.0.1:{etcd}",
                "--bind-address=127.0.0.1",
                "--advertise-address=10.255.255.1",
                "--endpoint-reconciler-type=none",
                f"--secure-port={self.port}",
                f"--cert-dir={self._folder / 'certificates'}",
                "--service-cluster-ip-range=10.254.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--authorization-mode=RBAC",
                f"--token-auth-file={tokens}",
            )
            self._write_kubeconfig()

            def ready() -> bool:
                assert server.code is None, server.output[-4000:]
                return self.run("kubectl", "get", "--raw", "/readyz").returncode == 0

            wait_for("Kubernetes API server", ready, START_SECONDS)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def ca(self) -> str:
        """It signed its certificate itself, for 127.0.0.1 among others."""
        return (self._folder / "certificates" / "apiserver.crt").read_text()

    def _start(self, program: Path, *arguments: str | Path) -> Process:
        name = program.name
        process = Process(list(arguments), self._folder, name=name, executable=program)
        return self._stack.enter_context(process)

    def _write_kubeconfig(self) -> None:
        one = {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": one}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(json.dumps(config))

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{paths.HELM}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.kubeconfig),
            "HELM_CACHE_HOME": str(self._folder / "helm"),
        }

    def run(
        self, *command: str | Path, folder: Path | None = None, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """helm and kubectl are the project's."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=folder or paths.ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def succeed(self, *command: str | Path, folder: Path | None = None, given: str = "") -> str:
        result = self.run(*command, folder=folder, given=given)
        assert result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}"
        return result.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self.succeed("kubectl", "get", "-o", "json", *words))
