"""`historical.yaml` over CSV files of a test's own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow.dataset as dataset

from harness import millrace
from oracle.jobs import RUN_SECONDS, SMOKE
from oracle.readings import INTEGERS, SENSORS

FIELDS = {"device_id": "device_id", "location": "location", "observed_at": "timestamp"}


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Readings by SQL names as the data set's columns; null is an empty cell."""
    fields = {**FIELDS, **SENSORS, **INTEGERS}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["UTC", *fields.values()])
        for row in rows:
            cells = [row[name] for name in fields]
            cells[2] = row["observed_at"].isoformat()
            writer.writerow(
                [int(row["observed_at"].timestamp())]
                + ["" if cell is None else cell for cell in cells]
            )


def run(readings: Path, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of `metrics` as the Parquet files hold them, and the summary."""
    with millrace.Job(
        SMOKE / "historical.yaml", folder, env={"SMOKE_READINGS": str(readings)}
    ) as running:
        code = running.wait(RUN_SECONDS)
        assert code == 0, running.output[-4000:]
        summary = running.summary()
    files = running.data_dir / "smoke_metrics_historical"
    rows = dataset.dataset(files, format="parquet", partitioning="hive").to_table().to_pylist()
    for row in rows:
        assert str(row.pop("date")) == row["window_end"].date().isoformat()
    return rows, summary
