"""`tools/dev bench`: a job's cost beside a raw drain of the same topic.

Fills a topic once, then, in turn, several times: a raw librdkafka drain and the job with a Kafka
sink, each a process of its own. Compares CPU, because the machine is shared with the broker and
wall time says more about it than about the job; medians, because single runs vary. Every run's
output is counted and must be exact. Figures are kept in docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtool import console, paths
from devtool.broker import Broker
from devtool.console import ToolError, say

CHECKPOINT = "checkpoint"
CLUSTER = "cluster"
RECOVERY = "recovery"
LOOKUP = "lookup"
FOLDER = paths.RUN / "bench"
READINGS = 10_000_000
DEVICES = 1_000
PARTITIONS = 4
RUNS = 3
GIGABYTES = 1.0
SLOTS = 2
# What the filler does: seconds since 1970 of the first round.
FIRST_SECOND = 1_654_733_331
IDLE_SECONDS = 2.0
RUN_TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class Query:
    """A job of tools/bench over a fleet. Size and slide of its windows in seconds; without them it
    takes the readings of every `every`th second row by row."""

    name: str
    size: int = 60
    slide: int = 60
    devices: int = DEVICES
    every: int = 0

    @property
    def title(self) -> str:
        return self.name if self.devices == DEVICES else f"{self.name}, {self.devices:,} devices"


QUERIES = {
    query.name: query
    for query in (
        Query("smoke", 300, 60),
        Query("q1", 300, 60),
        Query("q2"),
        Query("filter", every=20),
        Query("over", every=20),
        Query("pivot"),
        Query(LOOKUP, devices=1_000_000, every=20),
    )
}
# Jobs beside each other: what a difference in the query costs.
COMPARISONS = {
    "keys": (Query("hour", 3600, 3600), Query("hour", 3600, 3600, devices=1_000_000)),
    "panes": (Query("q2"), Query("panes", 1800, 60)),
    "per-key": (Query("q2"), Query("per-key")),
    "percentiles": (Query("q2"), Query("approximate"), Query("exact")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", choices=(*QUERIES, *COMPARISONS, CHECKPOINT, CLUSTER, RECOVERY))
    parser.add_argument("--readings", type=int, default=READINGS, help=f"default: {READINGS:,}")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"default: {RUNS}")
    parser.add_argument(
        "--gigabytes",
        type=float,
        default=GIGABYTES,
        help=f"of state, with {RECOVERY} (default: {GIGABYTES:g})",
    )
    parser.add_argument(
        "--slots",
        type=int,
        default=SLOTS,
        help=f"that a worker offers, with {RECOVERY} (default: {SLOTS})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """The exit code: 0, 1 when an output's count is wrong."""
    if args.readings < DEVICES or args.readings % DEVICES != 0:
        raise ToolError(f"--readings must be a multiple of {DEVICES}, one round of the devices")
    for name in ("runs", "slots"):
        if getattr(args, name) < 1:
            raise ToolError(f"--{name} must be at least 1")
    for program in (paths.millrace(), _program("bench-fill"), _program("bench-drain")):
        if not program.exists():
            raise ToolError(f"{program.relative_to(paths.ROOT)} is missing: run tools/dev build")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    if args.query == CHECKPOINT:
        return _run_checkpoint(args)
    if args.query in (CLUSTER, RECOVERY):
        return _run_fleet(args)
    queries = COMPARISONS.get(args.query) or (QUERIES[args.query],)
    if args.readings % max(query.devices for query in queries) != 0:
        raise ToolError("--readings must be a multiple of the largest fleet")
    with _broker() as broker:
        benches = [Bench(broker, query, args.readings) for query in queries]
        for bench in {bench.topic: bench for bench in benches}.values():
            bench.fill()
        for bench in benches:
            if bench.joins:
                bench.make_lookup()
        for number in range(1, args.runs + 1):
            for bench in benches:
                bench.drain(number)
                bench.job(number)
    results = [bench.result() for bench in benches]
    for result in results:
        print("\n".join(report(result)))
    for other in results[1:]:
        print(compare(results[0], other))
    if args.json is not None:
        written = results[0] if len(results) == 1 else {"comparison": args.query, "jobs": results}
        args.json.write_text(json.dumps(written, indent=2) + "\n")
    problems = [problem for bench in benches for problem in bench.problems]
    for problem in problems:
        say(f"error: {problem}")
    return 1 if problems else 0


