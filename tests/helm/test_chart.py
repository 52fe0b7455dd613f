"""The chart, value by value: what a value changes, and what is refused."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml

from devtool import paths
from helm.chart import (
    KUBERNETES_NEWEST,
    KUBERNETES_OLDEST,
    NAMESPACE,
    Object,
    args,
    cases,
    helm,
    refusal,
    render,
    template,
)
from helm.schemas import Schemas

CRDS = {"Certificate", "PrometheusRule", "ServiceMonitor"}
EVERYTHING: Object = {
    "certManager.enabled": True,
    "certManager.issuerRef.name": "ca",
    "worker.autoscaler.enabled": True,
    "serviceMonitor.enabled": True,
    "prometheusRule.enabled": True,
    "dashboard.enabled": True,
}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.stem)
def test_lint_has_nothing_to_say(case: Path) -> None:
    result = helm("lint", "--strict", paths.CHART, "--values", case)
    assert result.returncode == 0, result.stdout + result.stderr


# ---- what Kubernetes takes


@pytest.mark.parametrize("kubernetes", [KUBERNETES_OLDEST, KUBERNETES_NEWEST])
def test_objects_are_of_kubernetes_schemas(kubernetes: str) -> None:
    schemas = Schemas(kubernetes)
    for case in cases():
        objects = render(files=[case], kubernetes=kubernetes).objects
        known = [one for one in objects if one["kind"] not in CRDS]
        assert {one["kind"] for one in known} >= {"Service", "StatefulSet"}
        assert [problem for one in known for problem in schemas.problems(one)] == []


def test_schemas_find_a_field_that_does_not_exist() -> None:
    schemas = Schemas(KUBERNETES_NEWEST)
    pod = render().find("StatefulSet", "prod-millrace-worker")
    wrong = copy.deepcopy(pod)
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    assert schemas.problems(pod) == []
    assert "readinessprobe" in str(schemas.problems(wrong))


def test_chart_installs_the_version_that_is_built_here() -> None:
    (version,) = re.findall(
        r"project\(millrace VERSION (\S+)", (paths.ROOT / "CMakeLists.txt").read_text()
    )
    chart = yaml.safe_load((paths.CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
    assert render().container("worker")["image"] == f"millrace:{version}"


def test_older_kubernetes_is_refused() -> None:
    assert "incompatible with Kubernetes v1.26" in template(kubernetes="1.26").stderr


def test_values_turn_parts_on() -> None:
    optional = {
        "Certificate", "ConfigMap", "HorizontalPodAutoscaler", "PrometheusRule", "ServiceMonitor",
    }  # fmt: skip
    always = {
        "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "Role", "RoleBinding",
        "Service", "ServiceAccount", "StatefulSet",
    }  # fmt: skip
    assert render().kinds() == always
    assert render(EVERYTHING).kinds() == always | optional


# ---- pods


@pytest.mark.parametrize("component", ["coordinator", "worker"])
def test_pods_pass_the_restricted_profile(component: str) -> None:
    rendered = render()
    pod = rendered.find("StatefulSet", f"prod-millrace-{component}")["spec"]["template"]["spec"]
    container = rendered.container(component)
    assert pod["securityContext"]["runAsUser"] == 65534
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # MILLRACE_METRICS_PORT of a service named millrace-metrics would be taken for --metrics-port.
    assert pod["enableServiceLinks"] is False


def test_every_mount_has_its_volume_and_every_path_a_mount() -> None:
    for values in ({}, {"worker.local.volumeClaim": True}):
        rendered = render(values)
        for component in ("coordinator", "worker"):
            spec = rendered.find("StatefulSet", f"prod-millrace-{component}")["spec"]
            claims = spec.get("volumeClaimTemplates", [])
            volumes = {one["name"] for one in spec["template"]["spec"]["volumes"]}
            volumes |= {one["metadata"]["name"] for one in claims}
            container = rendered.container(component)
            assert {one["name"] for one in container["volumeMounts"]} == volumes
            mounts = tuple(one["mountPath"] + "/" for one in container["volumeMounts"])
            for flag, value in args(container).items():
                assert not value.startswith("/") or f"{value}/".startswith(mounts), flag


def test_workers_know_every_coordinator_by_a_name_of_its_service() -> None:
    rendered = render({"coordinator.replicas": 3})
    name = "prod-millrace-coordinator"
    service = rendered.find("Service", name)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert rendered.find("StatefulSet", name)["spec"]["serviceName"] == name
    assert args(rendered.container("worker"))["coordinator"] == ",".join(
        f"{name}-{index}.{name}:7070" for index in range(3)
    )
    assert args(rendered.container("coordinator"))["listen"] == "0.0.0.0:7070"


def test_worker_is_reached_where_it_says() -> None:
    rendered = render()
    flags = args(rendered.container("worker"))
    assert flags["advertise"] == "$(POD_NAME).prod-millrace-worker:7071"
    assert flags["listen"] == "0.0.0.0:7071"
    service = rendered.find("Service", "prod-millrace-worker")["spec"]
    assert service["publishNotReadyAddresses"] is True
    template = rendered.find("StatefulSet", "prod-millrace-worker")["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize("seconds", [0, 60, 3600])
def test_pod_outlives_a_worker_that_leaves(seconds: int) -> None:
    rendered = render({"worker.leaveTimeoutSeconds": seconds})
    pod = rendered.find("StatefulSet", "prod-millrace-worker")["spec"]["template"]["spec"]
    assert args(rendered.container("worker"))["leave-timeout"] == str(seconds)
    assert pod["terminationGracePeriodSeconds"] == seconds + 15


def slots_of(values: Object) -> Object:
    container = render(values).container("worker")
    assert args(container)["slots"] == "$(SLOTS)"
    slots: Object
    (slots,) = (one for one in container["env"] if one["name"] == "SLOTS")
    return slots


def test_slots_are_the_limit_of_cores_unless_said_otherwise() -> None:
    limit = {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert slots_of({}) == {"name": "SLOTS", "valueFrom": limit}
    assert slots_of({"worker.slots": 12}) == {"name": "SLOTS", "value": "12"}


def test_probes_ask_the_operating_port() -> None:
    rendered = render()
    for component, port in (("coordinator", "9090"), ("worker", "9091")):
        container = rendered.container(component)
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert str(ports["metrics"]) == port == args(container)["metrics-port"]
        assert args(container)["host"] == "0.0.0.0"


def test_api_never_listens_without_tokens_and_tls() -> None:
    flags = args(render({"api.port": 9000}).container("coordinator"))
    assert flags["api"] == "0.0.0.0:9000"
    assert flags["api-tokens"] == "/srv/millrace/api-tokens/tokens"
    assert flags["api-tls-cert"] == "/srv/millrace/api-tls/tls.crt"
    assert flags["api-tls-key"] == "/srv/millrace/api-tls/tls.key"


def test_secrets_are_taken_by_name() -> None:
    names = {
        "tls.coordinatorSecret": "one",
        "tls.workerSecret": "two",
        "api.tlsSecret": "three",
        "api.tokensSecret": "four",
    }
    rendered = render(names)
    secrets = []
    for component in ("coordinator", "worker"):
        pod = rendered.find("StatefulSet", f"prod-millrace-{component}")["spec"]["template"]["spec"]
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
                secrets.append(volume["secret"]["secretName"])
    assert secrets == ["one", "three", "four", "two"]


def test_environment_and_volumes_reach_both() -> None:
    rendered = render(
        {
            "env": [{"name": "KAFKA_PASSWORD", "value": "x"}],
            "envFrom": [{"secretRef": {"name": "kafka"}}],
            "volumes": [{"name": "ca", "secret": {"secretName": "kafka-ca"}}],
            "volumeMounts": [{"name": "ca", "mountPath": "/srv/kafka-ca", "readOnly": True}],
        }
    )
    for component in ("coordinator", "worker"):
        container = rendered.container(component)
        assert {"name": "KAFKA_PASSWORD", "value": "x"} in container["env"]
        assert container["envFrom"] == [{"secretRef": {"name": "kafka"}}]
        assert "/srv/kafka-ca" in {one["mountPath"] for one in container["volumeMounts"]}


# ---- who leads, scale, storage


def test_only_the_coordinator_that_leads_serves_the_api() -> None:
    rendered = render()
    selector = rendered.find("Service", "prod-millrace-api")["spec"]["selector"]
    assert selector["millrace.dev/leads"] == "true"
    assert args(rendered.container("coordinator"))["leader-label"] == "millrace.dev/leads"
    (rule,) = rendered.find("Role", "prod-millrace-coordinator")["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["pods"],
        "resourceNames": ["prod-millrace-coordinator-0", "prod-millrace-coordinator-1"],
        "verbs": ["patch"],
    }
    (subject,) = rendered.find("RoleBinding", "prod-millrace-coordinator")["subjects"]
    accounts = {
        component: rendered.find("StatefulSet", f"prod-millrace-{component}")["spec"]["template"][
            "spec"
        ]
        for component in ("coordinator", "worker")
    }
    assert subject["name"] == accounts["coordinator"]["serviceAccountName"]
    assert subject["namespace"] == NAMESPACE
    assert accounts["coordinator"]["automountServiceAccountToken"] is True
    assert accounts["worker"]["automountServiceAccountToken"] is False


def test_single_coordinator_needs_nothing_of_kubernetes() -> None:
    rendered = render({"coordinator.replicas": 1})
    assert rendered.maybe("Role", "prod-millrace-coordinator") is None
    assert (
        "millrace.dev/leads"
        not in rendered.find("Service", "prod-millrace-api")["spec"]["selector"]
    )
    assert "leader-label" not in args(rendered.container("coordinator"))
    pod = rendered.find("StatefulSet", "prod-millrace-coordinator")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_replicas_belong_to_the_autoscaler_where_there_is_one() -> None:
    assert (
        render({"worker.replicas": 7}).find("StatefulSet", "prod-millrace-worker")["spec"][
            "replicas"
        ]
        == 7
    )
    scaled = render({"worker.autoscaler": {"enabled": True, "minReplicas": 2, "maxReplicas": 9}})
    assert "replicas" not in scaled.find("StatefulSet", "prod-millrace-worker")["spec"]
    spec = scaled.find("HorizontalPodAutoscaler", "prod-millrace-worker")["spec"]
    assert spec["scaleTargetRef"]["name"] == "prod-millrace-worker"
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)


def test_storage_outlives_the_release() -> None:
    claim = render().find("PersistentVolumeClaim", "prod-millrace-storage")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    own = render({"storage.existingClaim": "mine"})
    assert "PersistentVolumeClaim" not in own.kinds()
    for component in ("coordinator", "worker"):
        pod = own.find("StatefulSet", f"prod-millrace-{component}")["spec"]["template"]["spec"]
        assert {"name": "storage", "persistentVolumeClaim": {"claimName": "mine"}} in pod["volumes"]


def test_certificates_have_the_names_that_nodes_ask_for() -> None:
    rendered = render({**EVERYTHING, "cluster": "plant-7"})
    names = {
        component: rendered.find("Certificate", f"prod-millrace-{component}")["spec"]
        for component in ("coordinator", "worker", "api")
    }
    assert names["coordinator"]["dnsNames"] == ["coordinator.plant-7.millrace"]
    assert names["worker"]["dnsNames"] == ["worker.plant-7.millrace"]
    assert "localhost" in names["api"]["dnsNames"]  # through kubectl port-forward
    assert f"prod-millrace-api.{NAMESPACE}.svc" in names["api"]["dnsNames"]
    assert args(rendered.container("coordinator"))["cluster"] == "plant-7"
    assert args(rendered.container("worker"))["cluster"] == "plant-7"


# ---- the network


def ingress_ports(rendered_policy: Object) -> dict[int, list[Object]]:
    return {
        port["port"]: rule["from"]
        for rule in rendered_policy["spec"]["ingress"]
        for port in rule["ports"]
    }


def test_every_port_is_open_to_those_who_need_it_and_no_others() -> None:
    tools = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}}
    rendered = render({"networkPolicy.apiFrom": [tools]})
    for component in ("coordinator", "worker"):
        policy = rendered.find("NetworkPolicy", f"prod-millrace-{component}")
        open_to = ingress_ports(policy)
        listens = {one["containerPort"] for one in rendered.container(component)["ports"]}
        assert set(open_to) == listens
        nodes = 7070 if component == "coordinator" else 7071
        (peer,) = open_to[nodes]
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "worker"
        assert policy["spec"]["egress"] == [{}]
    coordinator = rendered.find("NetworkPolicy", "prod-millrace-coordinator")
    assert ingress_ports(coordinator)[8443] == [tools]


def test_egress_that_is_limited_still_has_names_nodes_and_kubernetes() -> None:
    rendered = render({"networkPolicy.egress": [{"ports": [{"port": 9092}]}]})
    for component, needed in (("coordinator", {53, 443, 6443}), ("worker", {53, 7070, 7071})):
        rules = rendered.find("NetworkPolicy", f"prod-millrace-{component}")["spec"]["egress"]
        assert {port["port"] for rule in rules for port in rule["ports"]} == needed | {9092}


# ---- what is refused


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"worker.replica": 3}, "replica"),
        ({"worker.replicas": -1}, "worker/replicas"),
        ({"worker.slots": 721}, "worker/slots"),
        ({"worker.leaveTimeoutSeconds": 1.5}, "worker/leaveTimeoutSeconds"),
        ({"coordinator.replicas": 0}, "coordinator/replicas"),
        ({"cluster": "Plant"}, "cluster"),
        ({"kafka.brokers": ["kafka"]}, "kafka/brokers/0"),
        ({"image.digest": "latest"}, "image/digest"),
        ({"storage.size": "20 GB"}, "storage/size"),
        ({"api.port": 7070}, "api/port"),
        ({"log.level": "trace"}, "log/level"),
        ({"certManager.enabled": True}, "certManager/issuerRef/name"),
        ({"env": [{"name": "POD_NAME", "value": "x"}]}, "env/0/name"),
        ({"coordinator.extraArgs": ["-v"]}, "coordinator/extraArgs/0"),
        ({"serviceAccount.create": False}, "name the accounts"),
        (
            {"worker.autoscaler": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}},
            "maxReplicas (2) is less than minReplicas (5)",
        ),
        (
            {"prometheusRule": {"enabled": True, "disabled": ["MillraceJobFaild"]}},
            "there is no alert MillraceJobFaild",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_are_refused_with_their_place(values: Object, place: str) -> None:
    assert place in refusal(values)


def test_every_value_is_in_the_schema_and_has_a_use() -> None:
    """The schema refuses what is not in it; so what values.yaml says is all in it. What no
    template reads does nothing."""
    templates = "".join(file.read_text() for file in (paths.CHART / "templates").iterdir())

    def leaves(tree: Object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        found = []
        for key, value in tree.items():
            found += (
                leaves(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)]
            )
        return found

    values = yaml.safe_load((paths.CHART / "values.yaml").read_text())
    passed_whole = {"resources", "podSecurityContext", "issuerRef", "labels"}
    unused = [
        ".".join(path)
        for path in leaves(values)
        if not passed_whole & set(path) and not re.search(rf"\.{path[-1]}\b", templates)
    ]
    assert unused == []


def test_names_stay_within_what_kubernetes_allows() -> None:
    long = render(release="a" * 53)
    for one in long.objects:
        if one["kind"] == "StatefulSet":  # its pods get a label of its name and a hash
            assert len(one["metadata"]["name"]) <= 63 - len("-0123456789")
        assert len(one["metadata"]["name"]) <= 63
