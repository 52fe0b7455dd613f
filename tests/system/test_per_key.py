"""A watermark a device: devices that are away and come back with what they kept, one that dies, one
that is new, one with readings that are late by its own watermark; through kill -9 and another
parallelism. What must come out is computed here from the readings.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from conftest import unique_name
from harness.kafka import Kafka, Record
from harness.millrace import Job
from harness.waiting import wait_for
from system.fleet import END_WHEN_IDLE, START, rows_of_topic

MAX_DELAY = 10
MINUTE = 60
END = 1500

JOB = """\
apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {{name: {name}}}
spec:
  parallelism: {parallelism}
  checkpoint: {{interval: 200ms}}
  streams:
    readings:
      kafka: {{topics: [{source}]}}
      format: json
      columns:
        device: text
        at: {{type: timestamp, timestamp: millis}}
        value: bigint
      event_time:
        column: at
        max_delay: 10s
        idle_after: 10m
        per_key: {{key: device, offline_for: 15m}}
    minutes:
      sql: |
        SELECT window_end, device, count(*) AS n, CAST(sum(value) AS bigint) AS total
        FROM tumble(readings, INTERVAL '1 minute') WHERE value % 7 <> 0
        GROUP BY window_end, device
    fives:
      sql: |
        SELECT window_end, device, CAST(sum(total) AS bigint) AS total
        FROM tumble(minutes, INTERVAL '5 minutes') GROUP BY window_end, device
    fleet:
      sql: |
        SELECT window_end, CAST(sum(total) AS bigint) AS total
        FROM tumble(minutes, INTERVAL '1 minute') GROUP BY window_end
      accept_delay: true
  sinks:
    - {{stream: minutes, kafka: {{topic: {minutes}}}}}
    - {{stream: fives, kafka: {{topic: {fives}}}}}
    - {{stream: fleet, kafka: {{topic: {fleet}}}}}
  dead_letters: {{kafka: {{topic: {dead}}}}}
