"""The command line against a real coordinator and workers; tests/cli has the rest of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import trustme

from cluster.fleet_case import MINUTES, Case, case, started
from harness import millrace
from harness.fleet import Fleet
from harness.kafka import Kafka
from harness.millrace import Finished, Process
from harness.waiting import wait_for

__all__ = ["case"]  # the fixture


def ask(fleet: Fleet, *words: str | Path) -> Finished:
    return millrace.run(words, env={"MILLRACE_SERVER": fleet.api_url, "MILLRACE_TOKEN_FILE": ""})


def done(fleet: Fleet, *words: str | Path) -> str:
    """What a command that must succeed says."""
    finished = ask(fleet, *words)
    assert finished.code == 0, finished.stderr
    return finished.stdout


def until(fleet: Fleet, wanted: Callable[[str], bool], *words: str | Path) -> str:
    """What a command says, once it says what is wanted."""
    last = ""

    def look() -> bool:
        nonlocal last
        last = done(fleet, *words)
        return wanted(last)

    try:
        wait_for(" ".join(str(word) for word in words), look)
    except AssertionError as error:
        raise AssertionError(f"{error}\nlast: {last}") from None
    return last


def test_jobs_and_workers_are_shown(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        assert done(fleet, "wait", case.name, "--for", "state=running") == (
            f"job {case.name}: running\n"
        )
        assert done(fleet, "get", "jobs", "-o", "name") == f"{case.name}\n"
        header, row = done(fleet, "get", "jobs").splitlines()
        assert header.split() == [
            "NAME", "STATE", "DESIRED", "PAR", "LAG", "WM-DELAY", "LAST-CKPT", "RESTARTS", "AGE",
        ]  # fmt: skip
        assert row.split()[:4] == [case.name, "running", "running", "4"]
        workers = [line.split() for line in done(fleet, "get", "workers").splitlines()[1:]]
        assert [[worker[0], worker[2]] for worker in workers] == [
            ["worker-0", "2"], ["worker-1", "2"],
        ]  # fmt: skip
        job = json.loads(done(fleet, "get", "job", case.name, "-o", "json"))
        assert sorted(job["slot_workers"]) == ["worker-0", "worker-0", "worker-1", "worker-1"]
        assert ask(fleet, "get", "job", "countign").code == 3


def test_a_job_is_paused_rescaled_resumed_canceled_and_deleted(
    kafka: Kafka, case: Case, tmp_path: Path
) -> None:
    with started(kafka, case, tmp_path, 2) as fleet:
        name = case.name
        fleet.wait_for_job(name, "running")
        case.send_minutes(MINUTES)
        assert done(fleet, "pause", name, "--wait") == f"job {name}: pausing\njob {name}: paused\n"
        assert done(fleet, "pause", name) == f"job {name}: paused\n"
        assert done(fleet, "rescale", name, "--parallelism", "3", "--wait") == (
            f"job {name}: parallelism 3, when it runs again\n"
        )
        assert ask(fleet, "delete", name).code == 5
        assert done(fleet, "resume", name, "--wait") == (
            f"job {name}: resuming\njob {name}: running\n"
        )
        assert done(fleet, "rescale", name, "--parallelism", "2", "--wait") == (
            f"job {name}: rescaling to parallelism 2\njob {name}: running with parallelism 2\n"
        )
        case.close()
        case.check()
        assert done(fleet, "cancel", name, "--wait").endswith(f"job {name}: canceled\n")
        assert done(fleet, "delete", name) == f"job {name}: deleted\n"
        assert done(fleet, "get", "jobs", "-o", "name") == ""


def test_watching_goes_on_under_the_next_coordinator(
    kafka: Kafka, case: Case, tmp_path: Path
) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        fleet.wait_for_job(case.name, "running")
        with Process(
            ["get", "jobs", "-w", "--server", fleet.api_url], tmp_path, name="watch"
        ) as watch:
            watch.wait_for_line(rf"^{case.name} +running")
            fleet.coordinator.kill()
            watch.wait_for_line("no coordinator answers")
            fleet.start_coordinator().wait_for_line("leads the cluster")
            watch.wait_for_line("a coordinator answers again")
            fleet.wait_for_job(case.name, "running")
            done(fleet, "pause", case.name, "--wait")
            watch.wait_for_line(rf"^{case.name} +paused")


def test_a_file_is_applied(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        fleet.wait_for_job(case.name, "running")
        assert done(fleet, "apply", case.file) == f"job {case.name}: unchanged\n"
        other = tmp_path / "other.yaml"
        other.write_text(case.file.read_text().replace(f"name: {case.name}", "name: other"))
        assert done(fleet, "apply", other, "--dry-run") == "job other: would be created\n"
        assert done(fleet, "get", "jobs", "-o", "name") == f"{case.name}\n"
        assert done(fleet, "apply", other) == "job other: created\n"
        other.write_text("kind: StreamJop\n")
        wrong = ask(fleet, "apply", other)
        assert wrong.code == 1
        assert wrong.stderr.startswith(f"{other}:1:1: error: 'apiVersion' is missing")
        assert f"{other}:1:7: error: expected 'StreamJob', found 'StreamJop'\n" in wrong.stderr


def test_a_job_is_described(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        fleet.wait_for_job(case.name, "running")
        case.send_minutes(1)
        report = until(fleet, lambda text: "\nSources\n" in text, "describe", "job", case.name)
        assert report.startswith(f"Job         {case.name}\nState       running for ")
        assert "\nFindings\n" in report
        assert f"kafka topic {case.out}" in report
        assert "\nLog\n" in report
        lines = done(fleet, "logs", case.name)
        assert lines.index("preparing") < lines.index("deploying")
        assert done(fleet, "logs", case.name, "--tail", "1").count("\n") == 1
        top = done(fleet, "top")
        assert top.startswith("cluster test: coordinator-1 leads (term ")
        assert "worker-0" in top


def test_rows_are_shown_as_they_come(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        fleet.wait_for_job(case.name, "running")
        with Process(
            ["tail", case.name, "-f", "--limit", "5", "--server", fleet.api_url],
            tmp_path,
            name="tail",
        ) as tail:
            fleet.request("GET", f"jobs/{case.name}/tail")  # somebody looks
            case.send_minutes(MINUTES)
            case.close()
            assert tail.wait(30) == 0
            rows = [json.loads(line) for line in tail.stdout.splitlines()]
        assert len(rows) == 5
        found = {
            (row["window_start"], row["device_id"], row["records"], row["total"]) for row in rows
        }
        assert found <= set(case.expected)


def test_a_savepoint_is_made_and_gone_back_to(kafka: Kafka, case: Case, tmp_path: Path) -> None:
    with started(kafka, case, tmp_path, 1) as fleet:
        name = case.name
        fleet.wait_for_job(name, "running")
        case.send_minutes(MINUTES)
        fleet.wait_for_job(name, "running", checkpoints=2)
        assert done(fleet, "savepoint", "create", name, "half") == "savepoint half is complete\n"
        assert ask(fleet, "savepoint", "create", name, "half").code == 5
        assert done(fleet, "savepoint", "list", name, "-o", "name") == "half\n"
        assert done(fleet, "restore", name, "--from-savepoint", "half", "--wait") == (
            f"job {name}: restoring from savepoint half\njob {name}: running\n"
        )
        assert ask(fleet, "restore", name, "--from-savepoint", "hafl").code == 3
        assert done(fleet, "savepoint", "delete", name, "half") == "savepoint half is deleted\n"
        assert ask(fleet, "savepoint", "delete", name, "half").code == 3


def test_who_may_ask(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    for name, pem in (
        ("ca.pem", authority.cert_pem),
        ("key.pem", certificate.private_key_pem),
        ("cert.pem", certificate.cert_chain_pems[0]),
    ):
        pem.write_to_path(str(tmp_path / name))
    (tmp_path / "tokens").write_text(
        "ann operator operators-token-0001\nbob viewer viewers-token-00001\n"
    )
    (tmp_path / "ann").write_text("operators-token-0001\n")
    (tmp_path / "bob").write_text("viewers-token-00001\n")
    with Fleet(tmp_path, "127.0.0.1:1") as fleet:
        fleet.start_coordinator(
            "--api-tokens", tmp_path / "tokens",
            "--api-tls-cert", tmp_path / "cert.pem",
            "--api-tls-key", tmp_path / "key.pem",
        ).wait_for_line("leads the cluster")  # fmt: skip
        url = fleet.api_url.replace("http:", "https:")

        def asked(token: str | None, *words: str) -> Finished:
            shown: list[str | Path] = [] if token is None else ["--token-file", tmp_path / token]
            return ask(fleet, *words, "--server", url, "--ca", tmp_path / "ca.pem", *shown)

        assert asked(None, "get", "jobs").code == 4
        assert asked("bob", "get", "jobs").code == 0
        refused = asked("bob", "pause", "x")
        assert (refused.code, refused.stdout) == (4, "")
        assert "'bob' is a viewer's" in refused.stderr
        assert asked("ann", "pause", "x").code == 3  # she may, but there is none
