"""The admin API of a real coordinator: what it tells of a job, savepoints, and who may ask."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from cluster.fleet_case import MINUTES, PARTITIONS, Case, case, started
from harness.fleet import Fleet
from harness.kafka import Kafka, Record
from harness.millrace import Process
from harness.waiting import wait_for

__all__ = ["case"]  # the fixture

OPERATOR = "operators-token-0001"
VIEWER = "viewers-token-00001"


def described(fleet: Fleet, name: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The job's description, once it says what is wanted."""
    last: dict[str, Any] = {}

    def look() -> dict[str, Any] | None:
        nonlocal last
        last = fleet.request("GET", f"jobs/{name}/description").json()
        return last if wanted(last) else None

    try:
        return wait_for("description", look)
    except AssertionError as error:
        raise AssertionError(f"{error}\nlast: {json.dumps(last, indent=1)}") from None


def test_it_says_how_a_job_is(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        found = described(fleet, case.name, lambda it: len(it["sources"]) == 1)
        assert found["findings"] == [
            "source 'readings' has read nothing: its topics are empty, or it starts at their ends"
        ]
        case.send_minutes(MINUTES)
        sent = MINUTES * 60 * 24
        found = described(fleet, case.name, lambda it: it["status"]["records_in"] == str(sent))
        assert found["sources"][0]["partitions"] == str(PARTITIONS)
        by_name = {stream["name"]: stream for stream in found["streams"]}
        assert by_name["readings"]["records_in"] == str(sent)
        assert by_name["readings"]["dead_letters"] == "0"
        assert found["sinks"][0]["target"] == f"kafka topic {case.out}"
        # One partition stays behind: windows wait for it, and that is said.
        kafka.sender().send(
            case.topic,
            [
                Record(case.value(24 * 60 - 1, 0, "end", 0), partition=partition)
                for partition in range(1, PARTITIONS)
            ],
        )
        found = described(
            fleet,
            case.name,
            lambda it: any("holds the watermark" in line for line in it["findings"]),
        )
        assert found["sources"][0]["held_by"] == f"{case.topic}/0"
        assert float(found["sources"][0]["held_for_seconds"]) > 3600
        case.close()
        case.check()
        rows = len(case.expected)
        found = described(fleet, case.name, lambda it: it["sinks"][0]["records_out"] == str(rows))
        assert found["status"]["records_out"] == str(rows)
        states = [line["message"].split(":")[0] for line in found["log"]]
        assert states[:3] == ["preparing", "deploying", "running"]


def test_logs_and_rows_are_paged(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        first = fleet.request("GET", f"jobs/{case.name}/logs?limit=2").json()
        assert [line["message"].split(":")[0] for line in first["lines"]] == [
            "preparing",
            "deploying",
        ]
        rest = fleet.request("GET", f"jobs/{case.name}/logs?after={first['next']}").json()
        assert rest["lines"][0]["message"] == "running"
        assert rest["dropped"] == "0"

        seen: list[dict[str, Any]] = []
        after = "0"

        def more() -> bool:
            nonlocal after
            page = fleet.request("GET", f"jobs/{case.name}/tail?after={after}").json()
            after = page["next"]
            seen.extend(json.loads(row["row"]) for row in page["rows"])
            return len(seen) > 0

        assert not more()  # nobody looked before
        case.send_minutes(MINUTES)
        case.close()
        wait_for("rows", more)
        assert set(seen[0]) == {"window_start", "window_end", "device_id", "records", "total"}
        expected = {
            (start, device, records, total) for start, device, records, total in case.expected
        }
        shown = {
            (row["window_start"], row["device_id"], row["records"], row["total"]) for row in seen
        }
        assert shown <= expected
        answer = fleet.request("GET", f"jobs/{case.name}/tail?sink=sink.9")
        assert answer.status_code == 400
        assert f"sink.0 (kafka topic {case.out})" in answer.json()["message"]
        answer = fleet.request("GET", f"jobs/{case.name}/logs?limit=many")
        assert answer.status_code == 400
        assert answer.json()["message"] == "limit=many: expected a number from 0 to 1000"


def test_what_did_not_change_is_not_sent_again(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        fleet.wait_for_job(case.name, "running")
        assert fleet.request("POST", f"jobs/{case.name}/pause").ok
        fleet.wait_for_job(case.name, "paused")
        url = f"http://127.0.0.1:{fleet.api_ports[0]}/api/v1/jobs/{case.name}"
        first = requests.get(url, timeout=5)
        again = requests.get(url, headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
        assert (again.status_code, again.content) == (304, b"")
        fleet.request("POST", f"jobs/{case.name}/rescale", {"parallelism": 3})
        changed = requests.get(url, headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
        assert changed.status_code == 200
        assert changed.json()["wanted_parallelism"] == 3
        assert fleet.request("GET", "no/such").json()["code"] == "no_such_path"
        too_large = fleet.request("POST", "jobs", {"file": "x" * (3 << 20)})
        assert too_large.status_code == 413


def wait_for_savepoint(fleet: Fleet, job: str, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        status = fleet.request("GET", f"jobs/{job}/savepoints/{name}").json()
        return status if status["state"] != "in_progress" else None

    status = wait_for(f"savepoint {name}", look)
    assert status["state"] == "complete", status
    return status


def test_savepoints_and_going_back_to_one(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(MINUTES // 2)
        half = case.expected.copy()
        fleet.wait_for_job(case.name, "running", checkpoints=2)
        described(
            fleet,
            case.name,
            lambda it: (
                it["status"]["records_in"] == str(MINUTES // 2 * 60 * 24)
                and it["status"]["lag_records"] == "0"
            ),
        )
        answer = fleet.request("POST", f"jobs/{case.name}/savepoints", {"name": "half"})
        assert (answer.status_code, answer.json()["state"]) == (202, "in_progress")
        assert int(wait_for_savepoint(fleet, case.name, "half")["epoch"]) > 0
        answer = fleet.request("POST", f"jobs/{case.name}/savepoints", {"name": "half"})
        assert (answer.status_code, answer.json()["code"]) == (409, "savepoint_exists")

        case.send_minutes(MINUTES // 2)
        case.close()
        case.check()

        # Back: what came after the savepoint is read and written once more, nothing else.
        answer = fleet.request("POST", f"jobs/{case.name}/restore", {"savepoint": "hald"})
        assert (answer.status_code, answer.json()["code"]) == (404, "savepoint_missing")
        assert "half" in answer.json()["message"]
        before = case.found()
        answer = fleet.request("POST", f"jobs/{case.name}/restore", {"savepoint": "half"})
        assert answer.ok, answer.text
        # Windows that the savepoint's watermark had closed do not come again.
        wait_for("rows again", lambda: case.found() != before, 60)
        fleet.wait_for_job(case.name, "running", attempt=2, checkpoints=2)
        later = set(case.expected) - set(half)

        def all_again() -> bool:
            found = case.found()
            return all(found[row] >= 2 for row in later)

        wait_for("all rows again", all_again, 60)
        again = case.found()
        assert set(again) == set(case.expected)
        assert max(again.values()) == 2

        # At rest, a savepoint is made at once.
        assert fleet.request("POST", f"jobs/{case.name}/pause").ok
        fleet.wait_for_job(case.name, "paused")
        answer = fleet.request("POST", f"jobs/{case.name}/savepoints", {"name": "rest"})
        assert (answer.status_code, answer.json()["state"]) == (201, "complete"), answer.text
        listed = fleet.request("GET", f"jobs/{case.name}/savepoints").json()["savepoints"]
        assert [(one["name"], one["state"]) for one in listed] == [
            ("half", "complete"),
            ("rest", "complete"),
        ]
        assert fleet.request("DELETE", f"jobs/{case.name}/savepoints/rest").status_code == 204
        assert fleet.request("DELETE", f"jobs/{case.name}/savepoints/rest").status_code == 404
        bad = fleet.request("DELETE", f"jobs/{case.name}/savepoints/..%2f..")
        assert bad.status_code in (400, 404)
        assert (tmp_path / "storage" / case.name / "log").is_dir()


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


class Guarded:
    """A coordinator whose API asks for tokens, over TLS."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.folder = folder
        self.tokens = folder / "tokens"
        self.tokens.write_text(f"alice operator {OPERATOR}\nboard viewer {VIEWER}\n")
        self.certificate, self.key = make_certificate(folder, "first")
        self.url = f"https://127.0.0.1:{fleet.api_ports[0]}/api/v1/"
        self.process: Process = fleet.start_coordinator(
            "--api-tokens", self.tokens, "--api-tls-cert", self.certificate,
            "--api-tls-key", self.key,
        )  # fmt: skip
        self.process.wait_for_line("leads the cluster")

    def get(self, token: str | None, method: str = "GET", path: str = "jobs") -> requests.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return requests.request(
            method, self.url + path, headers=headers, verify=str(self.certificate), timeout=5
        )


@pytest.fixture
def guarded(kafka: Kafka, tmp_path: Path) -> Any:
    with Fleet(tmp_path, kafka.bootstrap) as fleet:
        yield Guarded(fleet, tmp_path)


def test_tokens_decide_who_may_ask(guarded: Guarded) -> None:
    assert guarded.get(OPERATOR).status_code == 200
    assert guarded.get(VIEWER).status_code == 200
    unknown = guarded.get("nobodys-token-0001")
    assert (unknown.status_code, unknown.json()["code"]) == (401, "unauthorized")
    assert unknown.headers["WWW-Authenticate"] == "Bearer"
    assert guarded.get(None).status_code == 401
    forbidden = guarded.get(VIEWER, "POST", "jobs/x/pause")
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
    assert "'board'" in forbidden.json()["message"]
    assert guarded.get(OPERATOR, "POST", "jobs/x/pause").status_code == 404
    guarded.process.wait_for_line("who=alice")
    # Changed tokens are in force at once.
    guarded.tokens.write_text("carol operator carols-token-000001\n")
    assert guarded.get(OPERATOR).status_code == 401
    assert guarded.get("carols-token-000001").status_code == 200
    guarded.tokens.write_text("carol operater carols-token-000001\n")
    assert guarded.get("carols-token-000001").status_code == 200
    guarded.process.wait_for_line("do you mean operator?")


def test_a_changed_certificate_is_used(guarded: Guarded) -> None:
    assert guarded.get(OPERATOR).ok
    old = guarded.folder / "old.pem"
    old.write_bytes(guarded.certificate.read_bytes())
    certificate, key = make_certificate(guarded.folder, "second")
    (guarded.folder / "second.copy").write_bytes(certificate.read_bytes())
    key.rename(guarded.key)
    certificate.rename(guarded.certificate)
    assert guarded.get(OPERATOR).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(guarded.url + "jobs", verify=str(old), timeout=5)
    guarded.certificate.write_text("no certificate")
    guarded.key.write_text("no key")
    with pytest.raises((requests.exceptions.SSLError, OSError)):
        guarded.get(OPERATOR)  # the client's own copy is gone
    second = guarded.folder / "second.copy"
    assert requests.get(guarded.url + "jobs", verify=str(second), timeout=5).status_code == 401
    guarded.process.wait_for_line("changed TLS files; the old ones go on")


def test_beyond_loopback_the_api_is_guarded(kafka: Kafka, tmp_path: Path) -> None:
    with Fleet(tmp_path, kafka.bootstrap) as fleet:
        process = fleet.start_coordinator(host="0.0.0.0")
        assert process.wait(30) == 1
        assert "beyond loopback the API needs --api-tokens" in process.stderr
