"""README.md: the blocks of its first job as files, its commands as they stand, what comes out."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import ExitStack
from pathlib import Path

from devtool import paths, processes
from harness import millrace

README = (paths.ROOT / "README.md").read_text()


def named_block(name: str) -> str:
    found = re.search(rf"^```\w+ {re.escape(name)}\n(.*?)^```$", README, re.M | re.S)
    assert found is not None, f"README.md has no block {name}"
    return found[1]


def commands() -> list[list[str]]:
    """The lines that start the program over job.yaml, in this process."""
    alone = README.replace(named_block("cluster"), "")
    return [
        shlex.split(line, comments=True)[1:]
        for line in re.findall(r"^millrace .*$", alone, re.M)
        if "job.yaml" in line
    ]


def rows(folder: Path) -> list[dict[str, object]]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    assert files
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_the_first_job_does_what_the_readme_says(tmp_path: Path) -> None:
    for name in ("readings.csv", "job.yaml"):
        (tmp_path / name).write_text(named_block(name))
    lines = commands()
    assert [line[0] for line in lines] == ["lint", "plan", "run"]
    for line in lines:
        more = ["--metrics-port", "0"] if line[0] == "run" else []
        finished = millrace.run([*line, *more], cwd=tmp_path)
        assert finished.code == 0, finished.stderr

    minutes = {
        (row["device"], row["window_start"]): (row["readings"], row["mean"], row["highest"])
        for row in rows(tmp_path / "minutes")
    }
    eight, one_past = "2026-03-01T08:00:00.000000Z", "2026-03-01T08:01:00.000000Z"
    assert minutes == {
        ("boiler", eight): (2, 80.0, 88.5),
        ("attic", eight): (2, 18.5, 18.75),
        ("boiler", one_past): (1, 92.0, 92.0),
        ("attic", one_past): (1, None, None),
    }
    (alert,) = rows(tmp_path / "alerts")
    assert alert["alert"] == "TooHot"
    assert "boiler reached 92 °C" in json.dumps(alert, ensure_ascii=False)
    # The console shows the same four windows, on standard output.
    assert len(re.findall(r"\b(?:boiler|attic)\b", finished.stdout)) == 4
    assert "windows out   4" in finished.stderr


def test_a_cluster_runs_the_same_job_by_the_readmes_commands(tmp_path: Path) -> None:
    for name in ("readings.csv", "job.yaml"):
        (tmp_path / name).write_text(named_block(name))
    # Ports of its own: the usual ones may be taken here.
    link, api = processes.free_port(), processes.free_port()
    more = {
        "millrace-coordinator": ["--listen", f"127.0.0.1:{link}", "--api", f"127.0.0.1:{api}",
                                 "--metrics-port", "0"],
        "millrace-worker": ["--listen", f"127.0.0.1:{processes.free_port()}",
                            "--metrics-port", "0"],
    }  # fmt: skip
    waits = {"millrace-coordinator": "leads the cluster", "millrace-worker": "registered with"}
    environment = {"MILLRACE_SERVER": f"http://127.0.0.1:{api}"}
    said = []
    with ExitStack() as running:
        for line in named_block("cluster").replace("7070", str(link)).splitlines():
            executable, *words = shlex.split(line.removesuffix("&"), comments=True)
            if executable in more:
                process = millrace.Process(
                    [*words, *more[executable]],
                    tmp_path,
                    name=executable,
                    executable=millrace.program().with_name(executable),
                )
                running.enter_context(process).wait_for_line(waits[executable])
                continue
            finished = millrace.run(words, cwd=tmp_path, env=environment)
            assert finished.code == 0, finished.stderr
            said.append(finished.stdout)
    assert said[0] == "job my-first-job: created\n"
    assert said[1] == "job my-first-job: finished\n"
    assert "State       finished" in said[2]
    assert len(rows(tmp_path / "minutes")) == 4
    (alert,) = rows(tmp_path / "alerts")
    assert alert["alert"] == "TooHot"
