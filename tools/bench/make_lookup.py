"""Writes the table that tools/bench/lookup.yaml joins with: a row a device of bench-fill.

Usage: make_lookup.py FILE ROWS. Runs in the project's .venv, for pyarrow.
"""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.parquet as pq


def write(path: str, rows: int) -> None:
    # In an order that is not the readings': neighbours of a round are far from each other here.
    order = [(number * 7_919) % rows for number in range(rows)]
    table = pa.table(
        {
            "device_id": [f"dev-{number:04d}" for number in order],
            "room": [f"room {number % 5_000}" for number in order],
            "correction": pa.array([number % 16 / 8 for number in order], pa.float64()),
            "every": pa.array([20] * rows, pa.int64()),
            "serial": [f"serial-{number:012d}" for number in order],
        }
    )
    pq.write_table(table, path)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