def _run_fleet(args: argparse.Namespace) -> int:
    """tools/bench/cluster.py or recovery.py, which use the tests' fleet and its Kafka client."""
    for program in ("millrace-coordinator", "millrace-worker"):
        if not _program(program).exists():
            raise ToolError(f"{program} is missing: run tools/dev build")
    argv: list[str | Path] = [
        paths.venv_python(), "-m", f"bench.{args.query}",
        "--folder", FOLDER, "--runs", str(args.runs),
    ]  # fmt: skip
    if args.query == CLUSTER:
        argv += ["--readings", str(args.readings)]
    else:
        argv += ["--gigabytes", str(args.gigabytes), "--slots", str(args.slots)]
    if args.json is not None:
        argv += ["--json", args.json.absolute()]
    modules = os.pathsep.join(str(paths.ROOT / folder) for folder in ("tools", "tests"))
    return subprocess.run(
        [str(word) for word in argv], env={**os.environ, "PYTHONPATH": modules}, check=False
    ).returncode


# A million devices have an open window each; then these many of them report on.
HOT_DEVICES = {"20,000 of them change": 20_000, "all of them change": 1_000_000}
LIVE_DEVICES = 1_000_000
# Without a checkpoint before the end, and with one a second.
INTERVALS = ("1h", "1s")


def _run_checkpoint(args: argparse.Namespace) -> int:
    """What a checkpoint a second costs beside none, by how many of a million keys change."""
    wanted = max(args.readings, 4 * LIVE_DEVICES)
    result: dict[str, Any] = {"readings": wanted, "devices": LIVE_DEVICES, "cases": {}}
    problems: list[str] = []
    for case, (name, hot) in enumerate(HOT_DEVICES.items()):
        # Where every device is hot each epoch is like the next one.
        readings = min(wanted, 8 * LIVE_DEVICES) if hot == LIVE_DEVICES else wanted
        with _broker() as broker:
            topic = f"bench-input-{case}"
            console.run_step(
                f"fill: {readings:,} readings, {name}",
                [_program("bench-fill"), broker.bootstrap, topic, str(readings),
                 str(LIVE_DEVICES), str(hot)],
                "bench-fill",
            )  # fmt: skip
            runs: dict[str, list[dict[str, Any]]] = {interval: [] for interval in INTERVALS}
            for number in range(1, args.runs + 1):
                for interval in INTERVALS:
                    tag = f"{case}-{interval}-{number}"
                    runs[interval].append(_checkpoint_run(broker, topic, readings, interval, tag))
            result["cases"][name] = _checkpoint_costs(runs)
            problems += [
                f"{name}: {run['readings_in']:,} readings in, {run['rows_by_sink']}"
                for one in runs.values()
                for run in one
                if run["readings_in"] != readings or not run["balanced"]
            ]
    for name, costs in result["cases"].items():
        print(f"{LIVE_DEVICES:,} live keys, {name}:")
        for interval in INTERVALS:
            one = costs[interval]
            print(
                f"  interval {interval:3}{one['readings_per_second']:>12,.0f} readings/s"
                f"{one['cpu_seconds_per_million']:>8.2f} CPU s/million over"
                f" {one['steady_seconds']:.0f} s, stall p99 at most"
                f" {one['stall_p99_ms_at_most']:g} ms,"
                f" peak {one['peak_rss_bytes'] / 2**20:.0f} MiB"
            )
        print(
            f"  a checkpoint a second costs {costs['throughput_cost']:.1%} of the throughput,"
            f" {costs['cpu_cost']:.1%} of the CPU"
        )
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    for problem in problems:
        say(f"error: {problem}")
    return 1 if problems else 0


def _checkpoint_run(
    broker: Broker, topic: str, readings: int, interval: str, tag: str
) -> dict[str, Any]:
    output = f"bench-output-{tag}"
    broker.create_topics({output: PARTITIONS}, {"retention.ms": "-1"})
    summary = FOLDER / f"checkpoint-{tag}.json"
    argv: list[str | Path] = [
        paths.millrace(), "run", _job_file(CHECKPOINT, tag, interval),
        "--brokers", broker.bootstrap, "--end-when-idle", f"{IDLE_SECONDS:g}s",
        "--summary", summary,
        "--data-dir", FOLDER / f"data-{tag}", "--metrics-port", "0",
    ]  # fmt: skip
    env = {
        "MILLRACE_BENCH_INPUT": topic,
        "MILLRACE_BENCH_OUTPUT": output,
    }
    log = FOLDER / f"checkpoint-{tag}.log"
    watch = _Watch(log, readings)
    finished = _measure(f"job {tag}", argv, log, env, watch.look)
    shutil.rmtree(FOLDER / f"data-{tag}", ignore_errors=True)
    told: dict[str, Any] = json.loads(summary.read_text())
    return told | watch.figures() | {"peak_rss_bytes": finished.peak_rss_bytes}


