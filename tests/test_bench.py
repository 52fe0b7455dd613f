"""The benchmark's own arithmetic: how many windows there must be, and what its figures say."""

from __future__ import annotations

import pytest

from devtool import bench, paths
from devtool.bench import Figures, Query

ALL = (*bench.QUERIES.values(), *(query for one in bench.COMPARISONS.values() for query in one))


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.title)
@pytest.mark.parametrize("rounds", [1, 9, 10, 61, 1000])
def test_expected_rows_are_the_windows_that_hold_a_reading(query: Query, rounds: int) -> None:
    found = bench.expected_output(query, rounds * query.devices)
    seconds = range(bench.FIRST_SECOND, bench.FIRST_SECOND + rounds)
    if query.every > 0:
        taken = len(range(0, rounds, query.every)) * query.devices
        assert found == {"rows": taken, "windows": taken, "readings": taken}
        return
    ends = {
        end
        for second in seconds
        for end in range(
            (second // query.slide + 1) * query.slide, second + query.size + 1, query.slide
        )
    }
    assert found["rows"] == found["windows"] == len(ends) * query.devices
    assert found["readings"] == rounds * query.devices * query.size // query.slide


def test_every_query_has_a_job() -> None:
    for query in ALL:
        assert (paths.ROOT / "tools" / "bench" / f"{query.name}.yaml").exists()


def test_a_comparison_is_of_the_cost_of_a_reading() -> None:
    def result(query: str, cpu: float) -> dict[str, object]:
        return {"query": query, "devices": 1000, "job": {"cpu_seconds_per_million": cpu}}

    assert bench.compare(result("q2", 0.5), result("panes", 0.6)) == (
        "panes of 1,000 devices to q2 of 1,000 devices: 1.20 of the CPU"
    )


def test_figures_are_medians_and_their_spread() -> None:
    runs = [Figures(2.0, 4.0, 100), Figures(1.0, 3.0, 300), Figures(4.0, 5.0, 200)]
    summary = bench.summarise(runs, 2_000_000)
    assert summary["readings_per_second"] == 1_000_000
    assert summary["cpu_seconds_per_million"] == 2.0
    assert summary["cpu_spread"] == 0.5
    assert summary["peak_rss_bytes"] == 300
