"""What a cluster costs beside one process: CPU a reading, where the job says that its topic is
keyed, where each reading is exchanged, and with TLS; an idle worker's memory; the time from
starting the processes to the first row.

Usage: python -m bench.cluster --folder FOLDER [--readings N] [--runs N] [--json FILE], in the
project's .venv: `tools/dev bench cluster` does it.

CPU is that of all processes of the cluster, the coordinator's too, between two samples in the
middle of the work: a tenth of the input is read, and the last before all of it is. So starting, and
closing windows at the end, do not count.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from bench import check_output, measuring
from devtool import console, paths
from devtool.bench import DEVICES, FIRST_SECOND, PARTITIONS, Query, expected_output
from devtool.broker import Broker
from harness.fleet import Fleet, NodeTls
from harness.kafka import Kafka, Record
from harness.millrace import Job, Metrics, Process
from harness.waiting import wait_for

# Slots of a fleet in all, and the tasks of the one process: as many as there are partitions.
SLOTS = PARTITIONS
SAMPLE_SECONDS = 0.2
IDLE_SECONDS = 5.0
RUN_SECONDS_MAX = 600.0
WANTED = {"exchanged": 1.6, "keyed": 1.15, "rss": 60e6, "start": 3.0}
# How bench-fill places its readings.
KEYED_BY = f"keyed_by: {{column: device_id, partitions: {PARTITIONS}, partitioner: murmur2}}"
TOPIC = "bench-exchange"
QUERY = Query("exchange")


@dataclass(frozen=True)
class Case:
    """What runs the job; workers 0: `millrace run`."""

    workers: int
    tls: bool = False
    keyed: bool = False  # the job says that its topic is

    @property
    def title(self) -> str:
        if self.workers == 0:
            return "one process"
        count = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        return f"coordinator, {count}{', TLS' if self.tls else ''}{', keyed' if self.keyed else ''}"

    @property
    def name(self) -> str:
        return f"{self.workers}{'-tls' if self.tls else ''}{'-keyed' if self.keyed else ''}"

    @property
    def wanted(self) -> float | None:
        """At most so many times what one process takes."""
        if self.workers == 0 or self.tls:
            return None
        return WANTED["keyed" if self.keyed else "exchanged"]


FLEETS = (1, 2, 4)
CASES = (
    Case(0),
    *(Case(workers) for workers in FLEETS),
    *(Case(workers, keyed=True) for workers in FLEETS),
    *(Case(workers, tls=True) for workers in FLEETS),
)


@dataclass(frozen=True)
class Sample:
    at: float
    readings: int
    cpu: float
    coordinator_cpu: float


@dataclass(frozen=True)
class Cost:
    """Of the part between two samples, a million readings."""

    seconds: float
    cpu: float
    coordinator_cpu: float
    readings_per_second: float


@dataclass
class Bench:
    broker: Broker
    kafka: Kafka
    folder: Path
    readings: int
    tls: NodeTls
    problems: list[str] = field(default_factory=list)

    def fill(self) -> None:
        console.run_step(
            f"fill: {self.readings:,} readings of {DEVICES:,} devices",
            [paths.build_dir() / "bin" / "bench-fill", self.broker.bootstrap, TOPIC,
             str(self.readings), str(DEVICES)],
            "bench-fill",
        )  # fmt: skip
        # A day later, in each partition: every window is over.
        last = FIRST_SECOND + self.readings // DEVICES + 86_400
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last))
        body = json.dumps({"device_id": "end", "timestamp": at}).encode()
        self.kafka.produce(TOPIC, [Record(body, partition=one) for one in range(PARTITIONS)])

    @property
    def total(self) -> int:
        """Readings in the topic."""
        return self.readings + PARTITIONS

    def job_file(self, name: str, *, keyed: bool = False) -> tuple[Path, str]:
        """A job and its output topic, both of this name."""
        self.kafka.create_topic(name, PARTITIONS)
        text = (paths.ROOT / "tools" / "bench" / "exchange.yaml").read_text()
        for old, new in (
            ("name: bench-exchange}", f"name: {name}}}"),
            ("${env:MILLRACE_BENCH_INPUT}", TOPIC),
            ("${env:MILLRACE_BENCH_OUTPUT}", name),
            *((("start_from:", f"{KEYED_BY}, start_from:"),) if keyed else ()),
        ):
            assert old in text, old
            text = text.replace(old, new)
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        return path, name

    @contextlib.contextmanager
    def fleet(self, name: str, workers: int, tls: bool = False) -> Iterator[Fleet]:
        """The coordinator and the workers are there, and nothing runs."""
        slots = SLOTS // workers
        with Fleet(self.folder / name, self.broker.bootstrap, self.tls if tls else None) as fleet:
            fleet.start_coordinator().wait_for_line("leads the cluster")
            for number in range(workers):
                fleet.start_worker(f"worker-{number}", slots)
            fleet.wait_for_workers(workers)
            yield fleet

    def cost(self, case: Case, number: int) -> Cost:
        name = f"bench-{case.name}-{number}"
        file, output = self.job_file(name, keyed=case.keyed)
        with console.step(f"{case.title} ({number})"):
            if case.workers == 0:
                with Job(
                    file,
                    self.folder / name,
                    brokers=self.broker.bootstrap,
                    arguments=["--parallelism", str(SLOTS)],
                ) as job:
                    cost = self.watch([job], None, lambda: [job.metrics()])
                    self.check(case.title, output)
                return cost
            with self.fleet(name, case.workers, case.tls) as fleet:
                fleet.apply(file)
                workers = list(fleet.workers.values())
                cost = self.watch(
                    [fleet.coordinator, *workers],
                    fleet.coordinator,
                    lambda: [fleet.metrics(worker) for worker in workers],
                )
                self.check(case.title, output)
                return cost

    def watch(
        self,
        processes: Sequence[Process],
        coordinator: Process | None,
        metrics: Callable[[], Sequence[Metrics]],
    ) -> Cost:
        samples: list[Sample] = []
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while not samples or samples[-1].readings < self.total:
            assert time.monotonic() < deadline, f"not read in time: {samples[-1]}"
            time.sleep(SAMPLE_SECONDS)
            dead = [one for one in processes if one.code is not None]
            assert not dead, dead[0].output[-4000:]
            scrapes = metrics()
            read = sum(
                one.total("millrace_records_in_total", stream="readings") or 0 for one in scrapes
            )
            samples.append(
                Sample(
                    time.monotonic(),
                    int(read),
                    measuring.cpu_seconds(one.pid for one in processes),
                    measuring.cpu_seconds([coordinator.pid]) if coordinator is not None else 0.0,
                )
            )
        return cost_of(samples, self.total)

    def check(self, title: str, output: str) -> None:
        """Every window is in the output once, with all of its readings."""
        expected = expected_output(QUERY, self.readings)

        def enough() -> bool:
            return sum(self.kafka.end_offsets(output).values()) >= expected["rows"]

        wait_for("all windows", enough, 60)
        found: dict[str, int] = {}

        def count() -> bool:
            nonlocal found
            found = check_output.count(self.broker.bootstrap, output)
            return found["rows"] >= expected["rows"]

        with contextlib.suppress(AssertionError):
            wait_for("all windows", count, 30)
        if found != expected:
            self.problems.append(f"{title}: the output holds {found}, expected {expected}")

    def idle(self) -> dict[str, dict[str, int]]:
        """The most that idle workers and their coordinator hold within some seconds."""
        most: dict[str, dict[str, int]] = {}
        with console.step("idle workers"), self.fleet("bench-idle", 2) as fleet:
            until = time.monotonic() + IDLE_SECONDS
            while time.monotonic() < until:
                for name, one in (("coordinator", fleet.coordinator), *fleet.workers.items()):
                    rss, pss = measuring.resident_bytes(one.pid)
                    kind = "coordinator" if name == "coordinator" else "worker"
                    before = most.get(kind, {"rss": 0, "pss": 0})
                    most[kind] = {"rss": max(rss, before["rss"]), "pss": max(pss, before["pss"])}
                time.sleep(SAMPLE_SECONDS)
        return most

    def start(self, number: int) -> float:
        """Seconds from starting a coordinator and two workers to the first row that a consumer of
        committed rows sees. The job is applied as soon as the coordinator takes it."""
        file, output = self.job_file(f"bench-start-{number}")
        with (
            console.step(f"start ({number})"),
            measuring.Arrivals(self.broker.bootstrap, output, PARTITIONS) as arrivals,
            Fleet(self.folder / output, self.broker.bootstrap) as fleet,
        ):
            begin = time.time()
            fleet.start_coordinator()
            for worker in range(2):
                fleet.start_worker(f"worker-{worker}", SLOTS // 2)
            wait_for("the admin API", lambda: applied(fleet, file))
            wait_for("a row", lambda: bool(arrivals.times))
            return arrivals.times[0] - begin


def applied(fleet: Fleet, file: Path) -> bool:
    """False while nobody takes it."""
    try:
        return bool(fleet.apply(file))
    except requests.ConnectionError:
        return False


def cost_of(samples: Sequence[Sample], total: int) -> Cost:
    steady = [one for one in samples if total // 10 <= one.readings < total]
    if len(steady) < 2 or steady[-1].readings - steady[0].readings < total // 2:
        raise console.ToolError("the run was too short to be measured: more --readings")
    first, last = steady[0], steady[-1]
    millions = (last.readings - first.readings) / 1e6
    return Cost(
        last.at - first.at,
        (last.cpu - first.cpu) / millions,
        (last.coordinator_cpu - first.coordinator_cpu) / millions,
        millions * 1e6 / (last.at - first.at),
    )


def summarise(costs: Mapping[Case, Sequence[Cost]]) -> list[dict[str, Any]]:
    """Medians; ratios of medians."""
    single = statistics.median(one.cpu for one in costs[Case(0)])
    rows = []
    for case, some in costs.items():
        cpu = [one.cpu for one in some]
        plain = costs.get(Case(case.workers)) if case.tls else None
        rows.append(
            {
                "case": case.title,
                "readings_per_second": round(
                    statistics.median(one.readings_per_second for one in some)
                ),
                "cpu_seconds_per_million": round(statistics.median(cpu), 3),
                "cpu_spread": round((max(cpu) - min(cpu)) / statistics.median(cpu), 3),
                "coordinator_cpu_seconds_per_million": round(
                    statistics.median(one.coordinator_cpu for one in some), 4
                ),
                "ratio": round(statistics.median(cpu) / single, 3),
                "wanted": case.wanted,
                "to_without_tls": None
                if plain is None
                else round(statistics.median(cpu) / statistics.median(one.cpu for one in plain), 3),
            }
        )
    return rows


def report(result: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{result['readings']:,} readings of {DEVICES:,} devices, {SLOTS} slots,"
        f" {result['runs']} runs in turn, {result['cores']} cores with the broker beside",
        f"{'':29}{'readings/s':>12}{'CPU s/million':>15}{'spread':>8}{'coordinator':>13}"
        f"{'to one':>8}{'wanted':>8}{'TLS':>7}",
    ]
    for one in result["cpu"]:
        tls = "" if one["to_without_tls"] is None else f"{one['to_without_tls']:.2f}"
        wanted = "" if one["wanted"] is None else f"{one['wanted']:g}"
        lines.append(
            f"{one['case']:29}{one['readings_per_second']:>12,}"
            f"{one['cpu_seconds_per_million']:>15.2f}{one['cpu_spread']:>8.0%}"
            f"{one['coordinator_cpu_seconds_per_million']:>13.3f}{one['ratio']:>8.2f}{wanted:>8}"
            f"{tls:>7}"
        )
    for kind, one in result["idle"].items():
        wanted = f" (wanted: {WANTED['rss'] / 1e6:.0f} MB)" if kind == "worker" else ""
        lines.append(
            f"an idle {kind}: {one['rss'] / 1e6:.0f} MB RSS{wanted}, {one['pss'] / 1e6:.0f} MB PSS"
        )
    starts = ", ".join(f"{seconds:.2f}" for seconds in result["start_seconds"])
    lines.append(f"start to first row: {starts} s (wanted: {WANTED['start']:g} s)")
    lines.append(f"output counts {'correct' if result['output_counts_correct'] else 'WRONG'}")
    return lines


def main() -> int:
    """The exit code: 0, 1 when an output's count is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--readings", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    costs: dict[Case, list[Cost]] = {case: [] for case in CASES}
    with Broker(options.folder / "broker") as broker:
        bench = Bench(
            broker,
            Kafka(broker.bootstrap),
            options.folder,
            options.readings,
            NodeTls.make(options.folder),
        )
        bench.fill()
        idle = bench.idle()
        for number in range(1, options.runs + 1):
            for case in CASES:
                costs[case].append(bench.cost(case, number))
        # Last: the broker has made its own topics by then.
        starts = [bench.start(number) for number in range(1, options.runs + 1)]
    result = {
        "readings": options.readings,
        "runs": options.runs,
        "cores": os.cpu_count(),
        "cpu": summarise(costs),
        "idle": idle,
        "start_seconds": [round(seconds, 3) for seconds in starts],
        "output_counts_correct": not bench.problems,
    }
    print("\n".join(report(result)))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    for problem in bench.problems:
        console.say(f"error: {problem}")
    return 1 if bench.problems else 0


if __name__ == "__main__":
    sys.exit(main())
