"""`tools/dev demo`: a pipeline of jobs/ from nothing to windows and alerts on this terminal.

Set-up, build, a Kafka of its own, a simulated fleet that fills it, and the job. Everything it
starts ends with it: on Ctrl-C, when a part fails, when the bounded run (--once) is complete, and
when it is killed itself (the kernel then terminates the children). All its files are in .run/demo.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtool import build, console, install, paths, processes
from devtool.broker import Broker
from devtool.console import ToolError, say
from devtool.demo_pipelines import PIPELINES, Pipeline

FOLDER = paths.RUN / "demo"
IDLE_END = "3s"
STOP_SECONDS = 10.0
# A bounded run that has not ended by then hangs.
ONCE_TIMEOUT_SECONDS = 180.0


def demo(name: str, once: bool) -> int:
    """Shows a pipeline of PIPELINES; the exit code. Endless unless `once`."""
    pipeline = PIPELINES[name]
    install.setup()
    build.build()
    built = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone())
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        broker = Broker(FOLDER / "broker")
        stack.callback(broker.stop)
        with console.step("broker: start"):
            broker.start()
        broker.create_topics(pipeline.topics, {"retention.ms": "-1"})
        return _run(_Demo(pipeline, broker.bootstrap, processes.free_port(), once), built)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    paths.CACHE.mkdir(exist_ok=True)
    with (paths.CACHE / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError("a demo is running already") from None
        yield


@dataclass(frozen=True)
class _Demo:
    pipeline: Pipeline
    brokers: str
    metrics_port: int
    once: bool

    @property
    def summary_path(self) -> Path:
        return FOLDER / "summary.json"

    @property
    def account_path(self) -> Path:
        return FOLDER / "simulator.json"

    def simulator(self) -> list[str]:
        bounded = self.pipeline.bounded if self.once else ()
        return [
            str(paths.millrace()), "simulate", *self.pipeline.fleet, "--brokers", self.brokers,
            "--rate", str(self.pipeline.rate), "--account", str(self.account_path), *bounded,
        ]  # fmt: skip

    def job(self) -> list[str]:
        bounded = ["--end-when-idle", IDLE_END] if self.once else []
        return [
            str(paths.millrace()), "run", str(self.pipeline.job), "--brokers", self.brokers,
            "--metrics-port", str(self.metrics_port), "--data-dir", str(FOLDER / "data"),
            "--summary", str(self.summary_path), *bounded,
        ]  # fmt: skip


def _run(demo: _Demo, built: float) -> int:
    _say_where(demo)
    simulator_log, job_log = FOLDER / "simulator.log", FOLDER / "job.log"
    with _child(demo.simulator(), simulator_log) as simulator:
        # Windows and alerts go straight to this terminal; the log does not.
        with _child(demo.job(), job_log, demo.pipeline.environment, show_output=True) as job:
            say(f"job started {console.seconds(time.monotonic() - built)} after the build")
            try:
                _watch(demo, simulator, job)
            except KeyboardInterrupt:
                say("\nending the demo")
            problems = [
                *_end("the simulator", simulator, simulator_log),
                *_end("the job", job, job_log),
            ]
    problems += _show_summary(demo)
    for problem in problems:
        say(f"error: {problem}")
    return 1 if problems else 0


def _say_where(demo: _Demo) -> None:
    say(
        f"metrics   http://127.0.0.1:{demo.metrics_port}/metrics\n"
        f"job       {demo.pipeline.job.relative_to(paths.ROOT)}\n"
        f"broker    {demo.brokers}: topics {_first(demo.pipeline.inputs)} -> "
        f"{', '.join(demo.pipeline.outputs)}, {demo.pipeline.dead_letters}\n"
        f"files     {FOLDER.relative_to(paths.ROOT)}: Parquet under data, logs, summary.json"
    )
    if not demo.once:
        say("Ctrl-C ends everything")


def _first(topics: Mapping[str, int]) -> str:
    first = next(iter(topics))
    return first if len(topics) == 1 else f"{first} and {len(topics) - 1} more"


@contextlib.contextmanager
def _child(
    argv: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    show_output: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, so that Ctrl-C reaches this tool alone, which ends it."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            argv,
            cwd=FOLDER,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=None if show_output else out,
            stderr=out,
            start_new_session=True,
            preexec_fn=processes.end_with_parent,
        )
    try:
        yield child
    finally:
        console.end_group(child, STOP_SECONDS)


def _watch(demo: _Demo, simulator: subprocess.Popen[bytes], job: subprocess.Popen[bytes]) -> None:
    """Until the job ends, and a bounded simulator too; when either fails, at once."""
    deadline = time.monotonic() + ONCE_TIMEOUT_SECONDS if demo.once else None
    while job.poll() is None:
        if simulator.poll() not in (None, 0):
            return
        if deadline is not None and time.monotonic() > deadline:
            say(f"no end after {ONCE_TIMEOUT_SECONDS:.0f} s")
            return
        # Not job.wait(): Ctrl-C between its lock and its `try` leaves the lock held, and then
        # nobody sees the job's end any more.
        time.sleep(0.1)
    if demo.once and job.returncode == 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            simulator.wait(STOP_SECONDS)


def _end(name: str, child: subprocess.Popen[bytes], log: Path) -> list[str]:
    """Ends it if it still runs; what was wrong with its end."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"{name} did not end within {STOP_SECONDS:.0f} s of SIGTERM"]
    if child.returncode != 0:
        return [f"{name} ended with exit code {child.returncode}:\n{console.tail(log, 20)}"]
    return []


