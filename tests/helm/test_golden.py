"""What the chart renders of each case, object by object. MILLRACE_UPDATE_GOLDEN=1 writes the files
anew: the difference is then what a review looks at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from devtool import paths
from helm.chart import GOLDEN, KUBERNETES_NEWEST, KUBERNETES_OLDEST, cases, render

# Of these the files are compared as they are (tests/helm/test_rules.py), not their rendered copy.
COPIES = {"PrometheusRule": "spec", "ConfigMap": "data"}


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def shown(case: Path, program: Path, kubernetes: str) -> str:
    objects = render(files=[case], program=program, kubernetes=kubernetes).objects
    for one in objects:
        if one["kind"] in COPIES:
            one[COPIES[one["kind"]]] = "..."
    return str(yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=100))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.stem)
def test_case_renders_as_its_golden_file(case: Path) -> None:
    golden = GOLDEN / case.name
    text = shown(case, paths.HELM / "helm", KUBERNETES_NEWEST)
    if os.environ.get("MILLRACE_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.full
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.stem)
def test_helm_3_renders_the_same_for_the_oldest_kubernetes(case: Path) -> None:
    text = shown(case, paths.HELM_3 / "helm", KUBERNETES_OLDEST)
    assert text == (GOLDEN / case.name).read_text()


def test_there_is_a_case_for_every_golden_file() -> None:
    assert [case.name for case in cases()] == sorted(file.name for file in GOLDEN.iterdir())