@dataclass(frozen=True)
class _Sample:
    at: float
    readings: int
    cpu_seconds: float
    stalls: dict[float, int]  # pieces of work that took at most so many seconds; cumulative


class _Watch:
    """A job's metrics while it runs. What counts is between two samples: half of the input is read,
    so that no device is new any more and the checkpoints that held all of them are over; and the
    last before everything is read, when the windows close."""

    def __init__(self, log: Path, readings: int) -> None:
        self._log = log
        self._readings = readings
        self._address: str | None = None
        self._samples: list[_Sample] = []

    def look(self, pid: int) -> None:
        if self._address is None:
            found = re.search(r"metrics=(http://\S+)", self._log.read_text())
            if found is None:
                return
            self._address = found[1]
        try:
            with urllib.request.urlopen(self._address, timeout=5) as answer:
                text = answer.read().decode()
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return  # not yet there, or gone
        read = re.search(r'(?m)^millrace_records_in_total\{.*stream="readings"\} (\S+)$', text)
        stalls = re.findall(
            r'(?m)^millrace_checkpoint_stall_seconds_bucket\{.*le="([0-9.e+-]+)"\} (\d+)$', text
        )
        self._samples.append(
            _Sample(
                time.monotonic(),
                int(float(read[1])) if read is not None else 0,
                (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
                {float(bound): int(count) for bound, count in stalls},
            )
        )

    def figures(self) -> dict[str, float]:
        within = [one for one in self._samples if self._readings // 2 <= one.readings]
        steady = [one for one in within if one.readings < self._readings]
        if len(steady) < 2:
            raise ToolError("the job was too short to be measured: more --readings")
        first, last = steady[0], steady[-1]
        millions = (last.readings - first.readings) / 1e6
        stalls = {bound: count - first.stalls.get(bound, 0) for bound, count in last.stalls.items()}
        total = max(stalls.values(), default=0)
        return {
            "readings_per_second": millions * 1e6 / (last.at - first.at),
            "cpu_seconds_per_million": (last.cpu_seconds - first.cpu_seconds) / millions,
            "steady_seconds": last.at - first.at,
            "stall_p99_ms_at_most": 1e3
            * min((bound for bound, count in stalls.items() if count >= 0.99 * total), default=0.0),
        }


def _checkpoint_costs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Medians of the steady parts; stalls and memory: the worst."""
    costs: dict[str, Any] = {}
    for interval, one in runs.items():
        costs[interval] = {
            **{
                name: statistics.median(r[name] for r in one)
                for name in (
                    "readings_per_second",
                    "cpu_seconds_per_million",
                    "steady_seconds",
                    "checkpoints",
                )
            },
            "stall_p99_ms_at_most": max(r["stall_p99_ms_at_most"] for r in one),
            "peak_rss_bytes": max(r["peak_rss_bytes"] for r in one),
        }
    without, every = (costs[interval] for interval in INTERVALS)
    costs["throughput_cost"] = 1 - every["readings_per_second"] / without["readings_per_second"]
    costs["cpu_cost"] = every["cpu_seconds_per_million"] / without["cpu_seconds_per_million"] - 1
    return costs


@contextlib.contextmanager
def _broker() -> Iterator[Broker]:
    broker = Broker(FOLDER / "broker")
    with console.step("broker: start"):
        broker.start()
    try:
        yield broker
    finally:
        broker.remove()


def _program(name: str) -> Path:
    return paths.build_dir() / "bin" / name


@dataclass(frozen=True)
class Figures:
    """One run of one process. CPU and time of its busy part."""

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int


def expected_output(query: Query, readings: int) -> dict[str, int]:
    """Rows, which are distinct, and the readings in them: every device reports in every second."""
    rounds = readings // query.devices
    if query.every > 0:
        rows = (rounds + query.every - 1) // query.every * query.devices
        return {"rows": rows, "windows": rows, "readings": rows}
    last_second = FIRST_SECOND + rounds - 1
    # Window ends from the first after the first reading to the last that can hold the last one.
    first_end = FIRST_SECOND // query.slide + 1
    last_end = last_second // query.slide + query.size // query.slide
    rows = (last_end - first_end + 1) * query.devices
    return {"rows": rows, "windows": rows, "readings": readings * (query.size // query.slide)}


class Bench:
    def __init__(self, broker: Broker, query: Query, readings: int) -> None:
        self._broker = broker
        self._query = query
        self._readings = readings
        self.topic = f"bench-input-{query.devices}"
        self._drains: list[Figures] = []
        self._jobs: list[Figures] = []
        self.problems: list[str] = []

    def fill(self) -> None:
        console.run_step(
            f"fill: {self._readings:,} readings of {self._query.devices:,} devices",
            [
                _program("bench-fill"),
                self._broker.bootstrap,
                self.topic,
                str(self._readings),
                str(self._query.devices),
            ],
            "bench-fill",
        )

    @property
    def joins(self) -> bool:
        return self._query.name == LOOKUP

    @property
    def _lookup(self) -> Path:
        """What a job may join with: a row a device."""
        return FOLDER / f"lookup-{self._query.devices}.parquet"

    def make_lookup(self) -> None:
        console.run_step(
            f"lookup: {self._query.devices:,} rows",
            [
                paths.venv_python(),
                paths.ROOT / "tools" / "bench" / "make_lookup.py",
                self._lookup,
                str(self._query.devices),
            ],
            "make-lookup",
        )

    def drain(self, number: int) -> None:
        title = f"drain {number} ({self._query.title})"
        argv: list[str | Path] = [
            _program("bench-drain"),
            self._broker.bootstrap,
            self.topic,
            str(self._readings),
        ]
        finished = _measure(title, argv, FOLDER / f"drain-{self._tag(number)}.log")
        told = json.loads(finished.output)
        if told["records"] != self._readings:
            self.problems.append(f"{title}: {told['records']:,} records, not {self._readings:,}")
        self._drains.append(Figures(told["seconds"], told["cpu_seconds"], told["peak_rss_bytes"]))

    def job(self, number: int) -> None:
        title = f"job {number} ({self._query.title})"
        tag = self._tag(number)
        output = f"bench-output-{tag}"
        self._broker.create_topics({output: PARTITIONS}, {"retention.ms": "-1"})
        job = _job_file(self._query.name, tag)
        summary_path = FOLDER / f"job-{tag}.json"
        argv: list[str | Path] = [
            paths.millrace(), "run", job, "--brokers", self._broker.bootstrap,
            "--end-when-idle", f"{IDLE_SECONDS:g}s", "--summary", summary_path,
            "--data-dir", FOLDER / f"data-{tag}", "--metrics-port", "0",
        ]  # fmt: skip
        env = {
            "MILLRACE_BENCH_INPUT": self.topic,
            "MILLRACE_BENCH_OUTPUT": output,
            "MILLRACE_BENCH_LOOKUP": str(self._lookup),
        }
        finished = _measure(title, argv, FOLDER / f"job-{tag}.log", env)
        # The wait for silence at the end is no work.
        seconds = finished.seconds - IDLE_SECONDS
        self._jobs.append(Figures(seconds, finished.cpu_seconds, finished.peak_rss_bytes))
        self._check(title, json.loads(summary_path.read_text()), output)

    def _check(self, title: str, summary: Mapping[str, Any], output: str) -> None:
        if summary["readings_in"] != self._readings:
            self.problems.append(
                f"{title}: {summary['readings_in']:,} readings in, not {self._readings:,}"
            )
        checked = subprocess.run(
            [
                paths.venv_python(),
                paths.ROOT / "tools" / "bench" / "check_output.py",
                self._broker.bootstrap,
                output,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if checked.returncode != 0:
            raise ToolError(f"{title}: the output could not be read:\n{checked.stderr}")
        found = json.loads(checked.stdout)
        expected = expected_output(self._query, self._readings)
        if found != expected:
            self.problems.append(f"{title}: the output holds {found}, expected {expected}")

    def _tag(self, number: int) -> str:
        return f"{self._query.name}-{self._query.devices}-{number}"

    def result(self) -> dict[str, Any]:
        drain = summarise(self._drains, self._readings)
        job = summarise(self._jobs, self._readings)
        return {
            "query": self._query.name,
            "devices": self._query.devices,
            "readings": self._readings,
            "runs": len(self._jobs),
            "cores": os.cpu_count(),
            "drain": drain,
            "job": job,
            "cpu_ratio_to_drain": round(
                job["cpu_seconds_per_million"] / drain["cpu_seconds_per_million"], 3
            ),
            "output_counts_correct": not self.problems,
        }


def _job_file(query: str, number: int | str, interval: str | None = None) -> Path:
    """The query's job under a name of its own, so that no run goes on where another ended."""
    text = (paths.ROOT / "tools" / "bench" / f"{query}.yaml").read_text()
    renamed, count = re.subn(
        r"(?m)^metadata: \{name: ([a-z0-9-]+)\}$", rf"metadata: {{name: \1-{number}}}", text
    )
    if count != 1:
        raise ToolError(f"tools/bench/{query}.yaml has no line 'metadata: {{name: ...}}'")
    if interval is not None:
        renamed = renamed.replace("interval: 1s", f"interval: {interval}")
    path = FOLDER / f"{query}-{number}.yaml"
    path.write_text(renamed)
    return path


@dataclass(frozen=True)
class Finished:
    output: str
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int


def _measure(
    title: str,
    argv: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    look: Callable[[int], None] | None = None,
) -> Finished:
    """Runs a process to its end; what it used, from the kernel. stderr goes to `log`. `look` is
    called with its id all the time."""
    output = log.with_suffix(".out")
    with console.step(title) as progress, output.open("wb") as out, log.open("wb") as err:
        started = time.monotonic()
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        try:
            usage = _wait(child, progress, started, look)
        finally:
            console.end_group(child)
        seconds = time.monotonic() - started
        if child.returncode != 0:
            raise ToolError(
                f"{title}: exit code {child.returncode}. The end of "
                f"{log.relative_to(paths.ROOT)}:\n{console.tail(log)}"
            )
    return Finished(
        output.read_text(), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    )


def _wait(
    child: subprocess.Popen[bytes],
    progress: console.Progress,
    started: float,
    look: Callable[[int], None] | None,
) -> Any:
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid != 0:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() - started > RUN_TIMEOUT_SECONDS:
            raise ToolError(f"no end after {RUN_TIMEOUT_SECONDS:.0f} s")
        progress.show()
        if look is not None:
            look(child.pid)
        time.sleep(0.05)


def summarise(figures: Sequence[Figures], readings: int) -> dict[str, Any]:
    """Medians, and as the spread (largest - smallest) / median of the CPU."""
    millions = readings / 1e6
    cpu = [one.cpu_seconds / millions for one in figures]
    return {
        "readings_per_second": round(statistics.median(readings / one.seconds for one in figures)),
        "cpu_seconds_per_million": round(statistics.median(cpu), 4),
        "cpu_spread": round((max(cpu) - min(cpu)) / statistics.median(cpu), 3),
        "peak_rss_bytes": max(one.peak_rss_bytes for one in figures),
        "runs": [
            {
                "seconds": round(one.seconds, 3),
                "cpu_seconds": round(one.cpu_seconds, 3),
                "peak_rss_bytes": one.peak_rss_bytes,
            }
            for one in figures
        ],
    }


def report(result: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{result['query']}: {result['readings']:,} readings of {result['devices']:,} devices, "
        f"{result['runs']} runs in turn, "
        f"{result['cores']} cores with the broker beside",
        f"{'':8}{'readings/s':>12}{'CPU s/million':>15}{'spread':>9}{'peak MiB':>10}",
    ]
    for name in ("drain", "job"):
        one = result[name]
        lines.append(
            f"{name:8}{one['readings_per_second']:>12,}{one['cpu_seconds_per_million']:>15.3f}"
            f"{one['cpu_spread']:>8.0%} {one['peak_rss_bytes'] / 2**20:>9.0f}"
        )
    counts = "correct" if result["output_counts_correct"] else "WRONG"
    lines.append(f"CPU to the drain's: {result['cpu_ratio_to_drain']:.2f}; output counts {counts}")
    return lines


def compare(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """How many times the CPU of the first job a reading the other takes."""
    ratio = other["job"]["cpu_seconds_per_million"] / first["job"]["cpu_seconds_per_million"]
    names = [f"{one['query']} of {one['devices']:,} devices" for one in (other, first)]
    return f"{names[0]} to {names[1]}: {ratio:.2f} of the CPU"
