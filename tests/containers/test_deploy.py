"""deploy: the Dockerfile and the compose file. What can be seen of them without an engine is looked
at in each run; they are built and run with --containers."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cluster.fleet_case import MINUTES, Case
from containers.engine import Engine
from devtool import install, paths
from harness.kafka import Kafka
from harness.waiting import wait_for
from helm.test_pods import flags_of

DEPLOY = paths.ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
NODES = ("coordinator", "worker-0", "worker-1")
IMAGE = "millrace:local"
IMAGE_BYTES_MAX = 400_000_000


def words(node: str) -> dict[str, str]:
    split = [
        word.removeprefix("--").partition("=") for word in COMPOSE["services"][node]["command"]
    ]
    return {name: value for name, _, value in split[1:]}


def test_compose_gives_flags_that_the_programs_have() -> None:
    for node in NODES:
        service = COMPOSE["services"][node]
        known = flags_of(service["command"][0])
        assert set(words(node)) <= known
        for name in service.get("environment", {}):
            assert name.removeprefix("MILLRACE_").lower().replace("_", "-") in known
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_nodes_of_compose_find_each_other() -> None:
    assert words("worker-0")["coordinator"] == "coordinator:7070"
    assert words("coordinator")["listen"] == "0.0.0.0:7070"
    for node in ("worker-0", "worker-1"):
        environment = COMPOSE["services"][node]["environment"]
        assert environment == {"MILLRACE_NAME": node, "MILLRACE_ADVERTISE": f"{node}:7071"}
    clusters = {words(node)["cluster"] for node in NODES}
    (prepare,) = (
        line for line in COMPOSE["services"]["prepare"]["command"] if "certificates.sh" in line
    )
    assert clusters == {"compose"}
    assert "/srv/millrace/secrets compose " in prepare


def test_a_worker_of_compose_may_leave_before_it_is_killed() -> None:
    for node in ("worker-0", "worker-1"):
        grace = int(COMPOSE["services"][node]["stop_grace_period"].removesuffix("s"))
        assert grace >= int(words(node)["leave-timeout"]) + 15


def test_only_this_machine_reaches_the_ports() -> None:
    ports = [port for one in COMPOSE["services"].values() for port in one.get("ports", [])]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_image_has_the_packages_of_the_build_and_not_those_of_tests() -> None:
    (script,) = re.findall(r"sed -n '([^']+)'", (DEPLOY / "Dockerfile").read_text())
    chosen = subprocess.run(
        ["sed", "-n", script, str(install.APT_LIST)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    packages = {line for line in chosen if line and not line.startswith("#")}
    assert packages >= {"g++", "cmake", "libcaf-dev", "libprotobuf-dev", "tzdata"}
    assert not packages & {"libgtest-dev", "maven", "postgresql-15"}


def test_context_of_the_image_has_what_the_build_reads() -> None:
    kept = [
        line[1:]
        for line in (paths.ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    ]
    assert all((paths.ROOT / name).exists() for name in kept)
    read = re.findall(r"add_subdirectory\((\w+)", (paths.ROOT / "CMakeLists.txt").read_text())
    for name in {*read, "cmake", "deploy", "CMakePresets.json"}:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in kept), name


# ---- with an engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("engine")) as started:
        yield started


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    engine.build(DEPLOY / "Dockerfile", IMAGE)
    return IMAGE


@pytest.mark.containers
def test_image_is_small_and_runs_as_nobody_with_a_read_only_root(
    engine: Engine, image: str
) -> None:
    (found,) = json.loads(engine.succeed("image", "inspect", image))
    assert found["Size"] < IMAGE_BYTES_MAX
    assert found["Config"]["User"] == "65534:65534"
    for program in ("millrace", "millrace-coordinator", "millrace-worker"):
        said = engine.succeed(
            "run", "--rm", "--read-only", "--network", "none", image, program, "--version"
        )
        assert said.startswith(f"{program} ")
    # There is no shell in it.
    assert "executable file not found" in engine.run("run", "--rm", image, "sh").stderr


@pytest.fixture(scope="module")
def compose(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The compose file, running."""
    folder = tmp_path_factory.mktemp("compose")
    engine.build(
        DEPLOY / "Dockerfile", COMPOSE["services"]["prepare"]["image"], target="dependencies"
    )
    kafka = COMPOSE["services"]["kafka"]["image"]
    if engine.run("image", "inspect", kafka).returncode and engine.run("pull", kafka).returncode:
        context = folder / "kafka"
        shutil.copytree(paths.BROKER_JARS, context / "jars")
        shutil.copy(Path(__file__).with_name("start-kafka.sh"), context)
        engine.build(Path(__file__).with_name("kafka.Dockerfile"), kafka, context)
    shown = json.loads(json.dumps(COMPOSE))
    shown.pop("name")  # unknown to Debian's program, which is told it instead
    for node in NODES:
        service = shown["services"][node]
        service["image"] = image
        service.pop("build", None)
    shown["services"]["prepare"].pop("build")
    file = folder / "compose.yaml"
    file.write_text(yaml.safe_dump(shown))
    engine.compose(file, "up", "-d")
    try:
        yield file
    finally:
        logs = engine.compose(file, "logs", "--no-color")
        (paths.RUN / "logs" / "compose.log").write_text(logs)
        engine.compose(file, "down", "--volumes", "--timeout", "60")


def wait_until_ready(port: int) -> None:
    def look() -> bool:
        try:
            return bool(requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok)
        except requests.ConnectionError:
            return False

    wait_for(f"readiness at port {port}", look, 120)


@pytest.mark.containers
def test_compose_runs_a_job(engine: Engine, compose: Path, tmp_path: Path) -> None:
    for port in (9090, 9091, 9092):
        wait_until_ready(port)
    secrets = tmp_path / "secrets"
    coordinator = engine.compose(compose, "ps", "-q", "coordinator").strip()
    engine.succeed("cp", f"{coordinator}:/srv/millrace/secrets", secrets)
    (token,) = (
        line.split()[2]
        for line in (secrets / "tokens").read_text().splitlines()
        if " operator " in line
    )
    case = Case(Kafka("localhost:19092"), tmp_path, "compose")
    answer = requests.post(
        "https://localhost:8443/api/v1/jobs",
        json={"file_name": case.file.name, "file": case.file.read_text()},
        headers={"Authorization": f"Bearer {token}"},
        verify=str(secrets / "ca.crt"),
        timeout=10,
    )
    assert answer.ok, answer.text
    case.send_minutes(MINUTES)
    case.close()
    case.check()


@pytest.mark.containers
def test_containers_end_when_they_are_told_to(engine: Engine, compose: Path) -> None:
    """A program that is process 1 hears a signal only if it waits for it."""
    for node in reversed(NODES):
        container = engine.compose(compose, "ps", "-q", node).strip()
        engine.succeed("stop", "--time", "60", container)
        (found,) = json.loads(engine.succeed("inspect", container))
        assert found["State"]["ExitCode"] == 0, engine.run("logs", container).stderr[-3000:]
