"""`tools/dev test`: every GoogleTest program that CTest knows, then pytest, and one sum of both.

-k PATTERN selects by substring, whatever the case, in `Suite.Name` of a program's tests (or the
program's name) and in pytest's names. A program that dies before its report counts as a failed
test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import ParseError

from devtool import build, chart_tools, console, install, paths, results
from devtool.console import Progress, ToolError
from devtool.results import Case, Outcome

PROGRAM_TIMEOUT_SECONDS = 300
FAILURE_TAIL_LINES = 80
PATTERN = re.compile(r"[\w.:/+\-\[\]]+")
REPORTS = paths.RUN / "reports"


@dataclass(frozen=True)
class Program:
    name: str
    argv: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Ran:
    cases: list[Case]
    failure: str = ""  # what to show, empty when all passed


def run_tests(
    pattern: str | None, full: bool = False, soak: bool = False, containers: bool = False
) -> int:
    """Sets up, builds, runs; the exit code. The last line is the sum."""
    if pattern is not None and not PATTERN.fullmatch(pattern):
        raise ToolError(f"-k takes one word to look for in test names, not {pattern!r}")
    start = time.monotonic()
    install.setup()
    chart_tools.setup()
    if full:
        chart_tools.setup_full()
    if containers:
        install.setup_containers()
    build.build()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)

    runs = [run_programs("release", pattern)]
    if full:
        build.build("asan")
        runs.append(run_programs("asan", pattern))
    runs.append(run_pytest(pattern, full=full, soak=soak, containers=containers))

    cases = [case for ran in runs for case in ran.cases]
    for ran in runs:
        if ran.failure:
            console.say(ran.failure)
    report(cases, time.monotonic() - start)
    return 0 if results.succeeded(cases) else 1


def report(cases: list[Case], total_seconds: float) -> None:
    if cases:
        console.say("slowest tests:")
        for case in results.slowest(cases):
            console.say(f"  {case.seconds:7.2f} s  {case.name}")
    for case in cases:
        if case.outcome is Outcome.FAILED:
            console.say(f"FAILED {case.name}")
    if not cases:
        console.say("no test was run")
    console.say(f"total {console.seconds(total_seconds)}")
    print(results.summary(cases), flush=True)


def run_programs(preset: str, pattern: str | None) -> Ran:
    """The GoogleTest programs of a build, two at a time."""
    programs = registered_programs(paths.build_dir(preset))
    chosen = [(program, filter_of(program, pattern)) for program in programs]
    chosen = [(program, names) for program, names in chosen if names != ""]
    ran: list[Ran] = []
    if not chosen:
        return Ran([])
    with console.step(f"unit tests ({preset})") as progress:
        with ThreadPoolExecutor(max_workers=2) as pool:
            for one in pool.map(lambda item: run_program(preset, *item), chosen):
                ran.append(one)
                progress.detail = f"{len(ran)}/{len(chosen)}"
                progress.show()
    return Ran(
        [case for one in ran for case in one.cases],
        "\n".join(one.failure for one in ran if one.failure),
    )


def registered_programs(build_dir: Path) -> list[Program]:
    listing = subprocess.run(
        ["ctest", "--test-dir", str(build_dir), "--show-only=json-v1"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        raise ToolError(f"ctest cannot list the tests of {build_dir}:\n{listing.stderr}")
    programs = []
    for test in json.loads(listing.stdout)["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        if "command" not in test:
            raise ToolError(f"the test program {test['name']} was not built")
        folder = Path(properties.get("WORKING_DIRECTORY", str(build_dir)))
        programs.append(Program(test["name"], tuple(test["command"]), folder))
    return programs


def filter_of(program: Program, pattern: str | None) -> str:
    """What to give as GoogleTest's filter: all, the names that match, or "" for none."""
    if pattern is None or pattern.lower() in program.name.lower():
        return "*"
    listing = subprocess.run(
        [*program.argv, "--gtest_list_tests"],
        cwd=program.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PROGRAM_TIMEOUT_SECONDS,
    )
    names = parse_test_list(listing.stdout)
    return ":".join(name for name in names if pattern.lower() in name.lower())


