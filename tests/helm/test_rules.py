"""Alerts and the dashboard: they are valid, they fire when they should, and every metric and label
in them is one that Millrace has."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtool import paths
from harness.millrace import documented_metrics
from helm.chart import Object, render
from helm.handbook import OPERATIONS

ALERTS = paths.CHART / "files" / "alerts.yaml"
DASHBOARD = paths.CHART / "files" / "dashboard.json"
TESTS = Path(__file__).with_name("alerts_test.yaml")

# Labels that the ServiceMonitor, Prometheus, or (job, of a cluster's metrics) Millrace adds.
TARGET_LABELS = {"namespace", "millrace_cluster", "job", "pod", "instance", "service"}
OTHER_METRICS: dict[str, set[str]] = {"up": set()}
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(paths.PROMETHEUS_TOOLS / "promtool"), *(str(word) for word in arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rules(document: Object) -> list[Object]:
    return [rule for group in document["groups"] for rule in group["rules"]]


ALERT_RULES = rules(yaml.safe_load(ALERTS.read_text()))
PANELS: list[Object] = json.loads(DASHBOARD.read_text())["panels"]
VARIABLES: list[Object] = json.loads(DASHBOARD.read_text())["templating"]["list"]


# ---- promtool


def test_promtool_finds_no_mistake() -> None:
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert result.returncode == 0, result.stdout + result.stderr


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    cases = yaml.safe_load(TESTS.read_text())
    cases["rule_files"] = [str(ALERTS)]
    file = tmp_path / "alerts_test.yaml"
    file.write_text(yaml.safe_dump(cases))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr
    tests = [one for case in cases["tests"] for one in case["alert_rule_test"]]
    fire = {one["alertname"] for one in tests if one.get("exp_alerts")}
    silent = {one["alertname"] for one in tests if not one.get("exp_alerts")}
    assert fire == {rule["alert"] for rule in ALERT_RULES} == silent


def test_promtool_would_tell_a_wrong_expectation(tmp_path: Path) -> None:
    cases = yaml.safe_load(TESTS.read_text())
    cases["rule_files"] = [str(ALERTS)]
    cases["tests"] = cases["tests"][:1]
    cases["tests"][0]["alert_rule_test"][1]["exp_alerts"] = []
    file = tmp_path / "alerts_test.yaml"
    file.write_text(yaml.safe_dump(cases))
    result = promtool("test", "rules", file)
    assert result.returncode != 0
    assert "MillraceNoLeader" in result.stdout + result.stderr


def test_chart_passes_the_rules_on_unchanged(tmp_path: Path) -> None:
    rendered = render({"prometheusRule.enabled": True, "prometheusRule.runbook": "https://a/b"})
    spec = rendered.find("PrometheusRule", "prod-millrace")["spec"]
    assert (
        spec["groups"][0]["rules"][0]["annotations"]["runbook_url"]
        == "https://a/b#millracenoleader"
    )
    for rule in rules(spec):
        del rule["annotations"]["runbook_url"]
    assert rules(spec) == ALERT_RULES
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump(spec))
    assert promtool("check", "rules", file).returncode == 0
    fewer = render({"prometheusRule": {"enabled": True, "disabled": ["MillraceJobFailed"]}})
    names = {one["alert"] for one in rules(fewer.find("PrometheusRule", "prod-millrace")["spec"])}
    assert names == {rule["alert"] for rule in ALERT_RULES} - {"MillraceJobFailed"}


def test_each_alert_says_what_and_how_bad() -> None:
    for rule in ALERT_RULES:
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_each_alert_has_its_paragraph() -> None:
    headings = re.findall(r"^#+ (Millrace\w+)$", OPERATIONS.read_text(), re.M)
    assert sorted(headings) == sorted(rule["alert"] for rule in ALERT_RULES)


# ---- metrics and labels


def metrics_in_code() -> set[str]:
    sources = [
        file
        for folder in ("engine", "coordinator", "worker")
        for file in (paths.ROOT / folder).rglob("*.cpp")
        if not file.stem.endswith(("_test", "_testing"))
    ]
    return {name for file in sources for name in re.findall(r'"(millrace_\w+)"', file.read_text())}


KNOWN = {**documented_metrics(), **OTHER_METRICS}


def mistakes(expression: str) -> list[str]:
    """Metrics and labels of an expression that do not exist."""
    found = []
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    used: dict[str, set[str]] = {}
    for name, selector in re.findall(r"\b(millrace_\w+|up)\b(?:\{([^}]*)\})?", plain):
        if name in TARGET_LABELS:
            continue
        base = name
        for part in HISTOGRAM_PARTS:
            if name not in KNOWN and name.removesuffix(part) in KNOWN:
                base = name.removesuffix(part)
        if base not in KNOWN:
            found.append(f"there is no metric {name}")
            continue
        has = KNOWN[base] | ({"le"} if base != name else set())
        used[name] = has
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            if label not in has | TARGET_LABELS:
                found.append(f"{name} has no label {label}")
    labels = TARGET_LABELS.union(*used.values())
    for group in re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", plain):
        for label in filter(None, (word.strip() for word in group.split(","))):
            if label not in labels:
                found.append(f"no metric of {', '.join(used)} has a label {label}")
    return found


def test_documented_metrics_are_those_in_the_code() -> None:
    documented = documented_metrics()
    assert len(documented) > 30
    assert set(documented) == metrics_in_code()


@pytest.mark.parametrize("rule", ALERT_RULES, ids=lambda rule: rule["alert"])
def test_alert_uses_metrics_that_exist(rule: Object) -> None:
    assert mistakes(rule["expr"]) == []
    labels = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", rule["expr"]))))
    assert labels <= (grouped or TARGET_LABELS)


def test_mistakes_are_found() -> None:
    assert mistakes("rate(millrace_record_in_total[5m])") == [
        "there is no metric millrace_record_in_total"
    ]
    assert mistakes('millrace_records_in_total{sink="x"}') == [
        "millrace_records_in_total has no label sink"
    ]
    assert mistakes("sum by (job, sink) (millrace_records_in_total)") == [
        "no metric of millrace_records_in_total has a label sink"
    ]
    good = 'sum by (le) (millrace_checkpoint_duration_seconds_bucket{job="rig"})'
    assert mistakes(good) == []


# ---- the dashboard


def queries() -> list[tuple[str, str, str]]:
    """Title, expression and legend of every query."""
    return [
        (panel["title"], target["expr"], target["legendFormat"])
        for panel in PANELS
        for target in panel.get("targets", [])
    ]


def test_panels_use_metrics_that_exist() -> None:
    assert len(queries()) > 20
    for title, expression, legend in queries():
        assert mistakes(expression) == [], title
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= grouped, title
    for variable in VARIABLES:
        for name, label in re.findall(
            r"label_values\((.*), (\w+)\)", variable.get("definition", "")
        ):
            assert mistakes(f"sum by ({label}) ({name})") == []


def test_queries_are_promql(tmp_path: Path) -> None:
    """Each as a recording rule, with Grafana's variables filled in."""
    fill = {"$namespace": ".*", "$cluster": ".*", "$job": ".*", "$__rate_interval": "1m"}
    recorded = []
    for index, (_, expression, _) in enumerate(queries()):
        for name, value in fill.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        recorded.append({"record": f"panel:{index}", "expr": expression})
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    result = promtool("check", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_panels_lie_side_by_side() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_each_panel_says_what_it_shows() -> None:
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_chart_passes_the_dashboard_on_unchanged() -> None:
    data: dict[str, Any] = render({"dashboard.enabled": True}).find(
        "ConfigMap", "prod-millrace-dashboard"
    )
    assert json.loads(data["data"]["millrace.json"]) == json.loads(DASHBOARD.read_text())
    assert data["metadata"]["labels"]["grafana_dashboard"] == "1"
