"""Two jobs of the project on one fleet, whose processes die while readings come: what both give is
what undisturbed single processes make of the same topics."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cluster.case import wait_for_moment
from cluster.outputs import (
    Outputs,
    Text,
    assert_same_outputs,
    letters_of_topic,
    rows_of_parquet,
    text_differences,
    texts_of_topic,
)
from conftest import unique_name
from devtool.broker import Broker
from harness.fleet import Fleet
from harness.kafka import Kafka, Record
from harness.millrace import Process
from harness.waiting import wait_for
from pipelines.pipeline import JOBS, JobUnderTest, Simulation

PARTITIONS = 4
SLOTS = 2  # a worker
WORKERS = (1, 4, 2, 3)  # one after the other, in equal parts of a run
RUNNING_SECONDS = 90.0  # until both jobs have completed a checkpoint again
LEAVE_SECONDS = 60.0
DRAIN_SECONDS = 300.0
# Epochs in which what was gathered for files is a second old.
EPOCHS = 12
# Closes every window of what was sent before.
END = datetime(2025, 1, 1, tzinfo=UTC)
# What happens to whom, as often as it stands here.
FAULTS = (
    *["worker killed"] * 8,
    *["coordinator killed"] * 4,
    *["standby killed"] * 2,
    *["worker frozen"] * 2,
    *["worker told to leave"] * 2,
    "coordinator frozen",
    "coordinator told to leave",
)


@dataclass(frozen=True)
class Sizes:
    readings: int  # of each job
    faults: int
    seconds: float  # for which readings come, and in which the faults strike
    devices: int
    cars: int


@dataclass(frozen=True)
class Pipeline:
    """A job of the project, what feeds it, and what it gives."""

    simulated: str
    file: Path
    source: str
    topics: Mapping[str, int]  # of rows, with their partitions
    dead_letters: str
    folders: tuple[str, ...]
    flags: tuple[str, ...]
    texts: Mapping[str, str] = field(default_factory=dict)


SHARES = (
    "--malformed-share", "0.005", "--future-share", "0.005", "--late-share", "0.01",
    "--duplicate-share", "0.01",
)  # fmt: skip


def smoke(sizes: Sizes) -> Pipeline:
    return Pipeline(
        "smoke",
        JOBS / "smoke-detection" / "job.yaml",
        "smoke_sensor_data",
        {"smoke_alerts": 1, "smoke_metrics": 2, "smoke_unusual": 1, "smoke_sensor_health": 1},
        "smoke_dead_letters",
        ("smoke_metrics", "smoke_fleet", "smoke_sensor_health"),
        ("--devices", str(sizes.devices), "--stuck-devices", "1", "--gap-devices", "2",
         "--fires-per-day", "48", *SHARES),
    )  # fmt: skip


def vehicles(sizes: Sizes) -> Pipeline:
    folder = JOBS / "vehicle-telemetry"
    return Pipeline(
        "vehicles",
        folder / "job.yaml",
        "sensors-sample",
        {"samples-enriched": 4, "alert-data": 4, "alert-counts": 1, "vehicle-alerts": 1},
        "vehicle-dead-letters",
        ("vehicle_alert_counts",),
        ("--cars", str(sizes.cars), "--stuck-cars", "1", "--gap-cars", "1",
         "--null-share", "0.01", *SHARES),
        {"${env:VEHICLE_TABLES}": str(folder / "tables")},
    )  # fmt: skip


class Run:
    """A job with topics of its own but for its source."""

    def __init__(self, kafka: Kafka, folder: Path, pipeline: Pipeline, source: str) -> None:
        self._kafka = kafka
        self._pipeline = pipeline
        self._topics = {
            name: kafka.create_topic(unique_name(name), partitions)
            for name, partitions in {**pipeline.topics, pipeline.dead_letters: 1}.items()
        }
        self.job = JobUnderTest(
            kafka, folder, pipeline.file, {**self._topics, pipeline.source: source},
            **{
                # A partition that waits for its coordinator is not idle.
                "idle_after: 30s": "idle_after: 10m",
                "partition_by: [date]": "partition_by: [date], roll_interval: 1s",
                **pipeline.texts,
            },
        )  # fmt: skip

    def records(self) -> dict[str, Counter[Text]]:
        """Of each topic but the dead letters'."""
        with ThreadPoolExecutor(4) as pool:  # a consumer spends its time in starting and ending
            reads = {
                name: pool.submit(texts_of_topic, self._kafka, self._topics[name])
                for name in self._pipeline.topics
            }
            return {name: read.result() for name, read in reads.items()}

    def outputs(self, data_dir: Path) -> Outputs:
        """Dead letters, and the rows in files."""
        letters = letters_of_topic(self._kafka, self._topics[self._pipeline.dead_letters])
        # A folder that is called as a topic is renamed with it.
        files = {
            f"{name} (Parquet)": rows_of_parquet(data_dir / self._topics.get(name, name))
            for name in self._pipeline.folders
        }
        return Outputs({**files, "dead letters": letters})


