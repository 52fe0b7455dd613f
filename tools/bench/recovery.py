"""What it takes a cluster with much state to go on: a worker is killed, or the coordinator; workers
come, or leave.

Usage: python -m bench.recovery --folder FOLDER --gigabytes N --slots N --runs N [--json FILE], in
the project's .venv: `tools/dev bench recovery` does it.

Windows of a day that stay open are the state; meanwhile a steady load adds to them, and some of its
readings are passed on. When those arrive at a consumer of committed rows is what is measured: a
checkpoint that all tasks have a part in must be complete before they do. With two slots a worker
two workers have as many tasks as the topic has partitions, and four no more; with one the tasks are
as many as the workers, and state is cut anew as they come and leave.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measuring
from cluster.live import log_lines
from cluster.wide_windows import COLUMN_LINES, COLUMNS, STREAM_LINES
from devtool import console, paths
from devtool.bench import FIRST_SECOND, PARTITIONS
from devtool.broker import Broker
from harness.fleet import Fleet
from harness.kafka import Kafka, Record
from harness.waiting import wait_for

PER_DEVICE = 4  # readings
DEVICES_PER_GIGABYTE = 1_000_000  # about
DEVICES_MAX = 1_000_000
TURN_SECONDS = 0.01
# In each turn, of every partition: one that is passed on, and these.
LOAD_PER_TURN = 10
NAME = "bench-recovery"
INPUT, OUTPUT = "bench-recovery-in", "bench-recovery-out"
FILL_SECONDS_MAX = 1200.0
MOVE_SECONDS_MAX = 180.0
# A row that arrives so soon after it was sent: nothing is behind.
SETTLED_SECONDS = 1.5
TRACE_SECONDS = 12.0


def job() -> str:
    return f"""\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {NAME}}}
spec:
  checkpoint: {{interval: 200ms}}
  state: {{memory: 4GiB}}
  streams:
    readings:
      kafka:
        topics: [{INPUT}]
        start_from: earliest
        properties: {{fetch.wait.max.ms: 20}}
      format: json
      columns:
        device_id: text
        observed_at: {{type: timestamp, from: timestamp}}
        live: bigint
{COLUMN_LINES}
      event_time: {{column: observed_at, max_delay: 2s, idle_after: 1h}}
    passed:
      sql: SELECT device_id, live FROM readings WHERE live >= 0
{STREAM_LINES}
  sinks:
    - {{stream: passed, kafka: {{topic: {OUTPUT}}}}}
    - {{stream: devices, files: {{path: devices, format: json}}}}
