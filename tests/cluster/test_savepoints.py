"""Savepoints, edited jobs, damaged checkpoints: what is kept and refused, and what comes out."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from cluster.case import Case, Expected
from harness import millrace
from harness.millrace import Finished, Job
from harness.waiting import wait_for

HALF = 20  # of the input's 40 chunks


def savepoint(case: Case, command: str, *arguments: str) -> Finished:
    return state_command(case, "savepoint", command, *arguments)


def state_command(case: Case, *words: str) -> Finished:
    """`millrace WORDS`, with the job file where it belongs: before a savepoint's name."""
    at = 2 if words[0] == "savepoint" else 1
    return millrace.run(
        [*words[:at], case.job_file, "--data-dir", case.data_dir, *words[at:]], cwd=case.folder
    )


def send_half(case: Case) -> None:
    for _ in range(HALF):
        case.send_chunk()


def wait_until_read(case: Case, job: Job) -> None:
    """All that was sent is read, and what came of it is published."""
    sent = len(case.feed.records) * HALF // 40
    job.wait_for_metric("millrace_records_in_total", sent)
    completed = job.metrics().total("millrace_checkpoints_total", result="completed") or 0.0
    job.wait_for_metric("millrace_checkpoints_total", completed + 4, result="completed")
    wait_for(
        "everything published",
        lambda: job.metrics().total("millrace_unpublished_epochs") == 0.0,
    )


def test_a_job_goes_on_from_a_savepoint_that_was_made_while_it_ran(
    case: Case, expected: Expected
) -> None:
    send_half(case)
    with case.start() as job:
        wait_until_read(case, job)
        made = savepoint(case, "create", "half-way")
        assert made.code == 0, made.stderr
        assert made.stdout == "savepoint half-way is complete\n"
        assert savepoint(case, "create", "half-way").code == 1  # the name is taken
        job.kill()
    listed = savepoint(case, "list")
    assert re.fullmatch(r"half-way +epoch \d+ +\S+Z? +generation [0-9a-f]{8}\n", listed.stdout), (
        listed.stdout
    )
    # Nothing came after it, so that what its new generation writes is what was still to come.
    summary = case.finish("--from-savepoint", "half-way")
    case.check(summary, expected)
    # It stays until it is deleted.
    assert savepoint(case, "list").stdout == listed.stdout
    assert savepoint(case, "delete", "half-way").code == 0
    assert savepoint(case, "list").stdout == ""
    gone = savepoint(case, "delete", "half-way")
    assert gone.code == 1
    assert gone.stderr == "error: there is no savepoint 'half-way'; there is none\n"


def test_a_job_that_was_stopped_gives_a_savepoint(case: Case, expected: Expected) -> None:
    send_half(case)
    with case.start() as job:
        wait_until_read(case, job)
        assert job.stop() == 0, job.output[-4000:]
    made = savepoint(case, "create", "stopped")
    assert made.code == 0, made.stderr
    with case.start() as job:  # the job goes on, and its checkpoints do not touch the savepoint
        case.run_epochs(job, 8)
        job.kill()
    planned = state_command(case, "plan", "--from", "stopped")
    assert planned.code == 0, planned.stdout
    assert re.search(r"^  windows.window +kept +\d+ KiB of \d tasks?$", planned.stdout, re.M)
    assert re.search(r"^  readings +kept +positions of 4 partitions$", planned.stdout, re.M)
    case.check(case.finish(), expected)


def test_rows_after_a_savepoint_come_again_in_a_new_generation(
    case: Case, expected: Expected
) -> None:
    """A savepoint is gone back to in order to compute something again."""
    send_half(case)
    with case.start() as job:
        wait_until_read(case, job)
        assert savepoint(case, "create", "half").code == 0
        assert job.stop() == 0
    published = case.outputs().count("windows (Kafka)")
    case.finish()
    total = expected.outputs.count("windows (Kafka)")
    assert case.outputs().count("windows (Kafka)") == total
    assert 0 < published < total
    summary = case.finish("--from-savepoint", "half")
    assert summary["balanced"]
    assert case.outputs().count("windows (Kafka)") == total + (total - published)


