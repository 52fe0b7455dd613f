"""Runs queries over readings in files, each into files of its own, to their end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import millrace


@dataclass(frozen=True)
class Ran:
    rows: dict[str, list[dict[str, Any]]]  # by query
    dead_letters: list[dict[str, Any]]
    summary: dict[str, Any]


def run_queries(
    folder: Path,
    sources: Mapping[str, Any],
    queries: Mapping[str, str],
    *,
    timeout_seconds: float,
    parallelism: int | None = None,
) -> Ran:
    """`sources` as below spec.streams of a job file. The account must balance."""
    spec: dict[str, Any] = {
        "streams": dict(sources) | {name: {"sql": sql} for name, sql in queries.items()},
        "sinks": [{"stream": name, "files": {"path": name}} for name in queries],
        "dead_letters": {"files": {"path": "dead"}},
    }
    if parallelism is not None:
        spec["parallelism"] = parallelism
    job = {
        "apiVersion": "millrace.dev/v1",
        "kind": "StreamJob",
        "metadata": {"name": "queries"},
        "spec": spec,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    with millrace.Job(path, folder) as running:
        code = running.wait(timeout_seconds)
        assert code == 0, running.output[-4000:]
        summary = running.summary()
    assert summary["ok"] and summary["balanced"], summary
    rows = {name: _lines(running.data_dir / name) for name in queries}
    return Ran(rows, _lines(running.data_dir / "dead"), summary)


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in sorted(folder.glob("**/*.jsonl"))
        for line in file.read_text().split("\n")
        if line
    ]
