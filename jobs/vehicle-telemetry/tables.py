"""Writes the tables that the job looks cars up in, as Parquet: cars, models and colours.

    .venv/bin/python jobs/vehicle-telemetry/tables.py [FOLDER]

FOLDER is `tables` beside this file unless given. Ids of cars follow the simulator's rule
(tools/simulator/vehicles.h); driver, model and colour of a car follow from its number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

CARS = 20
MODELS = [
    ("Mazda", "3"),
    ("Mazda", "6"),
    ("Toyota", "Corolla"),
    ("Hyundai", "i20"),
    ("Kia", "Sportage"),
    ("Kia", "Rio"),
    ("Kia", "Picanto"),
]
COLORS = ["Black", "Red", "Gray", "White", "Green", "Blue", "Pink"]


def car_id(number: int) -> int:
    """Nine digits."""
    return 100_000_000 + (number * 37_123_457 + 7) % 900_000_000


def driver_id(number: int) -> int:
    """Nine digits."""
    return 100_000_000 + (number * 61_803_398 + 309_012_654) % 900_000_000


def tables() -> dict[str, pa.Table]:
    """By name; ids count from 1."""
    numbers = range(CARS)
    return {
        "cars": pa.table(
            {
                "car_id": pa.array([car_id(n) for n in numbers], pa.int64()),
                "driver_id": pa.array([driver_id(n) for n in numbers], pa.int64()),
                "model_id": pa.array([n * 3 % len(MODELS) + 1 for n in numbers], pa.int64()),
                "color_id": pa.array([n * 5 % len(COLORS) + 1 for n in numbers], pa.int64()),
            }
        ),
        "models": pa.table(
            {
                "model_id": pa.array(range(1, len(MODELS) + 1), pa.int64()),
                "car_brand": [brand for brand, _ in MODELS],
                "car_model": [model for _, model in MODELS],
            }
        ),
        "colors": pa.table(
            {
                "color_id": pa.array(range(1, len(COLORS) + 1), pa.int64()),
                "color_name": COLORS,
            }
        ),
    }


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables().items():
        parquet.write_table(table, folder / f"{name}.parquet")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "tables")
