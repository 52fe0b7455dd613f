"""A fleet that speaks the protocol before the current one is upgraded process by process under
load: who speaks which version to whom, and that nothing is lost by it."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.live import Live, log_lines
from devtool import paths
from harness.kafka import Kafka
from harness.millrace import Process
from harness.waiting import wait_for

VERSIONS = {
    name: int(version)
    for name, version in re.findall(
        r"kProtocol(Min|Max) = (\d+);", (paths.ROOT / "engine/wire/protocol.h").read_text()
    )
}
CURRENT = VERSIONS["Max"]
PREVIOUS = CURRENT - 1
HELD = ("--protocol-max", str(PREVIOUS))
WORKERS = ("worker-0", "worker-1", "worker-2")


@pytest.fixture
def live(kafka: Kafka, tmp_path: Path) -> Iterator[Live]:
    with Live(kafka, tmp_path) as one:
        yield one


def spoken(process: Process, pattern: str) -> dict[str, int]:
    """The last protocol with each peer, as the process has logged it."""
    found: dict[str, int] = {}
    for _, line in log_lines(process, pattern):
        named = re.search(r"(?:worker|coordinator)=(\S+)", line)
        version = re.search(r"protocol=(\d+)", line)
        assert named and version, line
        found[named[1]] = int(version[1])
    return found


def leading_name(live: Live) -> str:
    return live.fleet.coordinator.stderr_path.stem


def check_versions(live: Live, coordinator: int, workers: dict[str, int]) -> None:
    """Each session speaks the newest version that both ends do."""
    wanted = {name: min(coordinator, version) for name, version in workers.items()}
    leading = live.fleet.coordinator
    pattern = "a worker has come"
    wait_for(f"sessions of {wanted}", lambda: spoken(leading, pattern) == wanted)
    for name, version in workers.items():
        process = live.fleet.workers[name]
        coordinators = spoken(process, "registered with the coordinator")
        assert coordinators[leading_name(live)] == wanted[name], (name, coordinators)
        peers = {peer: min(version, of) for peer, of in workers.items() if peer != name}
        assert spoken(process, "connected with a worker") == peers, name


def test_one_process_after_the_other_speaks_the_next_protocol(live: Live) -> None:
    assert VERSIONS["Min"] <= PREVIOUS < CURRENT
    live.start(*WORKERS, arguments=HELD)
    live.wait_for_slots(*WORKERS)
    versions = dict.fromkeys(WORKERS, PREVIOUS)
    check_versions(live, PREVIOUS, versions)

    old = live.fleet.coordinator
    assert old.stop(20) == 0, old.output[-4000:]
    live.fleet.start_coordinator().wait_for_line("leads the cluster")
    live.wait_for_slots(*WORKERS)
    check_versions(live, CURRENT, versions)

    for name in WORKERS:
        worker = live.fleet.workers[name]
        worker.send(signal.SIGTERM)
        assert worker.wait(30) == 0, worker.output[-4000:]
        live.fleet.start_worker(name, proxied=True)
        versions[name] = CURRENT
        live.wait_for_slots(*WORKERS)
        check_versions(live, CURRENT, versions)
        live.wait_for_checkpoints(2)
    scrape = live.fleet.metrics(live.fleet.coordinator)
    reasons = {
        labels["reason"]: int(value)
        for name, labels, value in scrape.samples
        if name == "millrace_job_restarts_total" and value > 0
    }
    assert reasons.keys() <= {"worker_left", "workers_changed"}, reasons
    live.check()


def test_a_protocol_that_a_build_does_not_speak_is_refused(live: Live) -> None:
    next_one = ("--protocol-max", str(CURRENT + 1))
    for process in (
        live.fleet.start_coordinator(*next_one),
        live.fleet.start_worker("worker-0", 2, *next_one),
    ):
        assert process.wait(20) != 0
        assert f"this build speaks {VERSIONS['Min']} to {CURRENT}" in process.stderr
