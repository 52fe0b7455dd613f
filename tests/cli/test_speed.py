"""A command must not be waited for: what it costs beside the server's time."""

from __future__ import annotations

import resource

import pytest

from cli.conftest import Ask

COMMANDS = (["get", "jobs"], ["describe", "job", "smoke"], ["logs", "smoke"], ["pause", "smoke"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_takes_less_than_a_tenth_of_a_second_of_cpu(ask: Ask, words: list[str]) -> None:
    """CPU time, because tests share their machine; on an idle one the rest is a millisecond."""
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ask(*words).code == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(took) < 0.1, took
