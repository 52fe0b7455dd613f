"""`tools/dev setup`: installs what is missing, and nothing twice.

Three layers, each with its own test of "already there": Debian packages (dpkg), the Python
environment (a stamp with the hash of requirements.txt), the broker's jars (a stamp with the hash of
its pom). A lock keeps two set-ups from colliding.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from devtool import console, paths
from devtool.console import ToolError

APT_LIST = paths.DEPENDENCIES / "apt.txt"
CONTAINERS_LIST = paths.DEPENDENCIES / "apt-containers.txt"
FUZZ_LIST = paths.DEPENDENCIES / "apt-fuzz.txt"
REQUIREMENTS = paths.DEPENDENCIES / "requirements.txt"
BROKER_POM = paths.DEPENDENCIES / "broker" / "pom.xml"


def setup() -> None:
    with lock():
        _install_packages(APT_LIST)
        _install_python()
        _install_broker()


def setup_fuzzing() -> None:
    """What only `tools/dev fuzz` needs."""
    with lock():
        _install_packages(FUZZ_LIST)


def setup_containers() -> None:
    """What `tools/dev test --containers` needs where no Docker answers."""
    if shutil.which("docker") is not None:
        answers = subprocess.run(["docker", "info"], capture_output=True, check=False)
        if answers.returncode == 0:
            return
    with lock():
        _install_packages(CONTAINERS_LIST)


@contextlib.contextmanager
def lock() -> Iterator[None]:
    paths.CACHE.mkdir(exist_ok=True)
    with (paths.CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("another set-up is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_list(path: Path) -> list[str]:
    """The entries of a list file: one a line, # starts a comment."""
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def missing_packages(wanted: list[str]) -> list[str]:
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,  # 1: some are unknown to dpkg, that is, missing
    )
    installed = {
        line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")
    }
    return [name for name in wanted if name not in installed]


def _install_packages(list_file: Path) -> None:
    if shutil.which("dpkg-query") is None:
        raise ToolError(
            "set-up knows Debian 12 only. Elsewhere, install the equivalents of "
            f"{list_file.relative_to(paths.ROOT)} and build with cmake --preset release"
        )
    missing = missing_packages(read_list(list_file))
    if not missing:
        return
    prefix: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise ToolError(
                "these Debian packages are missing, and there is no sudo to install "
                "them: " + " ".join(missing)
            )
        subprocess.run(["sudo", "-v"], check=False)  # asks on the terminal, once, before the logs
        prefix = ["sudo", "-n"]
    prefix += ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]
    console.run_step("apt: package lists", [*prefix, "update", "-q"], "apt-update")
    console.run_step(
        f"apt: {len(missing)} packages",
        [*prefix, "install", "-y", "-q", "--no-install-recommends", *missing],
        "apt-install",
    )


def stamp_text(*sources: Path) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest() + "\n"


def is_stamped(stamp: Path, text: str) -> bool:
    return stamp.is_file() and stamp.read_text() == text


def _install_python() -> None:
    stamp = paths.VENV / "requirements.stamp"
    wanted = stamp_text(REQUIREMENTS)
    if is_stamped(stamp, wanted) and paths.venv_python().exists():
        return
    if not paths.venv_python().exists():
        console.run_step("python: environment", [sys.executable, "-m", "venv", paths.VENV], "venv")
    console.run_step(
        "python: packages",
        [
            paths.venv_python(),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "-r",
            REQUIREMENTS,
        ],
        "pip",
    )
    stamp.write_text(wanted)


def _install_broker() -> None:
    stamp = paths.BROKER_JARS / "pom.stamp"
    wanted = stamp_text(BROKER_POM)
    if is_stamped(stamp, wanted):
        return
    shutil.rmtree(paths.BROKER_JARS, ignore_errors=True)
    console.run_step(
        "maven: Apache Kafka",
        [
            "mvn",
            "-q",
            "-B",
            "-f",
            BROKER_POM,
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={paths.BROKER_JARS}",
        ],
        "maven",
    )
    stamp.write_text(wanted)
