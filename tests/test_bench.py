"""The benchmark's own arithmetic: how many windows there must be, and what its figures say."""

from __future__ import annotations

import pytest

from devtool import bench
from devtool.bench import Figures


@pytest.mark.parametrize("query", bench.QUERIES)
@pytest.mark.parametrize("rounds", [1, 9, 10, 61, 1000])
def test_expected_rows_are_the_windows_that_hold_a_reading(query: str, rounds: int) -> None:
    size, slide = bench.WINDOWS[query]
    ends = {
        end
        for second in range(bench.FIRST_SECOND, bench.FIRST_SECOND + rounds)
        for end in range((second // slide + 1) * slide, second + size + 1, slide)
    }
    assert bench.expected_rows(query, rounds * bench.DEVICES) == len(ends) * bench.DEVICES


def test_figures_are_medians_and_their_spread() -> None:
    runs = [Figures(2.0, 4.0, 100), Figures(1.0, 3.0, 300), Figures(4.0, 5.0, 200)]
    summary = bench.summarise(runs, 2_000_000)
    assert summary["readings_per_second"] == 1_000_000
    assert summary["cpu_seconds_per_million"] == 2.0
    assert summary["cpu_spread"] == 0.5
    assert summary["peak_rss_bytes"] == 300
