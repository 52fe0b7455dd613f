"""The pipelines that `tools/dev demo` shows: a job of jobs/, its topics, and a simulated fleet with
the faults of real ones, so that there is something to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devtool import paths


@dataclass(frozen=True)
class Pipeline:
    name: str
    inputs: Mapping[str, int]  # topic -> partitions
    outputs: Mapping[str, int]
    dead_letters: str
    fleet: tuple[str, ...]  # of `millrace simulate`, without how many and how fast
    bounded: tuple[str, ...]  # ... of a run with --once
    rate: int  # messages a second
    # The source's stream, and the one whose pane the fleet's account judges lateness by.
    source: str
    late_for: str
    unread: str = ""  # a count in the fleet's account of messages that the job does not read
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def unread_topics(self) -> set[str]:
        return {topic for topic in self.inputs if self.unread and topic.endswith(self.unread)}

    @property
    def job(self) -> Path:
        return paths.ROOT / "jobs" / self.name / "job.yaml"

    @property
    def topics(self) -> dict[str, int]:
        return {**self.inputs, **self.outputs, self.dead_letters: 1}


HYDRAULIC_SENSORS = (
    "PS1", "PS2", "PS3", "PS4", "PS5", "PS6", "EPS1", "FS1", "FS2", "TS1", "TS2", "TS3", "TS4",
    "VS1", "CE", "CP", "SE",
)  # fmt: skip
HYDRAULIC_TOPICS = {f"hydraulic-{name}": 1 for name in (*HYDRAULIC_SENSORS, "labels")}
HYDRAULIC_FAULTS = (
    "--late-share", "0.0005", "--malformed-share", "0.0005", "--future-share", "0.0002",
    "--null-share", "0.001", "--duplicate-share", "0.001", "--spike-share", "0.000002",
    "--overpressure-share", "0.2", "--overheating-share", "0.1", "--stuck-sensors", "1",
    "--gap-sensors", "1",
)  # fmt: skip

PIPELINES = {
    pipeline.name: pipeline
    for pipeline in (
        Pipeline(
            "smoke-detection",
            inputs={"smoke_sensor_data": 4},
            outputs={"smoke_metrics": 4, "smoke_alerts": 1, "smoke_unusual": 1,
                     "smoke_sensor_health": 1},
            dead_letters="smoke_dead_letters",
            fleet=("smoke", "--devices", "200", "--seed", "1", "--null-share", "0.02",
                   "--late-share", "0.0005", "--malformed-share", "0.0005", "--future-share",
                   "0.0002", "--duplicate-share", "0.001", "--stuck-devices", "2",
                   "--gap-devices", "2", "--fires-per-day", "6"),
            bounded=("--readings", "200000"),
            rate=20_000,  # 100 s of event time each second
            source="readings",
            late_for="metrics",
        ),
        Pipeline(
            "hydraulics",
            inputs=HYDRAULIC_TOPICS,
            outputs={"hydraulic-seconds": 4, "hydraulic-anomalies": 1,
                     "hydraulic-correlations": 1, "hydraulic-alerts": 1},
            dead_letters="hydraulic-dead-letters",
            fleet=("hydraulics", "--seed", "1", *HYDRAULIC_FAULTS),
            bounded=("--cycles", "10"),
            rate=36_000,  # 50 s of event time each second
            source="readings",
            late_for="seconds",
        ),
        Pipeline(
            "hydraulics-minute",
            inputs=HYDRAULIC_TOPICS,
            outputs={"hydraulic-analytics": 4, "hydraulic-history": 1, "hydraulic-health": 1,
                     "hydraulic-minute-alerts": 1},
            dead_letters="hydraulic-minute-dead-letters",
            fleet=("hydraulics", "--seed", "1", "--pane", "1m", *HYDRAULIC_FAULTS),
            bounded=("--cycles", "12"),
            rate=36_000,  # 50 s of event time each second
            source="readings",
            late_for="minutes",
            unread="labels",
        ),
        Pipeline(
            "building-sensors",
            inputs={"iot-sensors": 3},
            outputs={"iot-types": 1, "iot-last-ten": 3, "iot-health": 1, "iot-alerts": 1},
            dead_letters="iot-dead-letters",
            fleet=("building-sensors", "--seed", "1", "--sensors", "20", "--late-share", "0.001",
                   "--malformed-share", "0.001", "--future-share", "0.0005", "--null-share",
                   "0.001", "--duplicate-share", "0.001", "--spike-share", "0.002",
                   "--hot-sensors", "1", "--stuck-sensors", "1", "--gap-sensors", "1"),
            bounded=("--readings", "20000"),
            rate=2_000,  # 2 min of event time each second
            source="readings",
            late_for="types",
        ),
        Pipeline(
            "vehicle-telemetry",
            inputs={"sensors-sample": 4},
            outputs={"samples-enriched": 4, "alert-data": 4, "alert-counts": 1,
                     "vehicle-alerts": 1},
            dead_letters="vehicle-dead-letters",
            # Late ones would have to be waited for longer than a bounded run takes.
            fleet=("vehicles", "--seed", "1", "--cars", "21", "--malformed-share", "0.001",
                   "--future-share", "0.0005", "--null-share", "0.001", "--duplicate-share",
                   "0.001", "--stuck-cars", "1", "--gap-cars", "1"),
            bounded=("--readings", "60000"),
            rate=4_000,  # 3 min of event time each second
            source="readings",
            late_for="counts",
            environment={
                "VEHICLE_TABLES": str(paths.ROOT / "jobs" / "vehicle-telemetry" / "tables")
            },
        ),
    )
}  # fmt: skip