"""


class Load:
    """Readings at a steady rate, of devices that have state. Use as a context."""

    def __init__(self, kafka: Kafka, devices: int) -> None:
        self.sent: dict[int, float] = {}
        self._sender = kafka.sender()
        self._devices = devices
        self._random = random.Random(1)
        self._end = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            begin = time.monotonic()
            turn = 0
            # What a turn that took long has cost is made up for.
            while not self._end.wait(max(0.0, begin + turn * TURN_SECONDS - time.monotonic())):
                self._turn(turn, time.monotonic() - begin)
                turn += 1
        except Exception as error:  # told by __exit__
            self._failure = error

    def _turn(self, turn: int, passed: float) -> None:
        second = time.gmtime(FIRST_SECOND + PER_DEVICE + passed)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", second) + f".{int(passed % 1 * 1000):03}Z"
        records = []
        self.sent[turn] = time.time()
        for partition in range(PARTITIONS):
            for number in range(LOAD_PER_TURN + 1):
                device = f"dev-{self._random.randrange(self._devices):04}"
                body: dict[str, object] = {"device_id": device, "timestamp": at}
                body |= {column: self._random.randrange(1000) / 10 for column in COLUMNS}
                if number == 0:
                    body["live"] = turn
                records.append(Record(json.dumps(body).encode(), partition=partition))
        self._sender.send(INPUT, records)


@dataclass(frozen=True)
class Event:
    """What was done to the fleet. `gone_on`: seconds until rows came again, behind the longest
    pause; `pause`: its length; `cpu`: what the fleet used in the pause."""

    title: str
    gone_on: float
    pause: float
    cpu: float


class Bench:
    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.events: list[Event] = []
        self._trace = folder / "recovery-trace.log"
        self._delay = float("inf")  # of the last row, from its sending to its arrival
        self._seen = -1
        self._arrivals: measuring.Arrivals | None = None
        self._load: Load | None = None
        self._cpu: list[tuple[float, dict[int, float]]] = []  # by process

    def connect(self, arrivals: measuring.Arrivals, load: Load) -> None:
        self._arrivals, self._load = arrivals, load

    def on_row(self, row: measuring.Row, at: float) -> None:
        number = int(row["live"])
        if self._load is not None and number in self._load.sent:
            self._delay = at - self._load.sent[number]
            self._seen = max(self._seen, number)

    def is_settled(self, workers: set[str], tasks: int | None = None) -> bool:
        """The job runs on just these, as so many tasks, and its output keeps up."""
        status = self.fleet.job(NAME)
        return (
            status is not None
            and status["state"] == "running"
            and set(status["slot_workers"]) == workers
            and tasks in (None, len(status["slot_workers"]))
            and int(status["checkpoints"]) > 0
            and self._delay < SETTLED_SECONDS
        )

    def settle(
        self, workers: set[str], seconds: float = MOVE_SECONDS_MAX, tasks: int | None = None
    ) -> None:
        """Until it has been so for two seconds."""
        since: float | None = None

        def look() -> bool:
            nonlocal since
            self._sample_cpu()
            if not self.is_settled(workers, tasks):
                since = None
            elif since is None:
                since = time.monotonic()
            return since is not None and time.monotonic() - since >= 2.0

        wait_for(f"the job on {sorted(workers)}", look, seconds)

    def event(
        self, title: str, do: Callable[[], None], workers: set[str], tasks: int | None = None
    ) -> None:
        assert self._arrivals is not None
        with console.step(title):
            self._cpu.clear()
            at = time.time()
            do()
            self._sample_cpu()
            self.settle(workers, tasks=tasks)
            begin, end = self._arrivals.longest_pause(at, time.time())
        self.events.append(Event(title, end - at, end - begin, cpu_between(self._cpu, begin, end)))
        self._write_trace(title, at, begin, end)

    def _sample_cpu(self) -> None:
        used = {}
        for process in [*self.fleet.coordinators, *self.fleet.workers.values()]:
            if process.code is None:
                used[process.pid] = measuring.cpu_seconds([process.pid])
        self._cpu.append((time.time(), used))

    def _write_trace(self, title: str, at: float, begin: float, end: float) -> None:
        """What the processes logged meanwhile, by the seconds since."""
        lines = [(begin - at, "rows pause"), (end - at, "rows go on")]
        for process in [*self.fleet.coordinators, *self.fleet.workers.values()]:
            lines += [
                (when - at, f"{process.stderr_path.stem}: {text}")
                for when, text in log_lines(process, "")
                if -1.0 <= when - at <= max(TRACE_SECONDS, end - at + 1.0)
            ]
        with self._trace.open("a") as trace:
            trace.write(f"== {title}\n")
            trace.writelines(f"{when:8.3f} {text}\n" for when, text in sorted(lines))


def cpu_between(
    samples: Sequence[tuple[float, Mapping[int, float]]], begin: float, end: float
) -> float:
    """Of processes that are sampled from time to time, some only for a part of it."""
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for at, used in samples:
        for pid, seconds in used.items():
            if at <= begin or pid not in first:
                first[pid] = seconds
            if at <= end:
                last[pid] = seconds
    return sum(seconds - first[pid] for pid, seconds in last.items())


def one_run(bench: Bench, slots: int, how: str) -> None:
    """On two workers, each of which offers `slots`; ends with two workers."""
    fleet = bench.fleet

    def start(*names: str) -> None:
        for name in names:
            fleet.start_worker(name, slots)

    def leave(*names: str) -> None:
        for name in names:
            fleet.workers[name].send(signal.SIGTERM)
        for name in names:
            fleet.workers.pop(name).wait(MOVE_SECONDS_MAX)

    both, all_of_them = {"worker-0", "worker-1"}, {f"worker-{i}" for i in range(4)}
    bench.event(f"one of two is killed{how}", fleet.workers["worker-1"].kill, {"worker-0"})
    bench.event(f"it comes again{how}", lambda: start("worker-1"), both)
    bench.event(f"two more come{how}", lambda: start("worker-2", "worker-3"), all_of_them)
    bench.event(f"two leave{how}", lambda: leave("worker-2", "worker-3"), both)
    lose_the_coordinator(bench, f"the coordinator is killed{how}", both)


def lose_the_coordinator(bench: Bench, title: str, workers: set[str]) -> None:
    """A standby is there, and another one in the end."""
    fleet = bench.fleet
    leader, _ = fleet.coordinators[-2:]
    free, fleet.place = fleet.place, 1 - fleet.place
    bench.event(title, leader.kill, workers)
    fleet.start_coordinator(place=free).wait_for_line("standing by")


def rescales(bench: Bench) -> None:
    """From as many tasks as there are partitions to fewer, one after another, and back."""
    for tasks in (3, 2, PARTITIONS):

        def rescale(tasks: int = tasks) -> None:
            answer = bench.fleet.request("POST", f"jobs/{NAME}/rescale", {"parallelism": tasks})
            assert answer.ok, answer.text

        bench.event(f"rescaled to {tasks} tasks", rescale, {"worker-0", "worker-1"}, tasks)


def report(result: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{result['state_bytes'] / 1e9:.2f} GB of state, {result['devices']:,} devices,"
        f" {result['load_per_second']:,.0f} readings/s meanwhile, {result['slots']} slots a worker,"
        f" {result['cores']} cores",
        f"{'':40}{'goes on after s':>20}{'pause s':>20}{'CPU s in it':>20}{'wanted s':>9}",
    ]
    for one in result["events"]:
        gone_on = ", ".join(f"{seconds:.2f}" for seconds in one["gone_on_seconds"])
        pause = ", ".join(f"{seconds:.2f}" for seconds in one["pause_seconds"])
        cpu = ", ".join(f"{seconds:.2f}" for seconds in one["cpu_seconds"])
        lines.append(f"{one['title']:40}{gone_on:>20}{pause:>20}{cpu:>20}{one['wanted']:>9}")
    return lines


def summarise(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Of each kind, in the order of the runs."""
    titles = dict.fromkeys(event.title for event in events)
    summary = []
    for title in titles:
        some = [event for event in events if event.title == title]
        killed = "killed" in title
        summary.append(
            {
                "title": title,
                "gone_on_seconds": [round(event.gone_on, 2) for event in some],
                "pause_seconds": [round(event.pause, 2) for event in some],
                "cpu_seconds": [round(event.cpu, 2) for event in some],
                "pause_median": round(statistics.median(event.pause for event in some), 2),
                "wanted": "5" if killed else "2",
            }
        )
    return summary


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, required=True)
    parser.add_argument("--slots", type=int, required=True, help="that a worker offers")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    devices = round(options.gigabytes * DEVICES_PER_GIGABYTE)
    if not 1 <= devices <= DEVICES_MAX:
        raise console.ToolError(f"--gigabytes: up to {DEVICES_MAX / DEVICES_PER_GIGABYTE:.1f}")
    readings = devices * PER_DEVICE
    file = options.folder / "recovery.yaml"
    file.write_text(job())
    with Broker(options.folder / "broker") as broker:
        kafka = Kafka(broker.bootstrap)
        console.run_step(
            f"fill: {readings:,} readings of {devices:,} devices",
            [paths.build_dir() / "bin" / "bench-fill", broker.bootstrap, INPUT, str(readings),
             str(devices)],
            "bench-fill",
        )  # fmt: skip
        kafka.create_topic(OUTPUT, PARTITIONS)
        fleet = Fleet(options.folder, broker.bootstrap)
        bench = Bench(fleet, options.folder)
        arrivals = measuring.Arrivals(broker.bootstrap, OUTPUT, PARTITIONS, bench.on_row)
        load = Load(kafka, devices)
        bench.connect(arrivals, load)
        with fleet, arrivals, load:
            leader = fleet.start_coordinator()
            leader.wait_for_line("leads the cluster")
            fleet.start_coordinator(place=1).wait_for_line("standing by")
            for name in ("worker-0", "worker-1"):
                fleet.start_worker(name, options.slots)
            fleet.wait_for_workers(2)
            with console.step("the state grows"):
                fleet.apply(file)
                bench.settle({"worker-0", "worker-1"}, FILL_SECONDS_MAX)
            state = fleet.metrics(leader).total("millrace_checkpoint_size_bytes")
            for _ in range(options.runs):
                one_run(bench, options.slots, "")
            # Else it follows what the workers offer, but for a loss: then it stays.
            with console.step(f"parallelism {PARTITIONS}"):
                answer = fleet.request("POST", f"jobs/{NAME}/rescale", {"parallelism": PARTITIONS})
                assert answer.ok, answer.text
                bench.settle({"worker-0", "worker-1"}, tasks=PARTITIONS)
            for _ in range(options.runs):
                one_run(bench, options.slots, f", parallelism {PARTITIONS}")
            for _ in range(options.runs):
                rescales(bench)
    result = {
        "state_bytes": state,
        "devices": devices,
        "slots": options.slots,
        "load_per_second": PARTITIONS * (LOAD_PER_TURN + 1) / TURN_SECONDS,
        "runs": options.runs,
        "cores": os.cpu_count(),
        "events": summarise(bench.events),
    }
    print("\n".join(report(result)))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
