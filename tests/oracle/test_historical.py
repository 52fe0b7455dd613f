"""The smoke job's SQL over files of simulated readings equals DuckDB's."""

from __future__ import annotations

from pathlib import Path

from conftest import unique_name
from devtool import paths
from harness.kafka import Kafka
from oracle import historical
from oracle.comparison import assert_windows_equal, keyed
from oracle.jobs import SMOKE, simulate
from oracle.readings import judge, smoke_windows

FLEET = ("--readings", "24000", "--devices", "12", "--seed", "5", "--fires-per-day", "48",
         "--start", "2024-02-28T23:30:00Z", "--gap-devices", "1")  # fmt: skip


def test_a_folder_of_files_gives_duckdbs_windows(kafka: Kafka, tmp_path: Path) -> None:
    name = kafka.create_topic(unique_name("historical"), 1)
    simulate(kafka, name, tmp_path, *FLEET)
    rows = [one.row for one in judge(kafka.read_all(name)) if one.row]
    assert len(rows) == 24_000
    rows.sort(key=lambda row: row["observed_at"])
    folder = tmp_path / "readings"
    folder.mkdir()
    # Half of the fleet a file.
    for half, file in enumerate(("a.csv", "b.csv")):
        part = [row for row in rows if int(row["device_id"][-1]) % 2 == half]
        historical.write_csv(folder / file, part)
    found, summary = historical.run(folder, tmp_path / "job")
    assert_windows_equal(keyed(found, "device_id", "window_end"), smoke_windows(rows))
    assert summary["balanced"]
    assert summary["readings_in"] == 24_000
    assert summary["dead_letters_by_reason"] == {}


def queries_and_alerts(job: str) -> str:
    """From the first query to the alerts' end."""
    return job[job.index("    # Each device:") : job.index("  sinks:\n")]


def test_the_historical_job_has_the_live_jobs_queries_and_alerts() -> None:
    live, files = ((SMOKE / name).read_text() for name in ("job.yaml", "historical.yaml"))
    assert queries_and_alerts(files) == queries_and_alerts(live)


def test_the_benchmark_has_the_live_jobs_windows() -> None:
    live = (SMOKE / "job.yaml").read_text()
    query = live[live.index("        SELECT window_start") : live.index("    # The fleet:")]
    assert query in (paths.ROOT / "tools" / "bench" / "smoke.yaml").read_text()
