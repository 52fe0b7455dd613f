"""The chart installed into a real Kubernetes API server, by the commands of the handbook."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from devtool import paths
from harness.waiting import wait_for
from helm import handbook
from helm.api_server import ApiServer
from helm.chart import NAMESPACE, RELEASE, Object, cases, render
from helm.pods import Pod, Site
from helm.test_pods import certificates, programs, secrets_of

pytestmark = pytest.mark.full
__all__ = ["certificates", "programs"]  # fixtures


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("kubernetes")) as server:
        for file in sorted((paths.API_SERVER / "crds").glob("*.yaml")):
            server.succeed("kubectl", "apply", "--server-side", "-f", file)
        server.succeed(
            "kubectl", "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"
        )
        yield server


def new_namespace(server: ApiServer, name: str) -> None:
    server.succeed("kubectl", "create", "namespace", name)
    server.succeed(
        "kubectl", "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"
    )


@pytest.fixture(scope="module")
def installed(kubernetes: ApiServer, certificates: Path) -> ApiServer:
    """As the handbook installs it, into a namespace that admits restricted pods only."""
    new_namespace(kubernetes, NAMESPACE)
    kubernetes.succeed("bash", "-euc", handbook.commands("secrets"), folder=certificates.parent)
    said = kubernetes.succeed("bash", "-euc", handbook.commands("install"))
    assert "STATUS: deployed" in said
    return kubernetes


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.stem)
def test_every_object_of_a_case_is_taken(kubernetes: ApiServer, case: Path) -> None:
    namespace = f"case-{case.stem}"
    new_namespace(kubernetes, namespace)
    kubernetes.succeed(
        "helm", "install", RELEASE, paths.CHART, "-n", namespace, "--values", case
    )  # fmt: skip
    stored = yaml.safe_load_all(
        kubernetes.succeed("helm", "get", "manifest", RELEASE, "-n", namespace)
    )
    count = 0
    for one in filter(None, stored):
        found = kubernetes.get("-n", namespace, one["kind"], one["metadata"]["name"])
        assert found["metadata"]["labels"].items() >= one["metadata"]["labels"].items()
        count += 1
    assert count == len(render(files=[case]).objects)


def test_what_schemas_cannot_see_is_refused(kubernetes: ApiServer) -> None:
    resources = {"requests": {"cpu": "4"}, "limits": {"cpu": "2"}}
    new_namespace(kubernetes, "wrong")
    result = kubernetes.run(
        "helm", "install", RELEASE, paths.CHART, "-n", "wrong",
        "--set-json", f"worker.resources={json.dumps(resources)}",
    )  # fmt: skip
    assert "must be less than or equal to cpu limit" in result.stderr


def pod_of(objects: list[Object], component: str, index: int) -> Object:
    """The pod that the StatefulSet's controller would make."""
    name = f"{RELEASE}-millrace-{component}"
    (found,) = (
        one for one in objects if one["kind"] == "StatefulSet" and one["metadata"]["name"] == name
    )
    template = copy.deepcopy(found["spec"]["template"])
    template["metadata"]["name"] = f"{name}-{index}"
    template["spec"]["hostname"] = f"{name}-{index}"
    return {"apiVersion": "v1", "kind": "Pod", **template}


def test_pods_are_admitted_where_only_restricted_ones_are(installed: ApiServer) -> None:
    sets = installed.get("-n", NAMESPACE, "statefulsets")["items"]
    for component in ("coordinator", "worker"):
        pod = pod_of(sets, component, 0)
        installed.succeed("kubectl", "-n", NAMESPACE, "create", "-f", "-", given=json.dumps(pod))
        pod["metadata"]["name"] += "-as-root"
        pod["spec"]["securityContext"]["runAsUser"] = 0
        refused = installed.run(
            "kubectl", "-n", NAMESPACE, "create", "-f", "-", given=json.dumps(pod)
        )
        assert 'violates PodSecurity "restricted' in refused.stderr


