"""What a coordinator and a worker show of their peers, and of strangers that they refuse."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fleet import CLUSTER, Fleet
from harness.millrace import Process, documented_metrics
from harness.waiting import wait_for

NO_BROKER = "127.0.0.1:1"  # nothing here asks one
REFUSED = "millrace_link_refused_total"
FLOOD = 40
# engine/exchange/refusal_log.h
LINES_MAX = 10
WORKER_ROLE = 2


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, NO_BROKER) as one:
        one.start_coordinator().wait_for_line("leads the cluster")
        one.start_worker("worker-0")
        one.wait_for_workers(1)
        yield one


def field(number: int, value: str | int) -> bytes:
    """Of a Protobuf message; for numbers below 128 and short strings."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value.encode()


def hello(cluster: str = CLUSTER, protocol: int = 1) -> bytes:
    """A handshake (proto/link.proto)."""
    message = b"".join(
        (
            field(1, cluster),
            field(2, "stranger"),
            field(3, WORKER_ROLE),
            field(4, "0" * 32),
            field(5, protocol),
            field(6, protocol),
            field(7, "1" * 32),
            field(10, 1),
        )
    )
    return b"millrace" + struct.pack("<I", len(message)) + message


def refused(port: int, sent: bytes) -> bytes:
    """What comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        answer = b""
        while part := connection.recv(4096):
            answer += part
        return answer


def link_port(process: Process) -> int:
    return int(process.wait_for_line(r" port=(\d+)")[1])


def logged(process: Process) -> list[str]:
    """Why connections were refused. (A worker also dials a second coordinator: there is none.)"""
    codes = re.findall(r"a connection was refused .*code=(\w+)", process.stderr)
    return [code for code in codes if code != "unreachable"]


def shown(fleet: Fleet, process: Process, name: str, **labels: str) -> float | None:
    return fleet.metrics(process).total(name, **labels)


@pytest.mark.parametrize("whom", ["coordinator", "worker"])
def test_strangers_are_counted_by_reason(fleet: Fleet, whom: str) -> None:
    process = fleet.coordinator if whom == "coordinator" else fleet.workers["worker-0"]
    port = link_port(process)
    assert shown(fleet, process, REFUSED) == 0
    for reason, sent in (
        ("bad_magic", b"GET / HTTP/1.1\r\n\r\n"),
        ("garbage", b"millrace\x02\0\0\0\xff\xff"),
        ("wrong_cluster", hello(cluster="another")),
        ("no_common_protocol", hello(protocol=99)),
    ):
        assert reason.encode() in refused(port, sent), reason

        def counted(reason: str = reason) -> bool:
            return shown(fleet, process, REFUSED, reason=reason) == 1

        wait_for(f"{reason} to be counted", counted)
    assert shown(fleet, process, REFUSED) == 4
    assert logged(process) == ["bad_magic", "garbage", "wrong_cluster", "no_common_protocol"]


def test_who_is_refused_shows_it_too(fleet: Fleet, tmp_path: Path) -> None:
    other = Fleet(tmp_path / "other", NO_BROKER, cluster="another")
    with other:
        other.ports = fleet.ports
        stranger = other.start_worker("worker-0")
        wait_for(
            "the refusal",
            lambda: (shown(other, stranger, REFUSED, reason="wrong_cluster") or 0) > 1,
        )
        assert shown(other, stranger, "millrace_link_sessions") == 0
        # It tries again and again, and says so once.
        assert logged(stranger) == ["wrong_cluster"]


def test_a_flood_of_strangers_does_not_fill_the_log(fleet: Fleet) -> None:
    process = fleet.coordinator
    port = link_port(process)
    for _ in range(FLOOD):
        refused(port, b"GET / HTTP/1.1\r\n\r\n")
    refused(port, hello(cluster="another"))
    wait_for("the count", lambda: shown(fleet, process, REFUSED, reason="bad_magic") == FLOOD)
    lines = logged(process)
    # A slow machine may need two windows of time for them.
    assert LINES_MAX <= lines.count("bad_magic") <= 2 * LINES_MAX
    assert lines.count("wrong_cluster") == 1
    left_out = FLOOD - lines.count("bad_magic")
    wait_for(
        "how many are not logged",
        lambda: sum(map(int, re.findall(r"not_logged=(\d+)", process.stderr))) == left_out,
    )


def test_peers_are_shown(fleet: Fleet) -> None:
    worker = fleet.workers["worker-0"]
    for process in (fleet.coordinator, worker):

        def has_one(of: Process = process) -> bool:
            return shown(fleet, of, "millrace_link_sessions") == 1

        wait_for("a session", has_one)
        names = {name for name, _, _ in fleet.metrics(process).samples}
        known = {
            name for name in documented_metrics() if re.match("millrace_(link|exchange)_", name)
        }
        assert known <= names
    received = "millrace_link_bytes_total"
    before = shown(fleet, fleet.coordinator, received, direction="in") or 0
    wait_for(
        "beats", lambda: (shown(fleet, fleet.coordinator, received, direction="in") or 0) > before
    )
    fleet.workers.pop("worker-0").kill()
    wait_for("the loss", lambda: shown(fleet, fleet.coordinator, "millrace_link_sessions") == 0)
    lost = shown(fleet, fleet.coordinator, "millrace_link_session_events_total", event="lost")
    assert lost == 1


def test_the_coordinator_knows_where_a_workers_metrics_are(fleet: Fleet) -> None:
    worker = fleet.workers["worker-0"]
    (known,) = fleet.request("GET", "workers").json()["workers"]
    url = f"http://{known['metrics_address']}/metrics"
    assert url == worker.wait_for_line(r"metrics=(http://\S+)")[1]
    everywhere = fleet.start_worker("worker-1", 2, "--host", "0.0.0.0")
    fleet.wait_for_workers(2)
    known = fleet.request("GET", "workers").json()["workers"][1]
    port = everywhere.wait_for_line(r"metrics=http://0.0.0.0:(\d+)")[1]
    assert known["metrics_address"] == f"127.0.0.1:{port}"  # as in --advertise