def parse_test_list(text: str) -> list[str]:
    """`Suite.Name` from --gtest_list_tests: suites end in a dot, their tests are indented."""
    names: list[str] = []
    suite = ""
    for line in text.splitlines():
        word = line.split("#", 1)[0].strip()
        if not line.startswith(" "):
            suite = word if word.endswith(".") else ""
        elif suite and word:
            names.append(suite + word)
    return names


def run_program(preset: str, program: Program, names: str) -> Ran:
    label = f"{preset}-{program.name}"
    xml = REPORTS / f"{label}.xml"
    log = console.log_path(f"tests/{label}")
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GTEST_OUTPUT": f"xml:{xml}", "GTEST_FILTER": names}
    start = time.monotonic()
    with log.open("wb") as out:
        child = subprocess.Popen(
            program.argv,
            cwd=program.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = child.wait(PROGRAM_TIMEOUT_SECONDS)
            ending = f"exit code {code}"
        except subprocess.TimeoutExpired:
            code, ending = -1, f"no end after {PROGRAM_TIMEOUT_SECONDS} s"
        finally:
            console.end_group(child)
    cases = program_cases(program.name, xml, code, ending, time.monotonic() - start)
    return Ran(cases, failure_text(cases, log))


def failure_text(cases: list[Case], log: Path) -> str:
    """What each failed case says; the log's end for what no case says (a crash)."""
    said = [
        f"--- {case.name}\n{case.message or console.tail(log, FAILURE_TAIL_LINES)}"
        for case in cases
        if case.outcome is Outcome.FAILED
    ]
    return "\n".join([*said, f"(all output: {log})"]) if said else ""


def program_cases(name: str, xml: Path, code: int, ending: str, seconds: float) -> list[Case]:
    """A program's cases, and one more for a failure that none of them shows (a crash)."""
    try:
        cases = results.read_report(xml, prefix=f"{name}: ")
    except ParseError:
        cases = []
    if code != 0 and not any(case.outcome is Outcome.FAILED for case in cases):
        cases.append(Case(f"{name}: {ending}", Outcome.FAILED, seconds))
    return cases


def run_pytest(pattern: str | None, **also: bool) -> Ran:
    """`also`: which marked tests run too."""
    xml = REPORTS / "pytest.xml"
    argv: list[str | os.PathLike[str]] = [
        paths.venv_python(),
        "-m",
        "pytest",
        f"--junitxml={xml}",
        "-v",
        "--color=no",
    ]
    # Process tests mostly wait: for brokers, time-outs, idleness. Two at a time halve that; each
    # worker has a Kafka of its own.
    if pattern is None:
        argv += ["-n", "2", "--dist", "worksteal"]
    else:
        argv += ["-k", pattern]
    argv += [f"--{mark}" for mark, wanted in also.items() if wanted]
    log = console.log_path("pytest")
    with console.step("process tests (pytest)") as progress:
        code = console.run_command(progress, argv, log, on_line=_PytestLines(progress))
    return pytest_result(xml, code, log)


def pytest_result(xml: Path, code: int, log: Path) -> Ran:
    # 1: tests failed; 5: none was selected. Anything else, or a 1 that no case shows, is a failure
    # of the run itself.
    try:
        cases = results.read_report(xml)
    except ParseError:
        cases = []
    failed = any(case.outcome is Outcome.FAILED for case in cases)
    if code not in (0, 5) and not failed:
        cases.append(Case(f"pytest: exit code {code}", Outcome.FAILED))
        failed = True
    if not failed:
        return Ran(cases)
    text = log.read_text(errors="replace")
    begin = text.find("= FAILURES =")
    shown = text[text.rfind("\n", 0, begin) + 1 :] if begin >= 0 else console.tail(log, 80)
    return Ran(cases, f"--- pytest, from {log}\n{shown}")


class _PytestLines:
    """Shows the number of finished tests and the last one's name."""

    LINE = re.compile(
        r"^(?P<name>\S+::\S+) .*\[ *(?P<share>\d+)%\]"  # one worker
        r"|^\[gw\d+\] \[ *(?P<worker_share>\d+)%\] \w+ (?P<worker_name>\S+::\S+)"
    )

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, line: str) -> None:
        found = self.LINE.match(line)
        if found:
            name: Sequence[str] = (found["name"] or found["worker_name"]).split("::")
            share = found["share"] or found["worker_share"]
            self._progress.detail = f"{share}% {name[-1]}"
