"""The chart as tests see it: rendered by a real helm, and looked into."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devtool import paths

RELEASE = "prod"
NAMESPACE = "streams"
KUBERNETES_OLDEST = "1.27"  # as Chart.yaml says
KUBERNETES_NEWEST = "1.37"
CASES = Path(__file__).with_name("cases")
GOLDEN = Path(__file__).with_name("golden")

Object = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    objects: list[Object]

    def find(self, kind: str, name: str) -> Object:
        found = self.maybe(kind, name)
        there = [f"{one['kind']} {one['metadata']['name']}" for one in self.objects]
        assert found is not None, f"no {kind} {name}; there are {there}"
        return found

    def maybe(self, kind: str, name: str) -> Object | None:
        for one in self.objects:
            if one["kind"] == kind and one["metadata"]["name"] == name:
                return one
        return None

    def kinds(self) -> set[str]:
        return {one["kind"] for one in self.objects}

    def container(self, component: str) -> Object:
        pod = self.find("StatefulSet", f"{RELEASE}-millrace-{component}")["spec"]["template"][
            "spec"
        ]
        (container,) = pod["containers"]
        assert isinstance(container, dict)
        return container


def helm(
    *arguments: str | Path, program: Path = paths.HELM / "helm"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *(str(word) for word in arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def template(
    values: Object | None = None,
    *,
    files: Sequence[Path] = (),
    kubernetes: str = KUBERNETES_NEWEST,
    release: str = RELEASE,
    program: Path = paths.HELM / "helm",
) -> subprocess.CompletedProcess[str]:
    arguments: list[str | Path] = ["template", release, paths.CHART, "--namespace", NAMESPACE]
    arguments += ["--kube-version", f"{kubernetes}.0"]
    for file in files:
        arguments += ["--values", file]
    if values:
        # As one value of JSON a key: what --set would make of a text with commas is not asked.
        for key, value in values.items():
            arguments += ["--set-json", f"{key}={json.dumps(value)}"]
    return helm(*arguments, program=program)


def render(
    values: Object | None = None,
    *,
    files: Sequence[Path] = (),
    kubernetes: str = KUBERNETES_NEWEST,
    release: str = RELEASE,
    program: Path = paths.HELM / "helm",
) -> Rendered:
    result = template(values, files=files, kubernetes=kubernetes, release=release, program=program)
    assert result.returncode == 0, result.stderr
    objects = [one for one in yaml.safe_load_all(result.stdout) if one is not None]
    return Rendered(sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"])))


def refusal(values: Object) -> str:
    """What helm says against these values."""
    result = template(values)
    assert result.returncode != 0, f"not refused: {values}"
    return result.stderr


def cases() -> list[Path]:
    return sorted(CASES.glob("*.yaml"))


def args(container: Object) -> dict[str, str]:
    """Flags by name, without the dashes."""
    split = [str(word).removeprefix("--").partition("=") for word in container["args"]]
    return {name: value for name, _, value in split}
