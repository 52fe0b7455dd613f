"""The smoke job over simulated readings with every fault: windows, alerts, dead letters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import unique_name
from devtool.broker import Broker
from harness.kafka import Kafka
from oracle.comparison import assert_windows_equal, keyed
from oracle.jobs import SmokeRun, simulate
from oracle.readings import INTEGERS, SENSORS, Judged, judge, smoke_windows

READINGS = 60_000
FLEET = (
    "--readings", str(READINGS), "--devices", "30", "--seed", "11", "--start",
    "2024-03-01T23:20:00Z", "--late-share", "0.01", "--malformed-share", "0.01",
    "--future-share", "0.005", "--duplicate-share", "0.01", "--stuck-devices", "2",
    "--gap-devices", "2", "--fires-per-day", "48",
)  # fmt: skip

STREAMS = ("readings", "metrics", "rolling")  # that refuse readings


@dataclass(frozen=True)
class Simulated:
    kafka: Kafka
    topic: str
    account: dict[str, Any]
    judged: list[Judged]
    run: SmokeRun


@pytest.fixture(scope="module")
def simulated(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    kafka = Kafka(broker.bootstrap)
    folder = tmp_path_factory.mktemp("smoke")
    topic = kafka.create_topic(unique_name("readings"), 4)
    account = simulate(kafka, topic, folder / "simulator", *FLEET)
    judged = judge(kafka.read_all(topic))
    return Simulated(kafka, topic, account, judged, SmokeRun(kafka, topic, folder / "job"))


def counted_rows(simulated: Simulated) -> list[dict[str, Any]]:
    return [one.row for one in simulated.judged if one.verdict == "counted" and one.row]


def test_the_simulators_account_is_what_it_sent(simulated: Simulated) -> None:
    account = simulated.account
    verdicts = Counter(one.verdict for one in simulated.judged)
    assert account["readings"] == READINGS == len(simulated.judged)
    for verdict in ("counted", "late", "future", "malformed"):
        assert account[verdict] == verdicts[verdict] > 0
    rows = counted_rows(simulated)
    assert account["fire_alarms"] == sum(row["fire_alarm"] == 1 for row in rows) > 0
    for name, field in {**SENSORS, **INTEGERS}.items():
        assert account["nulls"][field] == sum(row[name] is None for row in rows), name


def test_every_window_equals_duckdbs(simulated: Simulated) -> None:
    found = keyed(simulated.run.metrics(), "device_id", "window_end")
    assert_windows_equal(found, smoke_windows(counted_rows(simulated)))


def test_nothing_is_lost_and_nothing_is_counted_twice(simulated: Simulated) -> None:
    account, summary = simulated.account, simulated.run.summary
    assert summary["balanced"]
    assert summary["readings_in"] == account["readings"]
    rows = simulated.run.metrics()
    assert sum(row["records"] for row in rows) == 5 * account["counted"]
    assert sum(row["fire_alarms"] for row in rows) == 5 * account["fire_alarms"]
    for device, one in account["devices"].items():
        records = sum(row["records"] for row in rows if row["device_id"] == device)
        assert records == 5 * one["counted"], device
    assert summary["dead_letters_by_reason"]["future"] == account["future"]
    dead = {name: stream["dead_letters"] for name, stream in summary["streams"].items()}
    assert dead["readings"] == account["future"] + account["malformed"]
    # What is late here is so by more than a pane: for both that put readings into their time.
    assert dead["metrics"] == dead["rolling"] == account["late"]


def test_dead_letters_are_the_records_that_did_not_count(simulated: Simulated) -> None:
    refused = {
        (one.record.partition, one.record.offset): one
        for one in simulated.judged
        if one.verdict != "counted"
    }
    letters = simulated.run.dead_letters("readings", "metrics")
    assert len(letters) == len(refused)
    for reason, partition, offset, value in letters:
        one = refused.pop((partition, offset))
        assert value == one.record.value
        if one.verdict == "malformed":
            assert reason not in ("late", "future")
        else:
            assert reason == one.verdict
    assert not refused


def test_alerts_on_readings_follow_the_thresholds(simulated: Simulated) -> None:
    # Readings that are late for windows are not late for a stream without windows.
    rows = [one.row for one in simulated.judged if one.verdict in ("counted", "late") and one.row]
    expected: Counter[str] = Counter()
    for row in rows:
        expected.update(reading_alerts(row))
    found = Counter(
        alert["alert"] for alert in simulated.run.alerts() if alert["alert"].endswith("Reading")
    )
    assert found == expected
    for alert in ("CriticalTemperatureReading", "HighTvocReading", "FireAlarmReading"):
        assert expected[alert] > 0, alert


def reading_alerts(row: dict[str, Any]) -> list[str]:
    """By the thresholds of the job's README; null raises nothing; critical excludes high."""
    names = []
    for quantity, column, critical, high, low in (
        ("Temperature", "temperature", 80, 50, -10),
        ("Humidity", "humidity", None, 90, 10),
        ("Tvoc", "tvoc", 2000, 1000, None),
        ("Eco2", "eco2", 1500, 1000, None),
        ("Pm25", "pm25", 75, 35, None),
        ("Pressure", "pressure", None, 1050, 950),
    ):
        value = row[column]
        if value is None:
            continue
        if critical is not None and value > critical:
            names.append(f"Critical{quantity}Reading")
        elif value > high:
            names.append(f"High{quantity}Reading")
        elif low is not None and value < low:
            names.append(f"Low{quantity}Reading")
    if row["fire_alarm"] == 1:
        names.append("FireAlarmReading")
    return names


def test_alerts_on_windows_follow_the_thresholds(simulated: Simulated) -> None:
    expected: Counter[str] = Counter()
    for window in smoke_windows(counted_rows(simulated)).values():
        means = {name: window[f"avg_{name}"] for name in SENSORS}
        alerts = reading_alerts({**means, "fire_alarm": 1 if window["fire_alarms"] else 0})
        expected.update(name.removesuffix("Reading") for name in alerts)
        expected["LowQuality"] += window["quality_score"] < 80
    found = Counter(
        alert["alert"] for alert in simulated.run.alerts() if alert["labels"]["scope"] == "window"
    )
    assert found == +expected
    assert expected["FireAlarm"] > 0
    assert expected["CriticalTvoc"] > 0


def test_another_interleaving_gives_the_same_windows_and_dead_letters(
    simulated: Simulated, tmp_path: Path
) -> None:
    first = simulated.run
    second = SmokeRun(simulated.kafka, simulated.topic, tmp_path, parallelism=1)
    third = SmokeRun(simulated.kafka, simulated.topic, tmp_path / "third", parallelism=3)
    windows = keyed(first.metrics(), "device_id", "window_end")
    letters = first.dead_letters(*STREAMS)
    for other in (second, third):
        assert_windows_equal(keyed(other.metrics(), "device_id", "window_end"), windows)
        assert other.dead_letters(*STREAMS) == letters