"""


@dataclass(frozen=True)
class Reading:
    device: str
    second: int  # since START
    value: int

    def record(self) -> Record:
        at = (START + self.second) * 1000
        value = json.dumps({"device": self.device, "at": at, "value": self.value})
        return Record(
            value.encode(), self.device.encode(), partition=int(self.device[1:]) % 2,
            timestamp_ms=at,
        )  # fmt: skip


def fleet() -> list[Reading]:
    """In the order in which they are sent."""
    sent: list[Reading] = []
    kept: list[Reading] = []
    for second in range(0, END, 5):
        for number in range(7):
            device = f"d{number}"
            reading = Reading(device, second + number % 5, second // 5 * 7 % 100 + number)
            if device == "d1" and 300 <= second < 900:  # away
                kept.append(reading)
                continue
            if device == "d2" and second > 100:  # dead
                continue
            if device == "d5" and second < 800:  # new
                continue
            if device == "d1" and kept:
                sent.extend(kept)
                kept = []
            sent.append(reading)
            if device == "d3" and second % 100 == 50:
                sent.append(Reading(device, second - 95, 1))  # late
                sent.append(Reading(device, second - 8, 2))  # not yet
    return sent


def expected(
    readings: Iterable[Reading],
) -> tuple[dict[tuple[int, str], tuple[int, int]], list[Reading]]:
    """(end of window, device) -> (count, sum), and what is late."""
    clocks: dict[str, int] = {}
    windows: dict[tuple[int, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    late: list[Reading] = []
    for reading in readings:
        clock = clocks.get(reading.device, -(10**9))
        clocks[reading.device] = max(clock, reading.second - MAX_DELAY)
        if reading.value % 7 == 0:
            continue
        end = (reading.second // MINUTE + 1) * MINUTE
        if end <= clock:
            late.append(reading)
            continue
        count, total = windows[(end, reading.device)]
        windows[(end, reading.device)] = (count + 1, total + reading.value)
    return dict(windows), late


def second_of(text: object) -> int:
    assert isinstance(text, str)
    return round(datetime.fromisoformat(text).timestamp()) - START


def sums(windows: dict[tuple[int, str], tuple[int, int]], width: int) -> dict[object, int]:
    """Of windows of windows, by end and device; the fleet's, a minute, without it."""
    result: dict[object, int] = defaultdict(int)
    for (end, device), (_, total) in windows.items():
        outer = ((end - 1) // width + 1) * width
        result[(outer, device) if width > MINUTE else outer] += total
    return dict(result)


def test_devices_away_back_dead_and_new_through_kills(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(2)
    out = {name: kafka.create_topic(unique_name(name), 2) for name in ("minutes", "fives", "fleet")}
    dead = kafka.create_topic(unique_name("dead"))
    name = unique_name("per-key")

    def start(run: str, parallelism: int, *arguments: str) -> Job:
        path = tmp_path / f"{run}.yaml"
        path.write_text(
            JOB.format(name=name, source=source, parallelism=parallelism, dead=dead, **out)
        )
        return Job(path, tmp_path, brokers=kafka.bootstrap, arguments=arguments, name=run)

    def minutes() -> dict[tuple[int, str], tuple[int, int]]:
        rows = rows_of_topic(kafka, out["minutes"])
        found = {
            (second_of(row["window_end"]), row["device"]): (row["n"], row["total"]) for row in rows
        }
        assert len(found) == len(rows), "a window came twice"
        return found

    readings = fleet()
    windows, late = expected(readings)
    assert len(late) > 5
    # While d1 is away, with d2 dead for long.
    first = next(i for i, reading in enumerate(readings) if reading.second >= 700)
    second = next(i for i, reading in enumerate(readings) if reading.second >= 1100)

    kafka.produce(source, (reading.record() for reading in readings[:first]))
    with start("first", 1) as job:
        job.wait_for_metric("millrace_records_in_total", first, stream="readings")
        job.wait_for_metric("millrace_keys", 1, stream="minutes", state="live")
        # Those who are there wait for nobody: d0's last minute but one is out.
        wait_for("a minute of d0", lambda: minutes().get((660, "d0")))
        assert (360, "d1") not in minutes()
        job.kill()

    kafka.produce(source, (reading.record() for reading in readings[first:second]))
    with start("second", 3) as job:
        job.wait_for_metric("millrace_records_in_total", second, stream="readings")
        wait_for("what d1 had kept", lambda: minutes().get((840, "d1")))
        # Five minutes by the device wait for its own minutes alone.
        wait_for(
            "five minutes of d0",
            lambda: any(
                row["device"] == "d0" and second_of(row["window_end"]) == 900
                for row in rows_of_topic(kafka, out["fives"])
            ),
        )
        job.kill()

    kafka.produce(source, (reading.record() for reading in readings[second:]))
    with start("third", 2) as job:
        job.wait_for_metric("millrace_records_in_total", len(readings), stream="readings")
        # d2 is closed by the fleet, a quarter of an hour on.
        wait_for("the last minute of d2", lambda: minutes().get((120, "d2")))
        assert job.stop() == 0, job.output[-4000:]
        assert job.summary()["streams"]["minutes"]["open"] > 0

    with start("last", 2, *END_WHEN_IDLE) as job:
        assert job.wait() == 0, job.output[-4000:]
        summary = job.summary()
    assert summary["balanced"]
    assert summary["readings_in"] == len(readings)
    assert summary["dead_letters_by_reason"] == {"late": len(late)}
    assert minutes() == windows
    fives = rows_of_topic(kafka, out["fives"])
    assert {(second_of(row["window_end"]), row["device"]): row["total"] for row in fives} == sums(
        windows, 5 * MINUTE
    )
    assert len(fives) == len(sums(windows, 5 * MINUTE))
    rows = rows_of_topic(kafka, out["fleet"])
    assert {second_of(row["window_end"]): row["total"] for row in rows} == sums(windows, MINUTE)
    letters = kafka.read_all(dead)
    assert sorted(letter.value or b"" for letter in letters) == sorted(
        reading.record().value or b"" for reading in late
    )
