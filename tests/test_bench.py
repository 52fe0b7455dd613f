"""The benchmark's own arithmetic: how many windows there must be, and what its figures say."""

from __future__ import annotations

import pytest

from bench import cluster as cluster_bench
from bench import measuring, recovery
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


def test_the_longest_pause_is_of_those_that_overlap_the_span() -> None:
    times = [0.0, 5.0, 6.0, 8.0, 9.0, 20.0]
    assert measuring.longest_pause(times, 5.5, 8.5) == (6.0, 8.0)
    with pytest.raises(ValueError, match="no rows"):
        measuring.longest_pause(times, 21.0, 22.0)


def test_cpu_counts_of_processes_that_come_and_go_too() -> None:
    samples = [
        (0.0, {1: 10.0, 2: 7.0}),
        (1.0, {1: 11.0, 2: 8.0}),  # begins here
        (2.0, {1: 12.0, 3: 0.5}),
        (3.0, {1: 14.0, 3: 2.0}),
        (4.0, {1: 20.0, 3: 9.0}),  # behind the end
    ]
    assert recovery.cpu_between(samples, 1.0, 3.0) == 3.0 + 0.0 + 1.5


def test_a_fleets_cost_is_that_of_the_middle() -> None:
    samples = [
        cluster_bench.Sample(0.0, 0, 1.0, 0.0),
        cluster_bench.Sample(1.0, 1_000_000, 2.0, 0.1),
        cluster_bench.Sample(4.0, 9_000_000, 18.0, 0.5),
        cluster_bench.Sample(9.0, 10_000_000, 30.0, 2.0),
    ]
    cost = cluster_bench.cost_of(samples, 10_000_000)
    assert (cost.seconds, cost.cpu) == (3.0, 2.0)
    assert cost.coordinator_cpu == pytest.approx(0.05)
