"""The developer's tool: summing of results, selection, the include checker, processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtool import console, includes, install, paths, processes, results, testing
from devtool.processes import ProcessId
from devtool.results import Case, Outcome

# As GoogleTest 1.12 writes it.
GTEST_XML = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1" disabled="0" errors="0" time="0.5" name="AllTests">
  <testsuite name="Clock" tests="4" failures="1" disabled="0" skipped="1" errors="0" time="0.5">
    <testcase name="Ticks" status="run" result="completed" time="0.25" classname="Clock" />
    <testcase name="Stops" status="run" result="completed" time="0" classname="Clock">
      <failure message="a.cpp:3&#x0A;Expected" type=""><![CDATA[a.cpp:3]]></failure>
    </testcase>
    <testcase name="Later" status="run" result="skipped" time="0" classname="Clock">
      <skipped message="a.cpp:9&#x0A;" />
    </testcase>
    <testcase name="Other" status="notrun" result="suppressed" time="0" classname="Clock" />
  </testsuite>
</testsuites>
"""

# As pytest writes it.
PYTEST_XML = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite
name="pytest" errors="1" failures="0" skipped="0" tests="2" time="1.0">
<testcase classname="tests.test_a" name="test_one" time="0.75"/>
<testcase classname="tests.test_a" name="test_two" time="0.1"><error message="set-up">x</error>
</testcase></testsuite></testsuites>
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_googletest_report_is_read(tmp_path: Path) -> None:
    assert results.read_report(write(tmp_path / "a.xml", GTEST_XML), "clock_test: ") == [
        Case("clock_test: Clock.Ticks", Outcome.PASSED, 0.25),
        Case("clock_test: Clock.Stops", Outcome.FAILED, 0.0, "a.cpp:3"),
        Case("clock_test: Clock.Later", Outcome.SKIPPED, 0.0),
    ]


def test_sum_of_both_reports(tmp_path: Path) -> None:
    cases = [
        *results.read_report(write(tmp_path / "a.xml", GTEST_XML)),
        *results.read_report(write(tmp_path / "b.xml", PYTEST_XML)),
    ]
    assert results.summary(cases) == "2 passed, 2 failed, 1 skipped"
    assert not results.succeeded(cases)
    assert [case.name for case in results.slowest(cases, 2)] == [
        "tests.test_a.test_one",
        "Clock.Ticks",
    ]


def test_success_needs_a_test_that_passed() -> None:
    passed, skipped = Case("a", Outcome.PASSED), Case("b", Outcome.SKIPPED)
    assert results.succeeded([passed])
    assert results.summary([passed]) == "1 passed, 0 failed"
    assert not results.succeeded([])
    assert not results.succeeded([skipped])


def test_crash_is_a_failed_test(tmp_path: Path) -> None:
    absent = tmp_path / "absent.xml"
    assert testing.program_cases("a_test", absent, -11, "exit code -11", 2.0) == [
        Case("a_test: exit code -11", Outcome.FAILED, 2.0)
    ]
    cut = write(tmp_path / "cut.xml", GTEST_XML[:200])
    assert testing.program_cases("a_test", cut, -6, "exit code -6", 0.0) == [
        Case("a_test: exit code -6", Outcome.FAILED, 0.0)
    ]


def test_what_failed_is_shown(tmp_path: Path) -> None:
    log = write(tmp_path / "log", "one\nsegmentation fault\n")
    passed = Case("a.A", Outcome.PASSED)
    assert testing.failure_text([passed], log) == ""
    told = Case("a.B", Outcome.FAILED, 0.0, "b.cpp:3: 1 is not 2")
    crashed = Case("a: exit code -11", Outcome.FAILED)
    assert testing.failure_text([passed, told, crashed], log) == (
        "--- a.B\nb.cpp:3: 1 is not 2\n"
        f"--- a: exit code -11\none\nsegmentation fault\n(all output: {log})"
    )


def test_failed_case_is_counted_once(tmp_path: Path) -> None:
    report = write(tmp_path / "a.xml", GTEST_XML)
    cases = testing.program_cases("a_test", report, 1, "exit code 1", 0.0)
    assert results.summary(cases) == "1 passed, 1 failed, 1 skipped"


def test_pytest_that_breaks_is_a_failure(tmp_path: Path) -> None:
    log = write(tmp_path / "log", "usage error")
    broken = testing.pytest_result(tmp_path / "absent.xml", 4, log)
    assert results.summary(broken.cases) == "0 passed, 1 failed"
    assert "usage error" in broken.failure
    nothing_selected = testing.pytest_result(tmp_path / "absent.xml", 5, log)
    assert nothing_selected == testing.Ran([])