@pytest.mark.parametrize("point", ["savepoint", "savepoint_written"])
def test_killed_while_a_savepoint_is_made(point: str, case: Case, expected: Expected) -> None:
    send_half(case)
    with case.start(crash_at=point, executable=millrace.crash_program()) as job:
        job.wait_for_metric("millrace_checkpoints_total", 1, result="completed")
        asked = savepoint(case, "create", "cut", "--timeout", "1s")
        assert asked.code == 1
        assert asked.stderr == "error: the job gave no answer in 1s\n"
        assert job.wait() == -signal.SIGKILL
    with case.start() as job:
        job.wait_for_line("running")
        listed = savepoint(case, "list").stdout
        assert listed.startswith("cut") == (point == "savepoint_written")
        if point == "savepoint":
            assert savepoint(case, "create", "cut").code == 0
        case.run_epochs(job, 2)
        job.kill()
    case.check(case.finish(), expected)


def edited(case: Case, old: str, new: str) -> None:
    text = case.job_file.read_text()
    assert old in text
    case.job_file.write_text(text.replace(old, new))


def half_run(case: Case) -> None:
    send_half(case)
    with case.start() as job:
        wait_until_read(case, job)
        assert job.stop() == 0


def test_an_edited_window_is_refused_and_named_beforehand(case: Case) -> None:
    half_run(case)
    edited(case, "slide => INTERVAL '10 seconds'", "slide => INTERVAL '5 seconds'")
    planned = state_command(case, "plan", "--from", "latest")
    assert planned.code == 1
    assert re.search(r"^  windows.window +REFUSED +its query changed", planned.stdout, re.M)
    assert re.search(r"^  fleet.window +kept ", planned.stdout, re.M)
    with case.start() as job:
        assert job.wait() == 1
        assert "code=state_of_another_query" in job.stderr


def test_an_operator_that_is_gone_is_dropped_and_a_new_one_begins_empty(case: Case) -> None:
    half_run(case)
    edited(case, "    fleet:\n", "    houses:\n")
    edited(case, "{stream: fleet, files: {path: fleet", "{stream: houses, files: {path: houses")
    planned = state_command(case, "plan", "--from", "latest")
    assert planned.code == 0, planned.stdout
    assert re.search(r"^  windows.window +kept ", planned.stdout, re.M)
    assert re.search(r"^  houses.window +empty +it is new$", planned.stdout, re.M)
    assert re.search(r"^  fleet.window +dropped +the job no longer has it$", planned.stdout, re.M)
    summary = case.finish()
    assert summary["readings_in"] == len(case.feed.records)
    assert (case.data_dir / "houses").is_dir()


def test_a_fresh_start_under_an_old_name_is_refused_until_told(case: Case) -> None:
    half_run(case)
    state = case.data_dir / ".millrace"
    state.rename(case.folder / "elsewhere")
    with case.start() as job:
        assert job.wait() == 1
        assert "code=generation_is_foreign" in job.stderr
        assert "--new-generation" in job.stderr
    summary = case.finish("--new-generation")
    assert summary["readings_in"] == len(case.feed.records)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def manifests(case: Case) -> list[Path]:
    """The newest first."""
    folder = case.data_dir / ".millrace" / case.name / "checkpoints" / "manifests"
    return sorted(folder.iterdir(), key=lambda path: -int(path.name.split("-")[0]))


def test_a_damaged_checkpoint_is_passed_over_where_nothing_was_published_beyond_the_one_before(
    case: Case, expected: Expected
) -> None:
    half_run(case)
    newest, *_ = manifests(case)  # it only confirms what the one before had published
    damage(newest)
    with case.start() as job:
        job.wait_for_line("the checkpoint of epoch .* is damaged .*so it goes on from there")
        job.wait_for_line("running")
        job.kill()
    case.check(case.finish(), expected)


def test_a_damaged_checkpoint_is_not_passed_over_where_rows_would_come_twice(
    case: Case, expected: Expected
) -> None:
    send_half(case)
    with case.start() as job:
        wait_until_read(case, job)
        case.run_epochs(job, 12)  # each publishes
        job.kill()
    kept = manifests(case)
    originals = {path: path.read_bytes() for path in kept}
    for path in kept[:-1]:
        damage(path)
    with case.start() as job:
        assert job.wait() == 1
        assert "code=checkpoint_damaged" in job.stderr
        assert "--accept-duplicates" in job.stderr, job.stderr
    for path, data in originals.items():  # the disk is repaired
        path.write_bytes(data)
    case.check(case.finish(), expected)
