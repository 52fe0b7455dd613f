"""README.md: the blocks of its first job as files, its commands as they stand, what comes out."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from devtool import paths
from harness import millrace

README = (paths.ROOT / "README.md").read_text()


def named_block(name: str) -> str:
    found = re.search(rf"^```\w+ {re.escape(name)}\n(.*?)^```$", README, re.M | re.S)
    assert found is not None, f"README.md has no block {name}"
    return found[1]


def commands() -> list[list[str]]:
    """The lines that start the program over job.yaml."""
    return [
        shlex.split(line, comments=True)[1:]
        for line in re.findall(r"^millrace .*$", README, re.M)
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
