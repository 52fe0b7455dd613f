"""The chart's containers, run: what it says to the programs is what they take."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from cluster.fleet_case import MINUTES, Case
from devtool import paths
from harness.kafka import Kafka
from harness.millrace import program
from harness.waiting import wait_for
from helm import handbook
from helm.chart import Object, Rendered, args, cases, render
from helm.kubernetes_api import KubernetesApi
from helm.pods import Pod, Site

TOKEN = "a-token-of-this-test"


def flags_of(name: str) -> set[str]:
    executable = program().with_name(name)
    text = subprocess.run(
        [str(executable), "--help"], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"^\s+--([a-z-]+)", text, re.M))


def test_every_flag_of_the_chart_is_one_of_the_program() -> None:
    unknown = set()
    for case in cases():
        for component in ("coordinator", "worker"):
            given = set(args(render(files=[case]).container(component)))
            assert "cluster" in given
            unknown |= given - flags_of(f"millrace-{component}")
    assert unknown == set()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the handbook makes them."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "deploy").symlink_to(paths.ROOT / "deploy")
    result = subprocess.run(
        ["bash", "-euc", handbook.commands("certificates")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder / "certificates"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has in /usr/local."""
    folder = tmp_path_factory.mktemp("programs")
    folder.chmod(0o755)  # the pods' user is another one
    subprocess.run(
        ["cmake", "--install", paths.build_dir(), "--prefix", folder],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


@pytest.fixture
def kubernetes(certificates: Path, tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi(certificates, tmp_path) as api:
        yield api


@pytest.fixture
def site(tmp_path: Path, programs: Path, certificates: Path, kubernetes: KubernetesApi) -> Site:
    return Site(
        tmp_path,
        programs,
        secrets_of(certificates),
        kubernetes.environment,
        kubernetes.service_account,
    )


def secrets_of(certificates: Path) -> dict[str, dict[str, str]]:
    """The Secrets that the chart looks for."""

    def secret(of: str) -> dict[str, str]:
        files = {"ca.crt": "ca.crt", "tls.crt": f"{of}.crt", "tls.key": f"{of}.key"}
        return {key: (certificates / name).read_text() for key, name in files.items()}

    found = {f"prod-millrace-{of}-tls": secret(of) for of in ("coordinator", "worker", "api")}
    return {**found, "prod-millrace-api-tokens": {"tokens": f"admin operator {TOKEN}\n"}}


class Cluster:
    """The pods of a release, and its API."""

    def __init__(self, site: Site, rendered: Rendered, ca: Path) -> None:
        self.coordinators = [Pod(site, rendered, "coordinator", index) for index in range(2)]
        self.workers = [Pod(site, rendered, "worker", index) for index in range(2)]
        self._ca = ca
        (self._api_port,) = (
            one["containerPort"]
            for one in rendered.container("coordinator")["ports"]
            if one["name"] == "api"
        )

    @property
    def pods(self) -> list[Pod]:
        return [*self.coordinators, *self.workers]

    def request(
        self, pod: Pod, method: str, path: str, body: Object | None = None
    ) -> Object | None:
        """None where nothing answers."""
        try:
            answer = requests.request(
                method,
                f"https://{pod.address}:{self._api_port}/api/v1/{path}",
                json=body,
                headers={"Authorization": f"Bearer {TOKEN}"},
                # The certificate has names, and no address; who asks by address cannot check them.
                verify=False,
                timeout=5,
            )
        except requests.ConnectionError:
            return None
        assert answer.ok, answer.text
        found: Object = answer.json()
        return found

    def leader(self) -> Pod:
        def look() -> Pod | None:
            leading = [
                pod for pod in self.coordinators if self.request(pod, "GET", "jobs") is not None
            ]
            return leading[0] if len(leading) == 1 else None

        return wait_for("a coordinator that leads", look)

    def job(self, name: str) -> Object:
        return self.request(self.leader(), "GET", f"jobs/{name}") or {}

    def wait_for_job(self, name: str, workers: set[str]) -> None:
        job: Object = {}

        def look() -> bool:
            nonlocal job
            job = self.job(name)
            return job.get("state") == "running" and set(job["slot_workers"]) == workers

        try:
            wait_for(f"{name} on {workers}", look)
        except AssertionError as error:
            logs = "".join(f"\n--- {pod.name}\n{pod.process.output[-3000:]}" for pod in self.pods)
            raise AssertionError(f"{error}\n{job}{logs}") from None


@pytest.fixture
def cluster(site: Site, kafka: Kafka, certificates: Path) -> Iterator[Cluster]:
    rendered = render(
        {
            "kafka.brokers": [kafka.bootstrap],
            "worker.leaveTimeoutSeconds": 20,
            "worker.resources": {"limits": {"cpu": "1500m"}},
            "log.level": "debug",
        }
    )
    found = Cluster(site, rendered, certificates / "ca.crt")
    with ExitStack() as stack:
        for pod in found.pods:
            stack.enter_context(pod)
        yield found


@pytest.fixture
def case(kafka: Kafka, tmp_path: Path, request: pytest.FixtureRequest) -> Case:
    return Case(kafka, tmp_path, request.node.name)


def answers(pod: Pod, probe: str, status: int) -> None:
    def look() -> bool:
        code = pod.process.code
        assert code is None, f"{pod.name} ended with {code}:\n{pod.process.output[-4000:]}"
        return pod.probe(probe) == status

    wait_for(f"{pod.name}: {probe} {status}", look)


def test_root_of_a_container_is_read_only_and_its_user_nobody(cluster: Cluster) -> None:
    worker = cluster.workers[0]
    touch = worker.start(instead=["touch", "/usr/local/x", "/srv/x", "/tmp/x"])
    assert touch.wait() == 1
    assert touch.stderr.count("Read-only file system") == 3
    allowed = worker.start(
        instead=["touch", "/srv/millrace/storage/x", "/srv/millrace/local/x", "/srv/millrace/tls/x"]
    )
    assert allowed.wait() == 1
    assert allowed.stderr.count("Read-only file system") == 1
    who = worker.start(instead=["id", "-u"])
    assert who.wait() == 0
    # Without root there are no other users to be had; the rest of the pod is the same.
    assert who.stdout == ("65534\n" if os.geteuid() == 0 else "0\n")


def marked(api: KubernetesApi, leads: dict[str, bool]) -> None:
    """Until the pods' labels say who leads."""
    wanted = {
        pod: {"millrace.dev/leads": "true" if leading else "false"}
        for pod, leading in leads.items()
    }
    wait_for(f"labels {leads}", lambda: api.labels == wanted)


def test_pods_run_a_job_and_hand_it_over(
    cluster: Cluster, kubernetes: KubernetesApi, case: Case
) -> None:
    workers = {pod.name for pod in cluster.workers}
    # A worker alone lives, and is not ready.
    for pod in cluster.workers:
        pod.start()
        answers(pod, "startup", 200)
        answers(pod, "liveness", 200)
        answers(pod, "readiness", 503)
    for pod in cluster.coordinators:
        pod.start()
        answers(pod, "startup", 200)
    # One leads, the other stands by: both are ready, and so are workers that one of them knows.
    for pod in cluster.pods:
        answers(pod, "readiness", 200)
        answers(pod, "liveness", 200)
    leader = cluster.leader()
    (other,) = (pod for pod in cluster.coordinators if pod is not leader)
    marked(kubernetes, {leader.name: True, other.name: False})

    body = {"file_name": case.file.name, "file": case.file.read_text()}
    assert cluster.request(leader, "POST", "jobs", body) is not None
    cluster.wait_for_job(case.name, workers)
    offered = cluster.request(leader, "GET", "workers") or {}
    assert {one["slots"] for one in offered["workers"]} == {2}  # 1.5 cores
    case.send_minutes(MINUTES // 4)

    # A worker that is told to go leaves in time, and what it did is done by the other.
    gone, left = cluster.workers[1], cluster.workers[0]
    assert gone.process.stop(gone.grace_seconds) == 0, gone.process.output[-4000:]
    cluster.wait_for_job(case.name, {left.name})
    case.send_minutes(MINUTES // 4)
    # It comes back under its name, as a StatefulSet brings it back.
    gone.start()
    answers(gone, "readiness", 200)
    cluster.wait_for_job(case.name, workers)

    # The coordinator that leads dies: the one that stood by leads, and the job goes on.
    leader.process.kill()
    assert cluster.leader() is other
    cluster.wait_for_job(case.name, workers)
    # Its pod keeps the label until it starts again; it is not ready so long, and so not asked.
    marked(kubernetes, {leader.name: True, other.name: True})
    leader.start()
    answers(leader, "readiness", 200)
    marked(kubernetes, {leader.name: False, other.name: True})
    case.send_minutes(MINUTES // 2)
    case.close()
    case.check()

    for pod in [*cluster.workers, *cluster.coordinators]:
        assert pod.process.stop(pod.grace_seconds) == 0, pod.process.output[-4000:]
    marked(kubernetes, {leader.name: False, other.name: False})


def test_leader_label_is_refused_outside_of_kubernetes(
    cluster: Cluster, site: Site, kubernetes: KubernetesApi
) -> None:
    del kubernetes
    site.environment.clear()
    coordinator = cluster.coordinators[0]
    process = coordinator.start()
    assert process.wait() == 1
    assert "there is no KUBERNETES_SERVICE_HOST" in process.output