def _show_summary(demo: _Demo) -> list[str]:
    """Prints what came in and out; the differences in the account, which should be none."""
    try:
        summary = json.loads(demo.summary_path.read_text())
        sent = json.loads(demo.account_path.read_text())
    except (OSError, ValueError) as error:
        return [f"no summary was written: {error}"]
    for line in summary_lines(summary):
        print(line)
    return differences(demo.pipeline, summary, sent if demo.once else None)


def summary_lines(summary: dict[str, Any]) -> list[str]:
    def counts(group: dict[str, int]) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in sorted(group.items())) or "none"

    p50_ms, p99_ms = (1000 * summary[f"latency_{name}_seconds"] for name in ("p50", "p99"))
    lines = [
        f"readings in    {summary['readings_in']:,}",
        f"windows out    {summary['windows_out']:,}",
        f"alerts         {counts(summary['alerts_by_severity'])}",
        f"dead letters   {counts(summary['dead_letters_by_reason'])}",
        f"latency        p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms",
        "account        in = counted + filtered + in open windows + dead letters",
    ]
    for name, stream in summary["streams"].items():
        parts = " + ".join(f"{stream[part]:,}" for part in ACCOUNT_PARTS)
        lines.append(f"  {name:<12} {stream['rows_in']:,} = {parts}")
    return lines


ACCOUNT_PARTS = ("counted", "filtered", "open", "dead_letters")


def differences(
    pipeline: Pipeline, summary: dict[str, Any], sent: dict[str, Any] | None
) -> list[str]:
    """What does not add up: in every stream, and against the simulator's account where the run was
    long enough to read all of it.
    """
    problems = []
    if summary["error"]:
        problems.append(summary["error"])
    if summary["lost"]:
        problems.append(f"{summary['lost']:,} offsets were lost before they were read")
    for name, stream in summary["streams"].items():
        parts = sum(stream[part] for part in ACCOUNT_PARTS)
        if stream["rows_in"] != parts:
            problems.append(
                f"stream {name}: {stream['rows_in']:,} rows in, {parts:,} accounted for"
            )
    if sent is None:
        return problems
    readings = sent["readings"] - (sent[pipeline.unread] if pipeline.unread else 0)
    injected = sent["late"] + sent["future"] + sent["malformed"]
    # A late reading has a letter of each stream that cannot take it.
    dead = sum(summary["streams"][name]["dead_letters"] for name in
               (pipeline.source, pipeline.late_for))  # fmt: skip
    for what, expected, found in (
        ("readings", readings, summary["readings_in"]),
        ("late, future and malformed readings", injected, dead),
    ):
        if expected != found:
            problems.append(f"{what}: {expected:,} were sent, {found:,} came in")
    return problems