def undisturbed(run: Run, readings: int) -> None:
    """A single process until it has given everything that the fleet will give."""
    with run.job.start() as job:
        job.wait_for_metric("millrace_records_in_total", readings, DRAIN_SECONDS, stream="readings")
        done = job.metrics().total("millrace_checkpoints_total", result="completed") or 0.0
        job.wait_for_metric(
            "millrace_checkpoints_total", done + EPOCHS, DRAIN_SECONDS, result="completed"
        )
        wait_for(
            "everything published",
            lambda: job.metrics().total("millrace_unpublished_epochs") == 0.0,
            DRAIN_SECONDS,
        )
        assert job.stop(60) == 0, job.output[-4000:]


def leave(process: Process, up: str) -> None:
    """One that has hardly begun would be killed by the signal."""
    process.wait_for_line(up)
    assert process.stop(LEAVE_SECONDS) == 0, process.output[-4000:]


class Soak:
    """Use as a context. Owned by one thread, like its `chance`."""

    def __init__(self, broker: Broker, folder: Path, sizes: Sizes, chance: random.Random) -> None:
        self._broker = broker
        self._folder = folder
        self._sizes = sizes
        self._chance = chance
        self._kafka = Kafka(broker.bootstrap)
        self._pipelines = [smoke(sizes), vehicles(sizes)]
        self._sources = [
            self._kafka.create_topic(unique_name(one.source), PARTITIONS) for one in self._pipelines
        ]
        self._fleet = Fleet(folder / "fleet", broker.bootstrap)
        self._runs = self._new_runs("fleet")
        self._coordinators: dict[int, Process] = {}  # by place
        self._names: list[str] = []
        self._next_worker = 0
        self._stack = ExitStack()
        self._began = 0.0

    def __enter__(self) -> Self:
        self._stack.enter_context(self._fleet)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _new_runs(self, folder: str) -> list[Run]:
        return [
            Run(self._kafka, self._folder / folder / one.simulated, one, source)
            for one, source in zip(self._pipelines, self._sources, strict=True)
        ]

    # ---- the run

    def run(self) -> None:
        simulations = self._start()
        share = self._sizes.seconds / self._sizes.faults
        faults: list[str] = []
        workers = 0
        for number in range(self._sizes.faults):
            self._wait_until((number + self._chance.random()) * share)
            wanted = WORKERS[number * len(WORKERS) // self._sizes.faults]
            if wanted != workers:
                self._scale(wanted)
                workers = wanted
            if number == self._sizes.faults // 2:
                self._tell(number, "the broker killed and restarted")
                self._broker.kill()
                self._broker.start()
            if not faults:
                faults = self._chance.sample(FAULTS, len(FAULTS))
            fault = faults.pop()
            self._tell(number, fault)
            self._strike(fault)
            # Now and then the next one strikes before anything goes on.
            if self._chance.random() < 0.7:
                self._wait_until_running()
        self._scale(WORKERS[-1])
        under_load = sum(one.code is None for one in simulations)
        print(f"[{time.monotonic() - self._began:.1f} s: the last fault; {under_load} still fed]")
        for simulation in simulations:
            assert simulation.wait(self._sizes.seconds + DRAIN_SECONDS) == 0, simulation.output
        self._check()

    def _start(self) -> list[Simulation]:
        for place in (0, 1):
            self._start_coordinator(place)
        self._scale(WORKERS[0])
        self._leading()
        for run in self._runs:
            self._fleet.apply(run.job.file)
        self._names = [run.job.name for run in self._runs]
        self._wait_until_running()
        self._began = time.monotonic()
        rate = self._sizes.readings / self._sizes.seconds
        return [
            self._stack.enter_context(
                Simulation(
                    self._kafka, self._folder / pipeline.simulated, pipeline.simulated,
                    "--topic", source, "--readings", str(self._sizes.readings),
                    "--rate", f"{rate:.0f}", "--seed", "9", "--start", "2024-06-01T23:40:00Z",
                    *pipeline.flags,
                )
            )
            for pipeline, source in zip(self._pipelines, self._sources, strict=True)
        ]  # fmt: skip

    def _check(self) -> None:
        self._close()
        expected = self._new_runs("undisturbed")
        readings = [sum(self._kafka.end_offsets(source).values()) for source in self._sources]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(undisturbed, expected, readings))
        for name in self._names:
            self._drain(name)
        print(f"[{time.monotonic() - self._began:.1f} s: drained; readings: {readings}]")
        for pipeline, ours, theirs in zip(self._pipelines, self._runs, expected, strict=True):
            found = ours.outputs(self._fleet.folder / "data")
            wanted = theirs.outputs(theirs.job.data_dir)
            found_records, wanted_records = ours.records(), theirs.records()
            counts = {
                **{target: records.total() for target, records in wanted_records.items()},
                **{target: len(rows) for target, rows in wanted.rows.items()},
            }
            print(f"[{pipeline.simulated}: {counts}]")
            assert all(counts.values())
            problems = [
                problem
                for target, records in wanted_records.items()
                for problem in text_differences(target, found_records[target], records)
            ]
            assert not problems, "\n".join(problems)
            assert_same_outputs(found, wanted)

    def _close(self) -> None:
        at = f"{END:%Y-%m-%dT%H:%M:%S}Z"
        bodies: list[dict[str, Any]] = [
            {"device_id": "end", "location": "end", "timestamp": at},
            {"event_id": "end", "event_time": at, "car_id": 1, "speed": 1, "rpm": 1, "gear": 1},
        ]
        for source, body in zip(self._sources, bodies, strict=True):
            self._kafka.produce(
                source,
                [
                    Record(
                        json.dumps(body).encode(),
                        partition=partition,
                        timestamp_ms=int(END.timestamp() * 1000),
                    )
                    for partition in range(PARTITIONS)
                ],
            )

    def _drain(self, name: str) -> None:
        """All that was sent is read, and what came of it is published and in files."""

        def epoch_at_end() -> int | None:
            job = self._job(name)
            return int(job["last_epoch"]) if job and int(job["lag_records"]) == 0 else None

        last = wait_for(f"no lag of {name}", epoch_at_end, DRAIN_SECONDS)

        def published() -> bool:
            job = self._job(name)
            return (
                job is not None
                and int(job["last_epoch"]) >= last + EPOCHS
                and int(job["unpublished_epochs"]) == 0
            )

        wait_for(f"{name} published", published, DRAIN_SECONDS)

    # ---- faults

    def _strike(self, fault: str) -> None:
        victim, what = fault.split(" ", 1)
        if victim == "worker":
            self._strike_worker(self._chance.choice(sorted(self._fleet.workers)), what)
            return
        leading = self._leading()
        place = leading if victim == "coordinator" else 1 - leading
        process = self._coordinators[place]
        if what == "killed":
            process.kill()
        elif what == "frozen":
            process.send(signal.SIGSTOP)
            self._coordinators[1 - place].wait_for_line("leads the cluster")
            process.send(signal.SIGCONT)
            # Another leads.
            assert process.wait(20) == 1, process.output[-4000:]
        else:
            leave(process, "coordinator is up")
        wait_for_moment(self._chance.uniform(0, 2))
        self._start_coordinator(place)

    def _strike_worker(self, name: str, what: str) -> None:
        worker = self._fleet.workers[name]
        if what == "frozen":
            worker.send(signal.SIGSTOP)
            wait_for_moment(self._chance.uniform(0.2, 5))
            worker.send(signal.SIGCONT)
            return
        if what == "killed":
            worker.kill()
        else:
            leave(worker, "worker is up")
        wait_for_moment(self._chance.uniform(0, 2))
        self._fleet.start_worker(name, SLOTS)

    def _scale(self, count: int) -> None:
        workers = self._fleet.workers
        while len(workers) < count:
            self._fleet.start_worker(f"worker-{self._next_worker}", SLOTS)
            self._next_worker += 1
        while len(workers) > count:
            name = self._chance.choice(sorted(workers))
            leave(workers[name], "worker is up")
            del workers[name]

    def _start_coordinator(self, place: int) -> None:
        self._coordinators[place] = self._fleet.start_coordinator(place=place)

    def _leading(self) -> int:
        """The place of the coordinator that leads."""

        def look() -> tuple[int] | None:
            for place, process in self._coordinators.items():
                assert process.code is None, process.output[-4000:]
                if "leads the cluster" in process.stderr:
                    self._fleet.place = place
                    return (place,)
            return None

        return wait_for("a coordinator that leads", look)[0]

    # ---- looking

    def _job(self, name: str) -> dict[str, Any] | None:
        for process in self._fleet.workers.values():
            assert process.code is None, process.output[-4000:]
        self._leading()
        job = self._fleet.job(name)
        assert job is None or job["state"] != "failed", job
        return job

    def _wait_until_running(self) -> None:
        """Both jobs, each with a checkpoint of its present attempt."""
        for name in [run.job.name for run in self._runs]:
            last: dict[str, Any] | None = None

            def look(name: str = name) -> bool:
                nonlocal last
                last = self._job(name)
                return (
                    last is not None and last["state"] == "running" and int(last["checkpoints"]) > 0
                )

            try:
                wait_for(f"{name} running", look, RUNNING_SECONDS)
            except AssertionError as error:
                leader = self._coordinators[self._leading()]
                raise AssertionError(f"{error}\nlast: {last}\n{leader.stderr[-6000:]}") from None

    def _wait_until(self, seconds: float) -> None:
        began = self._began
        wait_for("the moment", lambda: time.monotonic() - began >= seconds, seconds + 1)

    def _tell(self, number: int, what: str) -> None:
        print(f"[{time.monotonic() - self._began:.1f} s, {number}: {what}]", flush=True)
