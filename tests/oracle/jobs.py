"""Jobs of the project run under topics and folders of a test's own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import unique_name
from devtool import paths
from harness import millrace
from harness.kafka import Kafka

SMOKE = paths.ROOT / "jobs" / "smoke-detection"
INPUT, ALERTS, METRICS, DEAD_LETTERS, UNUSUAL, SENSOR_HEALTH = (
    "smoke_sensor_data",
    "smoke_alerts",
    "smoke_metrics",
    "smoke_dead_letters",
    "smoke_unusual",
    "smoke_sensor_health",
)
RUN_SECONDS = 120.0


class SmokeRun:
    """`jobs/smoke-detection/job.yaml` over one input topic to its end; then its outputs."""

    def __init__(
        self, kafka: Kafka, input_topic: str, folder: Path, *, parallelism: int | None = None
    ) -> None:
        self._kafka = kafka
        self._topics = {
            name: kafka.create_topic(unique_name(name), partitions)
            for name, partitions in {
                METRICS: 4,
                ALERTS: 1,
                DEAD_LETTERS: 2,
                UNUSUAL: 1,
                SENSOR_HEALTH: 1,
            }.items()
        }
        job = write_job(SMOKE / "job.yaml", folder, {**self._topics, INPUT: input_topic})
        arguments = ["--end-when-idle", "1s"]
        if parallelism is not None:
            arguments += ["--parallelism", str(parallelism)]
        with millrace.Job(job, folder, brokers=kafka.bootstrap, arguments=arguments) as running:
            code = running.wait(RUN_SECONDS)
            assert code == 0, running.output[-4000:]
            self.summary = running.summary()
            self.data_dir = running.data_dir

    def metrics(self) -> list[dict[str, Any]]:
        return self._rows(METRICS)

    def alerts(self) -> list[dict[str, Any]]:
        return self._rows(ALERTS)

    def unusual(self) -> list[dict[str, Any]]:
        return self._rows(UNUSUAL)

    def sensor_health(self) -> list[dict[str, Any]]:
        return self._rows(SENSOR_HEALTH)

    def dead_letters(self, *streams: str) -> list[tuple[str, int, int, bytes | None]]:
        """Those of some streams: reason, partition and offset of the record, original bytes;
        sorted."""
        return sorted(
            (
                text(record.header("reason")),
                int(text(record.header("partition"))),
                int(text(record.header("offset"))),
                record.value,
            )
            for record in self._kafka.read_all(self._topics[DEAD_LETTERS])
            if text(record.header("stream")) in streams
        )

    def _rows(self, topic: str) -> list[dict[str, Any]]:
        return [
            json.loads(record.value or b"") for record in self._kafka.read_all(self._topics[topic])
        ]


def text(header: bytes | None) -> str:
    assert header is not None
    return header.decode()


def write_job(job: Path, folder: Path, names: Mapping[str, str]) -> Path:
    """A copy under a name of its own, with topics and folders renamed."""
    copy = job.read_text()
    for name, replacement in names.items():
        copy, count = re.subn(rf"\b{name}\b", replacement, copy)
        assert count > 0, f"{job} does not name {name}"
    copy, count = re.subn(r"(?m)^(metadata: \{name: )", rf"\g<1>{unique_name('job')}-", copy)
    assert count == 1
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / job.name
    path.write_text(copy)
    return path


def simulate(kafka: Kafka, topic: str, folder: Path, *flags: str) -> dict[str, Any]:
    """Fills the topic with simulated readings; the account."""
    folder.mkdir(parents=True, exist_ok=True)
    account = folder / "account.json"
    finished = millrace.run(
        ["simulate", "smoke", "--brokers", kafka.bootstrap, "--topic", topic,
         "--account", account, *flags],
    )  # fmt: skip
    assert finished.code == 0, finished.stderr
    loaded: dict[str, Any] = json.loads(account.read_text())
    return loaded
