"""Where things are. Everything that is generated lies in build, .venv, .cache or .run."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DEPENDENCIES = ROOT / "tools" / "dependencies"
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"  # kept between runs: the broker's jars, locks
RUN = ROOT / ".run"  # what running things leave: logs, broker data, demo output
LOGS = RUN / "logs"
BROKER_JARS = CACHE / "broker"
HELM = CACHE / "helm"  # folders of programs (devtool/chart_tools.py)
HELM_3 = CACHE / "helm-3"
PROMETHEUS_TOOLS = CACHE / "prometheus"
API_SERVER = CACHE / "kube-apiserver"
CHART = ROOT / "helm" / "millrace"


def build_dir(preset: str = "release") -> Path:
    return ROOT / "build" / preset


def millrace(preset: str = "release") -> Path:
    return build_dir(preset) / "bin" / "millrace"


def venv_python() -> Path:
    return VENV / "bin" / "python"
