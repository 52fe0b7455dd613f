"""Commands that change something: apply, pause, resume, cancel, delete, rescale, restore,
savepoint; and `wait`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Ask
from cli.fake_api import Answer, FakeApi, Request, error, job_status

FILE = "kind: StreamJob\nmetadata: {name: NAME}\n"


def becomes(api: FakeApi, job: str, after: int, **fields: Any) -> None:
    """The job's status is another one from its GET number `after` on."""
    seen = 0

    def look(request: Request) -> None:
        nonlocal seen
        if request.line == f"GET /jobs/{job}":
            seen += 1
            if seen >= after:
                api.jobs[job].update(fields)

    api.intercept = look


# ---- apply


def test_apply_says_what_it_did(ask: Ask, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(FILE.replace("NAME", "new"))
    (tmp_path / "smoke.yaml").write_text(FILE.replace("NAME", "smoke") + "# warn\n")
    got = ask("apply", "new.yaml", "smoke.yaml")
    assert got.code == 0
    assert got.stdout == "job new: created\njob smoke: changed\n"
    assert got.stderr == "column 'x' is not used\n"
    assert api.requests[0].body == {
        "file_name": "new.yaml", "file": FILE.replace("NAME", "new"), "dry_run": False,
    }  # fmt: skip


def test_apply_dry_run_changes_nothing(ask: Ask, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(FILE.replace("NAME", "new"))
    got = ask("apply", "new.yaml", "--dry-run")
    assert (got.code, got.stdout) == (0, "job new: would be created\n")
    assert "new" not in api.jobs
    assert ask("apply", "new.yaml", "--dry-run", "--wait").code == 2


def test_apply_tells_mistakes_with_their_place(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("kind: \x1b[31mStreamJop")
    (tmp_path / "new.yaml").write_text(FILE.replace("NAME", "new"))
    got = ask("apply", "wrong.yaml", "new.yaml", "nowhere.yaml")
    assert got.code == 1
    assert got.stdout == "job new: created\n"  # one mistake does not keep the others away
    assert got.stderr == (
        "wrong.yaml:1:1: error: 'kind' is missing\n"
        "     1 | kind: \\x1b[31mStreamJop\n"
        "       | ^\n"
        "error: cannot read 'nowhere.yaml': No such file or directory\n"
    )


def test_apply_of_what_is_no_job_file(ask: Ask, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"#" * ((1 << 20) + 1))
    (tmp_path / "binary").write_bytes(b"kind: StreamJob \xff")
    (tmp_path / "folder").mkdir()
    assert "more than 1 MiB" in ask("apply", "big").stderr
    assert "is not UTF-8" in ask("apply", "binary").stderr
    assert "cannot read 'folder'" in ask("apply", "folder").stderr
    assert api.lines == []


def test_apply_of_a_large_file(ask: Ask, api: FakeApi, tmp_path: Path) -> None:
    text = FILE.replace("NAME", "new") + '# "quoted"\n' * 80_000
    (tmp_path / "large.yaml").write_text(text)
    assert ask("apply", "large.yaml").code == 0
    assert api.requests[0].body["file"] == text


def test_apply_waits(ask: Ask, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(FILE.replace("NAME", "new"))
    becomes(api, "new", 2, state="running")
    got = ask("apply", "new.yaml", "--wait")
    assert (got.code, got.stdout) == (0, "job new: created\njob new: running\n")


# ---- what is wanted of a job


@pytest.mark.parametrize(
    ("verb", "at_once", "then"),
    [("pause", "pausing", "paused"), ("resume", "resuming", "running"),
     ("cancel", "canceling", "canceled")],
)  # fmt: skip
def test_a_change_says_what_follows_and_waits_for_it(
    verb: str, at_once: str, then: str, ask: Ask, api: FakeApi
) -> None:
    got = ask(verb, "smoke")
    assert (got.code, got.stdout, got.stderr) == (0, f"job smoke: {at_once}\n", "")
    assert api.lines == [f"POST /jobs/smoke/{verb}"]
    becomes(api, "smoke", 3, state=then)
    got = ask(verb, "smoke", "--wait")
    assert (got.code, got.stdout) == (0, f"job smoke: {at_once}\njob smoke: {then}\n")


def test_what_is_so_already_is_said(ask: Ask, api: FakeApi) -> None:
    api.intercept = lambda _: Answer(200, api.jobs["rig"])
    assert ask("pause", "rig", "--wait").stdout == "job rig: paused\n"
    assert api.lines == ["POST /jobs/rig/pause"]


def test_waiting_for_a_change_has_an_end(ask: Ask) -> None:
    got = ask("pause", "smoke", "--wait", "--timeout", "500ms")
    assert (got.code, got.stdout) == (124, "job smoke: pausing\n")
    assert got.stderr == (
        "error: after 500ms: job smoke is stopping (all of it runs), not paused\n"
    )


def test_a_job_that_fails_is_not_waited_for(ask: Ask, api: FakeApi) -> None:
    becomes(api, "smoke", 1, state="failed", why="disk_full: no space left")
    got = ask("resume", "smoke", "--wait")
    assert got.code == 1
    assert got.stderr == (
        "error: job smoke is failed (disk_full: no space left), and so will not be "
        "running or finished\n"
    )


def test_jobs_that_are_not_there_or_not_so(ask: Ask, api: FakeApi) -> None:
    for words in (
        ["pause", "x"], ["resume", "x"], ["cancel", "x"], ["delete", "x"], ["logs", "x"],
        ["tail", "x"], ["rescale", "x", "--parallelism", "2"], ["describe", "job", "x"],
        ["wait", "x", "--for", "state=running"], ["savepoint", "list", "x"],
        ["restore", "x", "--from-savepoint", "s"], ["get", "savepoints", "x"],
    ):  # fmt: skip
        got = ask(*words)
        assert (got.code, got.stdout, got.stderr) == (
            3, "", "error: there is no job 'x'\n",
        ), words  # fmt: skip
    got = ask("delete", "smoke")
    assert (got.code, got.stderr) == (5, "error: job 'smoke' runs: cancel it first\n")
    api.jobs["smoke"].update(state="canceled")
    assert ask("delete", "smoke").stdout == "job smoke: deleted\n"
    assert "smoke" not in api.jobs


def test_a_file_is_no_job_of_a_cluster(ask: Ask, api: FakeApi) -> None:
    for words in (
        ["pause", "job.yaml"], ["logs", "./smoke"], ["describe", "job", "job.yaml"],
        ["get", "job", "job.yaml"], ["wait", "job.yaml", "--for", "state=running"],
    ):  # fmt: skip
        got = ask(*words)
        assert got.code == 2, words
        assert "is a file: on a cluster, a job is named by the metadata.name" in got.stderr
    assert api.lines == []


def test_rescale(ask: Ask, api: FakeApi) -> None:
    got = ask("rescale", "smoke", "--parallelism", "6")
    assert (got.code, got.stdout) == (0, "job smoke: rescaling to parallelism 6\n")
    assert api.requests[-1].body == {"parallelism": 6}
    api.jobs["smoke"].update(state="running")
    assert ask("rescale", "smoke", "--parallelism", "6", "--wait").stdout == (
        "job smoke: has parallelism 6 already\n"
    )
    assert ask("rescale", "rig", "--parallelism", "2", "--wait").stdout == (
        "job rig: parallelism 2, when it runs again\n"
    )
    assert ask("rescale", "smoke").code == 2
    assert ask("rescale", "smoke", "--parallelism", "721").code == 2


def test_rescale_waits_for_the_next_attempt(ask: Ask, api: FakeApi) -> None:
    becomes(api, "smoke", 3, state="running", attempt="4", parallelism=6)
    api.jobs["smoke"].update(state="running")
    got = ask("rescale", "smoke", "--parallelism", "6", "--wait")
    assert got.stdout == (
        "job smoke: rescaling to parallelism 6\njob smoke: running with parallelism 6\n"
    )
    got = ask("rescale", "smoke", "--parallelism", "0")
    assert got.stdout == "job smoke: rescaling to the parallelism of its file\n"


def test_rescale_waits_until_it_cannot_be_taken_back(ask: Ask, api: FakeApi) -> None:
    polls = 0

    def look(request: Request) -> None:
        nonlocal polls
        if request.line == "GET /jobs/smoke":
            polls += 1
            if polls >= 3:
                api.jobs["smoke"].update(
                    attempt="4", parallelism=6, rescaling=polls < 5, state="running"
                )

    api.intercept = look
    api.jobs["smoke"].update(state="running")
    got = ask("rescale", "smoke", "--parallelism", "6", "--wait")
    assert (got.code, got.stdout.splitlines()[-1]) == (0, "job smoke: running with parallelism 6")
    assert polls == 5


def test_a_rescale_that_is_taken_back_is_an_error(ask: Ask, api: FakeApi) -> None:
    note = "the rescale to parallelism 6 failed, and was taken back to parallelism 4: disk is full"
    becomes(
        api, "smoke", 3, state="running", attempt="5", wanted_parallelism=4, notes=["slow", note]
    )
    api.jobs["smoke"].update(state="running")
    got = ask("rescale", "smoke", "--parallelism", "6", "--wait")
    assert (got.code, got.stdout) == (1, "job smoke: rescaling to parallelism 6\n")
    assert f"job smoke does not run with parallelism 6: {note}" in got.stderr


# ---- savepoints of a cluster


def test_a_savepoint_is_made_listed_and_deleted(ask: Ask, api: FakeApi) -> None:
    def complete(request: Request) -> None:
        if request.line == "GET /jobs/smoke/savepoints/before-edit":
            api.savepoints["smoke"]["before-edit"].update(
                state="complete", epoch="1240", created="2026-03-01T08:00:10.000000Z",
                generation="0123456789abcdef",
            )  # fmt: skip

    api.intercept = complete
    got = ask("savepoint", "create", "smoke", "before-edit")
    assert (got.code, got.stdout) == (0, "savepoint before-edit is complete\n")
    assert api.requests[0].body == {"name": "before-edit"}
    listed = ask("savepoint", "list", "smoke").stdout
    assert listed == ask("get", "savepoints", "smoke").stdout
    assert listed.splitlines()[1].split() == [
        "before-edit", "complete", "1240", "2026-03-01T08:00:10.000000Z", "01234567",
    ]  # fmt: skip
    assert ask("savepoint", "list", "smoke", "-o", "name").stdout == "before-edit\n"
    again = ask("savepoint", "create", "smoke", "before-edit")
    assert (again.code, again.stderr) == (5, "error: there is a savepoint 'before-edit'\n")
    assert ask("savepoint", "delete", "smoke", "before-edit").stdout == (
        "savepoint before-edit is deleted\n"
    )
    assert ask("savepoint", "delete", "smoke", "before-edit").code == 3


def test_a_savepoint_that_takes_long_or_fails(ask: Ask, api: FakeApi) -> None:
    begun = ask("savepoint", "create", "smoke", "a", "--no-wait")
    assert (begun.code, begun.stdout) == (0, "savepoint a is in progress\n")
    late = ask("savepoint", "create", "smoke", "b", "--timeout", "400ms")
    assert (late.code, late.stdout) == (124, "")
    assert late.stderr == "error: after 400ms: savepoint b is still in progress\n"

    def fail(request: Request) -> None:
        if request.line == "GET /jobs/smoke/savepoints/c":
            api.savepoints["smoke"]["c"].update(state="failed", why="disk_full")

    api.intercept = fail
    failed = ask("savepoint", "create", "smoke", "c")
    assert (failed.code, failed.stderr) == (1, "error: savepoint c failed: disk_full\n")


def test_restore_on_a_cluster(ask: Ask, api: FakeApi) -> None:
    got = ask("restore", "smoke", "--from-savepoint", "before-edit")
    assert (got.code, got.stdout) == (0, "job smoke: restoring from savepoint before-edit\n")
    assert api.requests[-1].line == "POST /jobs/smoke/restore"
    assert api.requests[-1].body == {
        "savepoint": "before-edit", "epoch": "0", "accept_duplicates": False,
    }  # fmt: skip
    becomes(api, "smoke", 3, state="running", attempt="4")
    got = ask("restore", "smoke", "--from", "1200", "--accept-duplicates", "--wait")
    assert got.stdout == "job smoke: restoring from epoch 1200\njob smoke: running\n"
    assert {"savepoint": "", "epoch": "1200", "accept_duplicates": True} in [
        request.body for request in api.requests
    ]


@pytest.mark.parametrize("job", ["smoke", "job.yaml"])
def test_restore_says_where_from(ask: Ask, api: FakeApi, job: str) -> None:
    for words in ([], ["--from", "3", "--from-savepoint", "x", "--accept-duplicates"]):
        got = ask("restore", job, *words)
        assert (got.code, api.lines) == (2, [])
        assert "either --from-savepoint NAME, or --from EPOCH --accept-duplicates" in got.stderr
    got = ask("restore", job, "--from", "3")
    assert (got.code, api.lines) == (2, [])
    assert "--accept-duplicates says that this is meant" in got.stderr


def test_a_file_is_local_and_a_name_is_the_cluster_s(
    ask: Ask, api: FakeApi, tmp_path: Path
) -> None:
    """By how JOB is written: not by what lies in the folder, and not by the environment."""
    (tmp_path / "smoke").write_text("a file that happens to have this name")
    assert ask("savepoint", "list", "smoke").code == 0
    assert api.lines == ["GET /jobs/smoke/savepoints"]
    local = ask("savepoint", "list", "./smoke")
    assert local.code == 1
    assert "./smoke" in local.stderr
    assert api.lines == ["GET /jobs/smoke/savepoints"]
    (tmp_path / "job").write_text("")
    missed = ask("savepoint", "list", "job")
    assert missed.code == 3
    assert missed.stderr.endswith("the file of that name here is ./job\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["savepoint", "list", "job.yaml", "--server", "http://127.0.0.1:1"],
         "--server is about a cluster, and 'job.yaml' is a file"),
        (["savepoint", "list", "job.yaml", "-o", "json"], "--output is about a cluster"),
        (["savepoint", "create", "job.yaml", "x", "--no-wait"], "--no-wait is about a cluster"),
        (["savepoint", "delete", "smoke", "x", "--state-dir", "s"],
         "--state-dir is about a job file, and 'smoke' is the name of a job on a cluster"),
        (["restore", "smoke", "--from-savepoint", "x", "--brokers", "k:1"],
         "--brokers is about a job file"),
        (["restore", "job.yaml", "--from-savepoint", "x", "--wait"], "--wait is about a cluster"),
    ],
)  # fmt: skip
def test_flags_for_the_other_kind_of_job(
    ask: Ask, api: FakeApi, words: list[str], why: str
) -> None:
    got = ask(*words)
    assert (got.code, got.stdout, api.lines) == (2, "", [])
    assert why in got.stderr


# ---- wait


def test_wait_for_a_state(ask: Ask, api: FakeApi) -> None:
    assert ask("wait", "smoke", "--for", "state=running").stdout == "job smoke: running\n"
    becomes(api, "smoke", 4, state="finished")
    got = ask("wait", "smoke", "--for", "state=finished,failed")
    assert (got.code, got.stdout) == (0, "job smoke: finished\n")


def test_wait_ends_in_time(ask: Ask) -> None:
    got = ask("wait", "rig", "--for", "state=running", "--timeout", "300ms")
    assert (got.code, got.stdout) == (124, "")
    assert got.stderr == "error: after 300ms: job rig is paused (paused), not running\n"


def test_wait_for_what_is_no_state(ask: Ask, api: FakeApi) -> None:
    got = ask("wait", "rig", "--for", "state=runing")
    assert got.code == 2
    assert got.stderr == "error: there is no state 'runing'; did you mean 'running'?\n"
    assert ask("wait", "rig", "--for", "running").code == 2
    assert ask("wait", "rig").code == 2
    assert ask("wait", "rig", "--for", "state=paused", "--timeout", "soon").code == 2
    assert api.lines == []


def test_wait_for_a_job_that_comes_back_under_another_coordinator(ask: Ask, api: FakeApi) -> None:
    """The one that was asked dies; the other one leads, after a while."""
    api.jobs["smoke"].update(state="waiting")
    with FakeApi() as other:
        other.intercept = lambda _: error(503, "not_leading", "does not lead")
        asked = threading.Event()

        def die(_: Request) -> bytes | None:
            if len(api.requests) < 3:
                return None
            other.intercept = lambda _: None
            other.jobs["smoke"] = job_status("smoke")
            asked.set()
            return b""

        api.intercept = die
        got = ask("wait", "smoke", "--for", "state=running", "--server", f"{other.url},{api.url}")
        assert (got.code, got.stdout) == (0, "job smoke: running\n")
        assert asked.is_set()