def test_list_of_googletest_names() -> None:
    text = (
        "Running main() from gtest_main.cc\n"
        "Clock.\n  Ticks\n  Stops\n"
        "All/Idle.  # TypeParam = int\n  Ends/0  # GetParam() = 3\n"
    )
    assert testing.parse_test_list(text) == ["Clock.Ticks", "Clock.Stops", "All/Idle.Ends/0"]


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [
        (
            "engine/plan/plan.h",
            '#include "engine/connectors/sink.h"',
            "engine/plan must not include engine/connectors (allowed: engine/base, engine/json, "
            "engine/model)",
        ),
        (
            "worker/task.cpp",
            '#include "coordinator/catalog.h"',
            "worker must not include coordinator (allowed: engine, proto)",
        ),
        (
            "engine/base/ids.cpp",
            '#include "engine/model/job.h"',
            "engine/base must not include engine/model (allowed: nothing)",
        ),
        (
            "engine/state/a.cpp",
            '#include "job.h"',
            '"job.h" is no path from the repository\'s root',
        ),
        ("engine/windows/a.h", "#include <caf/all.hpp>", "engine/windows must not use CAF"),
        (
            "engine/connectors/json/a.cpp",
            "#include <librdkafka/rdkafka.h>",
            "engine/connectors must not use librdkafka",
        ),
        ("worker/a.cpp", "#include <rocksdb/db.h>", "worker must not use RocksDB"),
        ("engine/plan/a.cpp", "#include <thread>", "engine/plan must not use a thread"),
        (
            "engine/event_time/a.cpp",
            "  auto now = std::chrono::steady_clock::now();",
            "engine/event_time must not use a clock",
        ),
        (
            "engine/new/a.cpp",
            "int a;",
            "belongs to no part: add one to tools/devtool/includes.py",
        ),
    ],
)
def test_violations_are_found(path: str, line: str, message: str) -> None:
    text = f"// A comment.\n{line}\n"
    number = 1 if "no part" in message else 2
    assert list(includes.check_text(path, text)) == [includes.Violation(path, number, message)]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("engine/plan/plan.h", '#include "engine/plan/expression.h"'),
        ("engine/plan/plan.h", '#include "engine/model/job.h"'),
        ("engine/connectors/kafka/a.cpp", "#include <librdkafka/rdkafka.h>"),
        ("engine/connectors/kafka/a.cpp", '#include "engine/connectors/json/row_encoder.h"'),
        ("worker/task.cpp", "#include <caf/all.hpp>"),
        ("tools/millrace/run.cpp", '#include "coordinator/catalog.h"'),
        ("engine/env/clock.h", "  return std::chrono::steady_clock::now();"),
        ("engine/plan/plan.h", "#include <vector>"),
    ],
)
def test_allowed_includes_pass(path: str, line: str) -> None:
    assert list(includes.check_text(path, line)) == []


def test_table_of_parts_has_no_cycle() -> None:
    """A part that may include another is never allowed from it, directly or around corners."""

    def reach(part: str) -> set[str]:
        seen: set[str] = set()
        todo = [part]
        while todo:
            for allowed in includes.ALLOWED[todo.pop()]:
                below = {
                    name
                    for name in includes.ALLOWED
                    if name == allowed or name.startswith(allowed + "/")
                }
                todo += below - seen
                seen |= below
        return seen

    assert "engine/base" in reach("engine/windows")
    for part in includes.ALLOWED:
        assert part not in reach(part)


def test_missing_packages_are_those_dpkg_does_not_have() -> None:
    assert install.missing_packages(["dpkg", "no-such-package-millrace"]) == [
        "no-such-package-millrace"
    ]


def test_list_file_skips_comments(tmp_path: Path) -> None:
    path = write(tmp_path / "list", "# all\ncmake\n\ng++  # the compiler\n")
    assert install.read_list(path) == ["cmake", "g++"]


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "requirements.txt", "a==1\n")
    before = install.stamp_text(path)
    assert install.stamp_text(path) == before
    path.write_text("a==2\n")
    assert install.stamp_text(path) != before


def test_process_is_not_taken_for_another(tmp_path: Path) -> None:
    mine = ProcessId.of(os.getpid())
    assert mine is not None
    assert mine.is_running()
    saved = tmp_path / "pid"
    mine.save(saved)
    assert ProcessId.load(saved) == mine
    ProcessId(mine.pid, mine.start_ticks + 1).save(saved)  # the id was given to another since
    assert ProcessId.load(saved) is None
    saved.write_text("nonsense")
    assert ProcessId.load(saved) is None


def test_command_leaves_no_process_behind(tmp_path: Path) -> None:
    """A step that is broken off ends the children of its command too."""
    pid_file = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {pid_file}; echo ready; wait"

    def break_off(line: str) -> None:
        assert line == "ready"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        console.run_command(
            console.Progress("test"), ["sh", "-c", script], tmp_path / "log", on_line=break_off
        )
    pid = int(pid_file.read_text())
    assert processes.wait_until(lambda: ProcessId.of(pid) is None, 5.0)


def test_command_line_errors_are_told() -> None:
    result = subprocess.run(
        [sys.executable, str(paths.ROOT / "tools" / "devtool"), "test", "-k", "a b"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "-k takes one word to look for in test names, not 'a b'" in result.stderr


def test_a_free_port_is_none_that_connections_are_given() -> None:
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if given < processes.FIRST_PORT + 1000:
        given = 65_536
    ports = {processes.free_port() for _ in range(200)}
    assert min(ports) >= processes.FIRST_PORT
    assert max(ports) < given
    assert len(ports) > 190
    assert all(processes.is_port_free(port) for port in ports)
