"""The sample through historical.yaml, as the README says to run it: what comes out is what is in
the file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oracle import historical
from oracle.comparison import keyed, time_micros

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], dict[str, Any]]:
    return historical.run(SAMPLE, tmp_path_factory.mktemp("sample"))


def cells() -> list[dict[str, str]]:
    with (SAMPLE / "readings.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_windows_hold_the_samples_readings(
    sample_run: tuple[list[Any], dict[str, Any]],
) -> None:
    rows, summary = sample_run
    assert summary["balanced"]
    assert summary["readings_in"] == len(cells()) == 720
    # 23:57:00 to 00:03:04: seven minutes begin, so eleven windows of each device hold readings.
    assert len(rows) == 2 * 11
    full = keyed(rows, "device_id", "window_end")["dev-0001", time_micros("2024-03-02T00:03:00Z")]
    inside = [
        row
        for row in cells()
        if row["device_id"] == "dev-0001"
        and "2024-03-01T23:58" <= row["timestamp"] < "2024-03-02T00:03"
    ]
    temperatures = sorted(float(row["Temperature[C]"]) for row in inside if row["Temperature[C]"])
    assert full["records"] == len(inside)
    assert full["null_temperature"] == len(inside) - len(temperatures) > 0
    assert full["max_temperature"] == temperatures[-1] > 80
    assert full["min_temperature"] == temperatures[0]
    assert full["fire_alarms"] == sum(row["Fire Alarm"] == "1" for row in inside) > 0
    assert full["completeness"] == pytest.approx(len(inside) / 3, rel=1e-12)
    assert full["quality_score"] == 100


def test_alerts_are_those_of_the_samples_readings(
    sample_run: tuple[list[Any], dict[str, Any]],
) -> None:
    expected: Counter[str] = Counter()
    for row in cells():
        for column, name, critical, high in (
            ("Temperature[C]", "Temperature", 80, 50),
            ("TVOC[ppb]", "Tvoc", 2000, 1000),
            ("eCO2[ppm]", "Eco2", 1500, 1000),
            ("PM2.5", "Pm25", 75, 35),
        ):
            value = float(row[column] or 0)
            level = "Critical" if value > critical else "High" if value > high else None
            if level is not None:
                expected[f"{level}{name}Reading"] += 1
        expected["FireAlarmReading"] += row["Fire Alarm"] == "1"
    found = sample_run[1]["alerts_by_name"]
    assert {name: n for name, n in found.items() if name.endswith("Reading")} == expected
    assert expected["FireAlarmReading"] == 267
