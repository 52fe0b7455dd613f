"""/healthz of processes whose deciding thread hangs while everything else in them goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from harness.fleet import HTTP_TIMEOUT_SECONDS, Fleet
from harness.millrace import Process
from harness.waiting import wait_for

NO_BROKER = "127.0.0.1:1"  # nothing here asks one
# engine/metrics/loop_pulse.h, and as long again for a busy machine.
NOTICED_SECONDS = 60.0


def health(process: Process) -> requests.Response:
    metrics = process.wait_for_line(r"metrics=(http://\S+)/metrics")[1]
    return requests.get(f"{metrics}/healthz", timeout=HTTP_TIMEOUT_SECONDS)


@pytest.mark.full
def test_a_thread_that_decides_no_more_is_noticed(tmp_path: Path) -> None:
    with Fleet(tmp_path, NO_BROKER) as fleet:
        coordinator = fleet.start_coordinator(hold_at="coordinator_turn:50")
        coordinator.wait_for_line("leads the cluster")
        standby = fleet.start_coordinator(place=1)
        held = fleet.start_worker("worker-0", hold_at="worker_turn:20")
        well = fleet.start_worker("worker-1")
        for process in (coordinator, standby, held, well):
            assert health(process).status_code == 200, process.output[-4000:]

        for process in (coordinator, held):

            def hangs(of: Process = process) -> bool:
                return bool(health(of).status_code == 503)

            wait_for("503", hangs, NOTICED_SECONDS)
            assert "the thread that decides has stood still for 3" in health(process).text
            # All else of it answers.
            assert fleet.metrics(process).total("millrace_build_info") == 1
        for process in (standby, well):
            assert health(process).status_code == 200