def test_coordinators_may_label_their_pods_and_nothing_else(installed: ApiServer) -> None:
    def may(account: str, *question: str) -> bool:
        who = f"system:serviceaccount:{NAMESPACE}:{account}"
        asked = installed.run("kubectl", "-n", NAMESPACE, "auth", "can-i", *question, "--as", who)
        assert asked.stdout.strip() in ("yes", "no"), asked.stderr
        return asked.stdout.strip() == "yes"

    coordinator, worker = f"{RELEASE}-millrace-coordinator", f"{RELEASE}-millrace-worker"
    assert may(coordinator, "patch", f"pods/{coordinator}-0")
    assert may(coordinator, "patch", f"pods/{coordinator}-1")
    for question in (
        ("patch", f"pods/{worker}-0"),
        ("get", f"pods/{coordinator}-0"),
        ("delete", f"pods/{coordinator}-0"),
        ("get", "secrets"),
    ):
        assert not may(coordinator, *question), question
    assert not may(worker, "patch", f"pods/{coordinator}-0")


def test_coordinator_marks_its_pod_in_kubernetes(
    installed: ApiServer, certificates: Path, programs: Path, tmp_path: Path
) -> None:
    account = f"{RELEASE}-millrace-coordinator"
    token = installed.succeed("kubectl", "-n", NAMESPACE, "create", "token", account).strip()
    environment = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(installed.port),
    }
    files = {"token": token, "ca.crt": installed.ca, "namespace": NAMESPACE}
    site = Site(tmp_path, programs, secrets_of(certificates), environment, files)

    def label() -> str | None:
        found = installed.get("-n", NAMESPACE, "pod", f"{account}-0")
        value: str | None = found["metadata"]["labels"].get("millrace.dev/leads")
        return value

    with Pod(site, render(), "coordinator", 0) as pod:
        pod.start()
        wait_for("label true", lambda: label() == "true")
        selector = installed.get("-n", NAMESPACE, "service", f"{RELEASE}-millrace-api")["spec"]
        query = ",".join(f"{key}={value}" for key, value in selector["selector"].items())
        chosen = installed.get("-n", NAMESPACE, "pods", "-l", query)["items"]
        assert [one["metadata"]["name"] for one in chosen] == [pod.name]
        assert pod.process.stop(pod.grace_seconds) == 0, pod.process.output[-4000:]
    assert label() == "false"


def test_notes_have_commands_that_work(installed: ApiServer, tmp_path: Path) -> None:
    notes = installed.succeed("helm", "get", "notes", RELEASE, "-n", NAMESPACE)
    lines = [line.strip() for line in notes.splitlines() if line.startswith("  ")]
    for line in lines:
        if "get secret" in line:
            installed.succeed("bash", "-euo", "pipefail", "-c", line, folder=tmp_path)
    tokens = installed.get("-n", NAMESPACE, "secret", "prod-millrace-api-tokens")
    assert tokens["data"]["tokens"]
    assert len((tmp_path / "millrace.token").read_text().strip()) == 48
    assert (tmp_path / "millrace-ca.crt").read_text().startswith("-----BEGIN CERTIFICATE-----")
    # Nothing runs here: of what waits for pods, and of what reaches into them, the names.
    named = [
        word
        for line in lines
        for word in line.split()
        if word.startswith(("statefulset/", "service/"))
    ]
    assert len(named) == 3
    for name in named:
        installed.succeed("kubectl", "-n", NAMESPACE, "get", name)


def test_scale_upgrade_and_what_an_uninstall_leaves(installed: ApiServer) -> None:
    worker = f"{RELEASE}-millrace-worker"
    assert installed.get("-n", NAMESPACE, "statefulset", worker)["spec"]["replicas"] == 2
    installed.succeed("bash", "-euc", handbook.commands("scale"))
    scaled = installed.get("-n", NAMESPACE, "statefulset", worker)["spec"]
    assert scaled["replicas"] == 4
    installed.succeed("bash", "-euc", handbook.commands("upgrade"))
    upgraded = installed.get("-n", NAMESPACE, "statefulset", worker)["spec"]
    assert upgraded["replicas"] == 4
    (container,) = upgraded["template"]["spec"]["containers"]
    assert container["image"] == "REGISTRY/millrace:0.1.0"
    assert "--brokers=kafka-bootstrap.kafka:9092" in container["args"]
    installed.succeed("helm", "uninstall", RELEASE, "-n", NAMESPACE)
    left = installed.get("-n", NAMESPACE, "statefulset,service,role,persistentvolumeclaim")["items"]
    assert [one["metadata"]["name"] for one in left] == [f"{RELEASE}-millrace-storage"]
