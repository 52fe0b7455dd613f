"""Dates and reals through files: from CSV and Parquet, to CSV, Parquet and JSON lines."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness import millrace

DAYS = [datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31), datetime.date(9999, 12, 31)]
REALS = [0.1, -2.5, None, 16777216.0]


def read(folder: Path, ending: str) -> list[Path]:
    files = sorted(folder.glob(f"**/*.{ending}"))
    assert files
    return files


def test_dates_and_reals_go_in_and_out(tmp_path: Path) -> None:
    cells = [
        f"{i},{'' if day is None else day},{'' if real is None else real}"
        for i, (day, real) in enumerate(zip(DAYS, REALS, strict=True))
    ]
    (tmp_path / "in.csv").write_text("\n".join(["id,day,x", *cells, "9,2024-02-30,1", ""]))
    table = pa.table(
        {
            "id": pa.array(range(4), pa.int64()),
            "day": pa.array(DAYS, pa.date32()),
            "x": pa.array(REALS, pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    columns = {"id": "integer", "day": "date", "x": "real"}
    spec = {
        "streams": {
            ending: {
                "files": {"path": str(tmp_path / f"in.{ending}")},
                "format": ending,
                "columns": columns,
            }
            for ending in ("csv", "parquet")
        }
        | {
            f"of_{ending}": {
                "sql": "SELECT id, day, x, day + 1 AS next, x * x AS squared "
                f"FROM {ending} WHERE id <> 3"
            }
            for ending in ("csv", "parquet")
        },
        "sinks": [
            {"stream": "of_csv", "files": {"path": "json"}},
            {"stream": "of_csv", "parquet": {"path": "parquet", "partition_by": ["day"]}},
            {"stream": "of_parquet", "files": {"path": "csv", "format": "csv"}},
            {"stream": "of_parquet", "parquet": {"path": "again"}},
        ],
        "dead_letters": {"files": {"path": "dead"}},
    }
    job = {
        "apiVersion": "millrace.dev/v1",
        "kind": "StreamJob",
        "metadata": {"name": "types"},
        "spec": spec,
    }
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(job))
    with millrace.Job(path, tmp_path) as running:
        assert running.wait(60) == 0, running.output[-4000:]
        summary = running.summary()
    assert summary["balanced"] and sum(summary["dead_letters_by_reason"].values()) == 1, summary
    out = running.data_dir
    (dead,) = (json.loads(line) for line in read(out / "dead", "jsonl")[0].open())
    assert "day: expected date, found '2024-02-30'" in dead["message"]
    rows = [json.loads(line) for file in read(out / "json", "jsonl") for line in file.open()]
    assert sorted(rows, key=lambda row: row["id"]) == [
        {"id": 0, "day": "2024-02-29", "x": 0.1, "next": "2024-03-01", "squared": 0.010000001},
        {"id": 1, "day": None, "x": -2.5, "next": None, "squared": 6.25},
        {"id": 2, "day": "1969-12-31", "x": None, "next": "1970-01-01", "squared": None},
    ]
    (again,) = read(out / "again", "parquet")
    stored = pq.read_table(again).sort_by("id")
    assert stored.schema.field("day").type == pa.date32()
    assert stored.schema.field("squared").type == pa.float32()
    assert stored.column("day").to_pylist() == DAYS[:3]
    assert stored.column("x").equals(table.column("x").slice(0, 3))
    folders = {file.parent.name for file in read(out / "parquet", "parquet")}
    assert folders == {"day=2024-02-29", "day=__HIVE_DEFAULT_PARTITION__", "day=1969-12-31"}
    (lines,) = read(out / "csv", "csv")
    assert sorted(lines.read_text().split()) == [
        "0,2024-02-29,0.1,2024-03-01,0.010000001",
        "1,,-2.5,,6.25",
        "2,1969-12-31,,1970-01-01,",
        "id,day,x,next,squared",
    ]
