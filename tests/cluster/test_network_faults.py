"""Processes that are frozen, killed or cut off, under load and with the real broker: it is noticed
in time, output goes on, and is what the readings say, whoever wakes up later."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cluster.case import wait_for_moment
from cluster.live import Live, log_lines, stop, wake
from devtool.broker import Broker
from harness.kafka import Kafka
from harness.millrace import Process
from harness.waiting import wait_for

ROUNDS_SOAK = 40


@pytest.fixture
def live(kafka: Kafka, tmp_path: Path) -> Iterator[Live]:
    with Live(kafka, tmp_path) as one:
        yield one


# ---- frozen, and woken later --------------------------------------------------------------------


def test_a_frozen_worker_is_replaced_and_comes_back(live: Live) -> None:
    live.start("worker-0", "worker-1")
    zombie = live.fleet.workers["worker-1"]
    live.expect_worker_lost("worker-1", stop(zombie), "a worker is frozen")
    live.wait_for_slots("worker-0")
    wake(zombie)
    live.wait_for_slots("worker-0", "worker-1")
    assert len(log_lines(zombie, "registered with the coordinator")) == 2
    live.check()


def test_a_frozen_coordinator_is_replaced_and_ends_when_it_wakes(live: Live) -> None:
    live.start("worker-0", "worker-1", standby=True)
    frozen, standby = live.fleet.coordinators

    def freeze() -> None:
        frozen.send(signal.SIGSTOP)
        live.fleet.place = 1

    # The lease of one that does not beat lasts 3 s.
    live.expect_to_go_on(
        "the coordinator is frozen", freeze, lambda: standby, "leads the cluster", notice_max=4.0
    )
    before = live.wait_for_slots("worker-0", "worker-1")
    woken = time.time()
    wake(frozen)
    assert frozen.wait(10) == 1, frozen.output[-4000:]
    assert "superseded" in frozen.stderr
    # As long as it takes to lose a worker that has turned to the wrong coordinator.
    wait_for_moment(3.0)
    after = live.wait_for_checkpoints(3)
    assert after["attempt"] == before["attempt"], standby.output[-4000:]
    for worker in live.fleet.workers.values():
        assert log_lines(worker, "registered with the coordinator", woken) == []
    live.check()


@pytest.mark.full
def test_a_standby_leads_when_the_coordinator_is_killed(live: Live) -> None:
    live.start("worker-0", "worker-1", standby=True)
    killed, standby = live.fleet.coordinators

    def kill() -> None:
        killed.kill()
        live.fleet.place = 1

    live.expect_to_go_on("the coordinator is killed", kill, lambda: standby, "leads the cluster")
    live.fleet.start_coordinator(place=0).wait_for_line("standing by")
    live.wait_for_checkpoints(2)
    live.check()


# Phases of a checkpoint, and of starts: the first claim is the cluster's, then each attempt's.
@pytest.mark.full
@pytest.mark.parametrize(
    "place",
    [
        "claimed:2",
        "confirm:3",
        "confirmed:3",
        "manifest_written:3",
        "manifest_committed:1",
        "manifest_committed:3",
        "cleanup",
    ],
)
def test_the_coordinator_dies_in_a_phase_of_a_checkpoint(live: Live, place: str) -> None:
    live.start("worker-0", "worker-1", standby=True, crash_at=place)
    crashing, standby = live.fleet.coordinators
    assert crashing.wait(30) == -signal.SIGKILL, crashing.output[-4000:]
    standby.wait_for_line("leads the cluster")
    live.fleet.place = 1
    live.wait_for_slots("worker-0", "worker-1")
    live.check()


@pytest.mark.full
@pytest.mark.parametrize(
    "place", ["claimed:3", "confirm:12", "manifest_written:12", "manifest_committed:12"]
)
def test_the_coordinator_dies_in_a_phase_of_a_rescale(live: Live, place: str) -> None:
    """Rescaled again and again until it dies; most checkpoints are the last of an attempt."""
    live.start("worker-0", "worker-1", standby=True, crash_at=place)
    crashing, standby = live.fleet.coordinators
    parallelism = itertools.cycle((1, 3, 2, 4))

    def dies() -> bool:
        if crashing.code is None and (live.fleet.job(live.name) or {}).get("state") == "running":
            with contextlib.suppress(requests.ConnectionError):
                rescale(live, next(parallelism))
        return crashing.code is not None

    wait_for("the coordinator's end", dies, 60)
    assert crashing.code == -signal.SIGKILL, crashing.output[-4000:]
    standby.wait_for_line("leads the cluster")
    live.fleet.place = 1
    live.wait_for_checkpoints(2)
    live.check()


# ---- cut off ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    [
        "both ways",
        pytest.param("what it sends", marks=pytest.mark.full),
        pytest.param("what it is sent", marks=pytest.mark.full),
    ],
)
def test_a_worker_is_cut_off_from_the_coordinator(live: Live, way: str) -> None:
    live.start("worker-0", "worker-1")
    links = live.fleet.links["worker-1"]

    def cut() -> None:
        for proxy in links.coordinators:
            proxy.cut(forward=way != "what it is sent", backward=way != "what it sends")

    live.expect_worker_lost("worker-1", cut, f"a worker is cut off from the coordinator, {way}")
    live.wait_for_slots("worker-0")
    for proxy in links.coordinators:
        proxy.heal()
    live.wait_for_slots("worker-0", "worker-1")
    live.check()


@pytest.mark.full
def test_a_worker_is_cut_off_from_everyone(live: Live) -> None:
    live.start("worker-0", "worker-1", "worker-2")
    links = live.fleet.links["worker-2"]

    def cut() -> None:
        for proxy in links.all:
            proxy.cut()

    live.expect_worker_lost("worker-2", cut, "a worker is cut off from everyone")
    live.wait_for_slots("worker-0", "worker-1")
    for proxy in links.all:
        proxy.heal()
    live.wait_for_slots("worker-0", "worker-1", "worker-2")
    live.check()


def test_two_workers_are_cut_off_from_each_other(live: Live) -> None:
    live.start("worker-0", "worker-1")
    proxy = live.fleet.links["worker-1"].exchange
    live.expect_to_go_on(
        "two workers are cut off from each other",
        proxy.cut,
        lambda: live.fleet.coordinator,
        "state=ending.*has lost worker",
    )
    assert len(set(live.status()["slot_workers"])) == 1
    proxy.heal()
    live.wait_for_slots("worker-0", "worker-1")
    live.check()


def test_a_short_cut_moves_nothing(live: Live) -> None:
    live.start("worker-0", "worker-1")
    before = live.status()
    proxies = [proxy for links in live.fleet.links.values() for proxy in links.all]
    for proxy in proxies:
        proxy.cut()
    wait_for_moment(1.0)
    for proxy in proxies:
        proxy.heal()
    live.wait_for_checkpoints(3)
    for proxy in proxies:
        proxy.reset_connections()
    after = live.wait_for_checkpoints(3)
    assert after["attempt"] == before["attempt"], live.fleet.coordinator.output[-4000:]
    live.check()


# ---- killed, told to leave ----------------------------------------------------------------------


def test_a_killed_worker_is_back_under_its_name_at_once(live: Live) -> None:
    live.start("worker-0", "worker-1")

    def replace() -> None:
        live.fleet.workers["worker-1"].kill()
        live.fleet.start_worker("worker-1", proxied=True)

    live.expect_worker_lost("worker-1", replace, "a worker is killed and back at once")
    live.wait_for_slots("worker-0", "worker-1")
    live.check()


@pytest.mark.full
def test_a_killed_worker_is_back_at_another_address(live: Live) -> None:
    live.start("worker-0", "worker-1")
    former = live.fleet.links.pop("worker-1")
    first = live.status()
    live.fleet.workers["worker-1"].kill()
    live.fleet.start_worker("worker-1", proxied=True)
    live.fleet.wait_for_job(live.name, "running", attempt=int(first["attempt"]) + 1)
    live.wait_for_slots("worker-0", "worker-1")
    # It is at its former address too, as where addresses are given out anew.
    former.exchange.target_port = live.fleet.links["worker-1"].listen_port
    before = live.status()
    wait_for_moment(3.0)  # a former address is dialed every second
    assert live.wait_for_checkpoints(3)["attempt"] == before["attempt"]
    for proxy in former.all:
        proxy.close()
    live.check()


def check_they_come_back(live: Live) -> None:
    live.fleet.wait_for_job(live.name, "waiting")
    for name in ("worker-0", "worker-1"):
        live.fleet.start_worker(name, proxied=True)
    live.wait_for_slots("worker-0", "worker-1")
    live.check()


def test_all_workers_leave_and_come_back(live: Live) -> None:
    live.start("worker-0", "worker-1")
    workers = list(live.fleet.workers.values())
    for worker in workers:
        worker.send(signal.SIGTERM)
    for worker in workers:
        assert worker.wait(20) == 0, worker.output[-4000:]
    check_they_come_back(live)


@pytest.mark.full
def test_all_workers_are_killed_and_come_back(live: Live) -> None:
    live.start("worker-0", "worker-1")
    for worker in live.fleet.workers.values():
        worker.kill()
    check_they_come_back(live)


@pytest.mark.full
def test_names_are_in_another_order_as_numbers(live: Live) -> None:
    names = ("worker-2", "worker-9", "worker-10", "worker-11")
    live.start(*names, slots=1)
    live.wait_for_slots(*names)
    live.expect_worker_lost(
        "worker-10", live.fleet.workers["worker-10"].kill, "one of four workers is killed"
    )
    live.wait_for_slots("worker-2", "worker-9", "worker-11")
    live.fleet.start_worker("worker-10", 1, proxied=True)
    live.wait_for_slots(*names)
    live.check()


# ---- rescaled -----------------------------------------------------------------------------------


def rescale(live: Live, parallelism: int) -> None:
    answer = live.fleet.request("POST", f"jobs/{live.name}/rescale", {"parallelism": parallelism})
    assert answer.ok, answer.text


def test_a_job_is_rescaled_under_load(live: Live) -> None:
    live.start("worker-0", "worker-1")
    for parallelism in (1, 4, 2, 3):
        before = live.status()
        rescale(live, parallelism)
        after = live.fleet.wait_for_job(
            live.name, "running", attempt=int(before["attempt"]) + 1, checkpoints=1
        )
        assert after["parallelism"] == parallelism
    live.check()


def stop_in_a_checkpoint(live: Live, worker: Process) -> None:
    """An epoch is open, and waits for the worker; short enough for it to be missed by nobody."""
    epoch = int(live.status()["last_epoch"])
    worker.send(signal.SIGSTOP)
    wait_for_moment(0.5)  # twice an interval: one is opened, and no more are completed
    assert int(live.status()["last_epoch"]) <= epoch + 2


def test_a_job_is_rescaled_during_a_checkpoint(live: Live) -> None:
    live.start("worker-0", "worker-1")
    worker = live.fleet.workers["worker-1"]
    before = live.status()
    stop_in_a_checkpoint(live, worker)
    rescale(live, 2)
    live.fleet.wait_for_job(live.name, "stopping")
    wake(worker)
    after = live.fleet.wait_for_job(
        live.name, "running", attempt=int(before["attempt"]) + 1, checkpoints=1
    )
    assert after["parallelism"] == 2
    assert log_lines(live.fleet.coordinator, "a worker is (lost|silent)") == []
    live.check()


def test_a_rescale_that_fails_half_way_goes_back(live: Live) -> None:
    live.start("worker-0", "worker-1")
    attempt = int(live.status()["attempt"]) + 1
    rescale(live, 2)
    before = live.fleet.wait_for_job(live.name, "running", attempt=attempt, checkpoints=1)
    assert (before["parallelism"], before["rescaling"]) == (2, False)
    # No state can be opened where slots 2 and 3 would have theirs.
    attempt = int(before["attempt"]) + 1
    for worker in live.fleet.workers:
        folder = live.fleet.folder / f"local-{worker}" / live.name / str(attempt)
        folder.mkdir(parents=True)
        for slot in (2, 3):
            (folder / f"minutes.window-{slot}").write_text("no folder")
    rescale(live, 4)
    after = live.fleet.wait_for_job(live.name, "running", attempt=attempt + 1, checkpoints=1)
    assert (after["parallelism"], after["wanted_parallelism"]) == (2, 2)
    (note,) = [one for one in after["notes"] if "rescale" in one]
    assert note.startswith(
        "the rescale to parallelism 4 failed, and was taken back to parallelism 2: "
    )
    attempt = int(after["attempt"]) + 1
    rescale(live, 4)
    after = live.fleet.wait_for_job(live.name, "running", attempt=attempt, checkpoints=1)
    assert (after["parallelism"], after["rescaling"]) == (4, False)
    assert not [one for one in after["notes"] if "rescale" in one]
    live.check()


@pytest.mark.full
def test_a_worker_is_killed_in_a_rescale(live: Live) -> None:
    live.start("worker-0", "worker-1")
    worker = live.fleet.workers["worker-1"]
    before = live.status()
    stop_in_a_checkpoint(live, worker)
    rescale(live, 3)
    live.fleet.wait_for_job(live.name, "stopping")
    worker.kill()
    after = live.fleet.wait_for_job(
        live.name, "running", attempt=int(before["attempt"]) + 1, checkpoints=1
    )
    assert after["slot_workers"] == ["worker-0"] * 3
    live.check()


@pytest.mark.full
def test_the_coordinator_is_killed_in_a_rescale(live: Live) -> None:
    live.start("worker-0", "worker-1", standby=True)
    worker = live.fleet.workers["worker-1"]
    before = live.status()
    stop_in_a_checkpoint(live, worker)
    rescale(live, 3)
    live.fleet.wait_for_job(live.name, "stopping")
    killed, standby = live.fleet.coordinators
    killed.kill()
    live.fleet.place = 1
    wake(worker)
    standby.wait_for_line("leads the cluster")
    after = live.fleet.wait_for_job(
        live.name, "running", attempt=int(before["attempt"]) + 1, checkpoints=1
    )
    assert after["parallelism"] == 3
    live.check()


# ---- the broker ---------------------------------------------------------------------------------


@pytest.mark.full
def test_the_broker_is_killed_and_restarted(own_broker: Broker, tmp_path: Path) -> None:
    with Live(Kafka(own_broker.bootstrap), tmp_path) as live:
        live.start("worker-0", "worker-1")
        with live.load.held():
            killed = time.time()
            own_broker.kill()
            own_broker.start()
            back = time.time()
        output = live.watch.wait_for_output(back)
        print(
            f"[the broker is killed: back after {back - killed:.2f} s, "
            f"output after {output - back:.2f} s more]"
        )
        live.check()


# ---- at random ----------------------------------------------------------------------------------


@pytest.mark.soak
def test_one_after_the_other_dies(live: Live, chance: random.Random) -> None:
    """Each process in turn, then any: killed, frozen, told to leave, or cut off."""
    live.start("worker-0", "worker-1", "worker-2", standby=True)
    for number in range(ROUNDS_SOAK):
        victims = ["coordinator", *live.fleet.workers]
        victim = victims[number] if number < len(victims) else chance.choice(victims)
        wait_for_moment(chance.uniform(0, 1.5))
        fault = strike(live, victim, chance)
        live.fleet.wait_for_job(live.name, "running", timeout_seconds=60, checkpoints=1)
        live.watch.wait_for_output(time.time())
        print(f"[{number}: {victim} {fault}]")
    live.check()


def strike(live: Live, victim: str, chance: random.Random) -> str:
    fleet = live.fleet
    if victim == "coordinator":
        leading = fleet.coordinators[-2]
        fault = chance.choice(["killed", "frozen"])
        place = 1 - fleet.place
        leading.send(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        fleet.coordinator.wait_for_line("leads the cluster")
        wake(leading)
        leading.wait(20)
        fleet.start_coordinator(place=fleet.place).wait_for_line("standing by")
        fleet.place = place
        return fault
    worker = fleet.workers[victim]
    fault = chance.choice(["killed", "frozen", "left", "cut off"])
    if fault == "killed":
        worker.kill()
    elif fault == "left":
        assert worker.stop(40) == 0, worker.output[-4000:]
    elif fault == "frozen":
        worker.send(signal.SIGSTOP)
    else:
        for proxy in fleet.links[victim].all:
            proxy.cut()
    wait_for_moment(chance.uniform(0, 5))
    if fault in ("killed", "left"):
        fleet.start_worker(victim, proxied=True)
    wake(worker)
    for proxy in fleet.links[victim].all:
        proxy.heal()
    return fault
