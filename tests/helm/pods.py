"""The chart's pods without Kubernetes: the command, arguments, environment, volumes, user,
read-only root and probes that a StatefulSet says, as processes of this machine.

A pod has a mount namespace: the installed programs in /usr/local, its volumes under /srv, names of
the other pods in /etc/hosts, everything else read-only; as root also the user, groups and (no)
capabilities of its security context. It has no network of its own but an address of loopback, which
stands for 0.0.0.0 in its arguments; so all pods have the ports that the chart says.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import requests

from harness.millrace import HTTP_TIMEOUT_SECONDS, Process
from helm.chart import NAMESPACE, RELEASE, Object, Rendered

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass
class Site:
    """What pods share: where their volumes are, and who has which address."""

    folder: Path
    programs: Path  # an installed tree: bin, lib, share
    secrets: dict[str, dict[str, str]]  # Secret -> key -> content
    environment: dict[str, str] = field(default_factory=dict)  # of Kubernetes, in every pod
    service_account: dict[str, str] = field(default_factory=dict)  # file -> content
    addresses: dict[str, str] = field(default_factory=dict)  # pod -> address

    def __post_init__(self) -> None:
        # Of this process alone: other runs have other addresses.
        self._network = f"127.{1 + os.getpid() % 250}.{1 + os.getpid() // 250 % 250}"

    def address(self, pod: str) -> str:
        return self.addresses.setdefault(pod, f"{self._network}.{len(self.addresses) + 1}")

    def hosts(self) -> Path:
        """As cluster DNS has it: POD.SERVICE, where a pod's service has the name of its set."""
        file = self.folder / "hosts"
        lines = ["127.0.0.1 localhost"]
        for pod, address in self.addresses.items():
            lines.append(f"{address} {pod} {pod}.{pod.rpartition('-')[0]}")
        file.write_text("\n".join(lines) + "\n")
        return file

    def volume(self, name: str) -> Path:
        """A folder that users of the pods' group may write to, as fsGroup makes it."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir(parents=True)
            if os.geteuid() == 0:
                os.chown(folder, 0, 65534)
            folder.chmod(0o2775)
        return folder

    def files(self, name: str, content: dict[str, str], mode: int) -> Path:
        folder = self.volume(name)
        for key, text in content.items():
            file = folder / key
            file.write_text(text)
            if os.geteuid() == 0:
                os.chown(file, 0, 65534)
            file.chmod(mode)
        return folder


class Pod:
    """One pod of a StatefulSet of the chart, started and stopped as a kubelet would."""

    def __init__(self, site: Site, rendered: Rendered, component: str, index: int) -> None:
        self.name = f"{RELEASE}-millrace-{component}-{index}"
        self.address = site.address(self.name)
        self._site = site
        self._set = rendered.find("StatefulSet", f"{RELEASE}-millrace-{component}")["spec"]
        self._spec: Object = self._set["template"]["spec"]
        (self._container,) = self._spec["containers"]
        self.grace_seconds = float(self._spec["terminationGracePeriodSeconds"])
        self._lives = 0
        self._process: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.__exit__()

    @property
    def process(self) -> Process:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    def command(self, without: set[str]) -> list[str]:
        """The container's command and arguments, as its process gets them."""
        environment = self.environment()
        words = [*self._container["command"]]
        for word in self._container["args"]:
            if word.removeprefix("--").partition("=")[0] not in without:
                # Kubernetes leaves a name that it does not know as it stands.
                expanded = re.sub(
                    r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), word
                )
                words.append(expanded.replace("=0.0.0.0", f"={self.address}"))
        return words

    def environment(self) -> dict[str, str]:
        found = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOSTNAME": self.name}
        found |= self._site.environment
        for one in self._container["env"]:
            source = one.get("valueFrom", {})
            if "fieldRef" in source:
                fields = {"metadata.name": self.name, "metadata.namespace": NAMESPACE}
                found[one["name"]] = fields[source["fieldRef"]["fieldPath"]]
            elif "resourceFieldRef" in source:
                found[one["name"]] = self._resource(source["resourceFieldRef"]["resource"])
            else:
                found[one["name"]] = one["value"]
        return found

    def _resource(self, path: str) -> str:
        """Rounded up to whole units, as the downward API does."""
        kind, _, name = path.partition(".")
        value = str(self._container["resources"][kind][name])
        number = float(value[:-1]) / 1000 if value.endswith("m") else float(value)
        return str(math.ceil(number))

    def start(self, without: set[str] | None = None, instead: list[str] | None = None) -> Process:
        """The container's process, or another command in its place."""
        self._lives += 1
        words = instead or self.command(without or set())
        self._process = Process(
            ["--mount", "--propagation", "private", *self._as_root(), "bash", "-ec",
             self._script(words)],
            self._site.folder / "logs",
            name=f"{self.name}-{self._lives}",
            executable=Path("/usr/bin/unshare"),
        )  # fmt: skip
        return self._process

    @staticmethod
    def _as_root() -> list[str]:
        return [] if os.geteuid() == 0 else ["--map-root-user"]

    def _script(self, words: list[str]) -> str:
        lines = [
            "mount -t tmpfs tmpfs /srv",
            "mount -t tmpfs tmpfs /run",
            f"mount --bind {self._site.hosts()} /etc/hosts",
            f"mount --bind {self._site.programs} /usr/local",
        ]
        read_only = ["/", "/srv", "/run", "/usr/local"]
        for path, folder, writable in self._mounts():
            lines.append(f"mkdir -p {path} && mount --bind {folder} {path}")
            if not writable:
                read_only.append(path)
        assert self._container["securityContext"]["readOnlyRootFilesystem"] is True
        lines += [f"mount -o remount,bind,ro {path}" for path in read_only]
        variables = [f"{name}={value}" for name, value in self.environment().items()]
        start = [*self._privileges(), "env", "-i", "-C", "/", *variables, *words]
        return "\n".join([*lines, "exec " + shlex.join(start)])

    def _mounts(self) -> list[tuple[str, Path, bool]]:
        """Path, folder of this machine, whether it may be written."""
        volumes = {one["name"]: one for one in self._spec["volumes"]}
        found = []
        for mount in self._container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                mode = volume["secret"]["defaultMode"]
                folder = self._site.files(f"secret-{name}", self._site.secrets[name], mode)
            elif "persistentVolumeClaim" in volume:
                folder = self._site.volume(volume["persistentVolumeClaim"]["claimName"])
            else:
                assert "emptyDir" in volume, volume
                folder = self._site.volume(f"{self.name}-{mount['name']}")
            found.append((mount["mountPath"], folder, not mount.get("readOnly", False)))
        if self._spec["automountServiceAccountToken"] and self._site.service_account:
            account = self._site.files("service-account", self._site.service_account, 0o440)
            found.append((SERVICE_ACCOUNT, account, False))
        return found

    def _privileges(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        context = self._spec["securityContext"]
        assert self._container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        return [
            "setpriv", "--pdeathsig", "TERM", "--no-new-privs",
            "--reuid", str(context["runAsUser"]), "--regid", str(context["runAsGroup"]),
            "--groups", str(context["fsGroup"]), "--inh-caps", "-all", "--bounding-set", "-all",
        ]  # fmt: skip

    def probe(self, name: str) -> int | None:
        """The status that a probe gets; None where nothing answers."""
        get = self._container[f"{name}Probe"]["httpGet"]
        ports = {one["name"]: one["containerPort"] for one in self._container["ports"]}
        url = f"http://{self.address}:{ports[get['port']]}{get['path']}"
        try:
            return int(requests.get(url, timeout=HTTP_TIMEOUT_SECONDS).status_code)
        except requests.ConnectionError:
            return None
