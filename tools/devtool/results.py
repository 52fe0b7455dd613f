"""Test results: what GoogleTest's and pytest's XML reports say, and their sum."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Outcome(Enum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Case:
    name: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""  # what failed


def read_report(path: Path, prefix: str = "") -> list[Case]:
    """The cases of a report in JUnit's form, as GoogleTest and pytest write it; [] if absent.

    Raises ElementTree.ParseError when the writer died half way.
    """
    if not path.exists():
        return []
    cases = (_read_case(element, prefix) for element in ElementTree.parse(path).iter("testcase"))
    return [case for case in cases if case is not None]


def _read_case(element: ElementTree.Element, prefix: str) -> Case | None:
    if element.get("status") == "notrun":  # GoogleTest: filtered out, or DISABLED_
        return None
    failures = [*element.iter("failure"), *element.iter("error")]
    if failures:
        outcome = Outcome.FAILED
    elif element.find("skipped") is not None or element.get("result") == "skipped":
        outcome = Outcome.SKIPPED
    else:
        outcome = Outcome.PASSED
    name = f"{prefix}{element.get('classname', '')}.{element.get('name', '')}"
    message = "\n".join(
        (failure.text or failure.get("message") or "").strip() for failure in failures
    )
    return Case(name, outcome, float(element.get("time") or 0.0), message)


def count(cases: Iterable[Case], outcome: Outcome) -> int:
    return sum(case.outcome is outcome for case in cases)


def summary(cases: list[Case]) -> str:
    """`N passed, N failed`, and skipped ones if there are any."""
    text = f"{count(cases, Outcome.PASSED)} passed, {count(cases, Outcome.FAILED)} failed"
    skipped = count(cases, Outcome.SKIPPED)
    return f"{text}, {skipped} skipped" if skipped else text


def succeeded(cases: list[Case]) -> bool:
    """Whether something passed and nothing failed: a run without tests is not a success."""
    return count(cases, Outcome.PASSED) > 0 and count(cases, Outcome.FAILED) == 0


def slowest(cases: list[Case], limit: int = 10) -> list[Case]:
    return sorted(cases, key=lambda case: -case.seconds)[:limit]
