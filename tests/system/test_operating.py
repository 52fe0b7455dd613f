"""What operators see: metrics, health, logs, how fast it starts and how much memory it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from conftest import unique_name
from harness import millrace
from harness.kafka import Kafka, Record
from harness.millrace import Job, documented_metrics
from harness.waiting import wait_for
from oracle.jobs import ALERTS, DEAD_LETTERS, INPUT, METRICS, SMOKE
from oracle.jobs import write_job as write_smoke_job
from system.fleet import END_WHEN_IDLE, START, Reading, kafka_sink, ordered, produce, write_job

# On a loaded machine; the figure itself is printed (pytest -s) and is about a tenth.
FIRST_FETCH_SECONDS_MAX = 2.0
# Eight runs took 236 to 257 MB: how far readers and librdkafka run ahead at full rate.
DEMO_RESIDENT_BYTES_MAX = 300e6


def exposition(text: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Prometheus' text format, checked as promtool does: family -> (type, its sample lines)."""
    families: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    helped: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped, f"two HELP lines for {name}"
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in helped, f"{name} has no help"
            assert name not in families, f"{name} comes twice"
            assert (kind == "counter") == name.endswith("_total"), line
            families[name] = (kind, [])
        elif line:
            found = millrace.Metrics.SAMPLE.match(line)
            assert found is not None, f"not a sample: {line!r}"
            float(found[3])
            name = found[1]
            for suffix in ("_bucket", "_sum", "_count"):
                base = name.removesuffix(suffix)
                if families.get(base, ("", []))[0] == "histogram":
                    name = base
            assert name in families, f"{line!r} stands outside its family"
            families[name][1].append((found[1], found[2] or ""))
    for name, (_, samples) in families.items():
        assert len(samples) == len(set(samples)), f"{name}: a sample comes twice"
    return families


def test_metrics_are_right_and_documented(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path
) -> None:
    source = topic(2)
    readings = ordered(600, devices=4, partitions=2)
    late = [Reading("d0", 1.0, 1.0, partition=0)] * 3
    produce(kafka, source, readings)
    produce(kafka, source, late)
    kafka.produce(source, [Record(b"{", partition=0), Record(b"null", partition=1)])
    total = len(readings) + len(late) + 2
    name = unique_name("fleet")
    job_file = write_job(tmp_path, source, idle_after="60s", sink=kafka_sink(topic()), name=name)
    with Job(job_file, tmp_path, brokers=kafka.bootstrap) as job:
        health = wait_for("health", lambda: job.get("/healthz"))
        assert health.status_code == 200
        wait_for("readiness", lambda: getattr(job.get("/readyz"), "status_code", 0) == 200)
        missing = job.get("/nothing")
        assert missing is not None
        assert missing.status_code == 404
        job.wait_for_metric("millrace_records_in_total", total, stream="readings")
        job.wait_for_metric("millrace_checkpoints_total", 3, result="completed")
        # The watermark stands at 599 - 10 s: nine whole minutes are closed.
        job.wait_for_metric("millrace_records_out_total", 9 * 4, sink="sink.0")
        job.wait_for_metric("millrace_dead_letter_records_total", 5)
        response = job.get("/metrics")
        assert response is not None
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        families = exposition(response.text)
        metrics = millrace.Metrics(response.text)
        # Everything is of this job but what is of the process.
        of_process = {"millrace_build_info", "millrace_coordinator_term"}
        of_jobs = [labels for sample, labels, _ in metrics.samples if sample not in of_process]
        assert {labels.get("job") for labels in of_jobs} == {name}
        # A reading is late for the windows of a stream, malformed for its source.
        dead = "millrace_dead_letter_records_total"
        assert metrics.total(dead, stream="minutes", reason="late") == 3
        assert metrics.total(dead, stream="readings", reason="malformed") == 2
        assert metrics.total(dead) == 5
        assert metrics.total("millrace_late_records_total", stream="minutes") == 3
        assert metrics.total("millrace_source_lag_records", stream="readings") == 0
        assert metrics.total("millrace_records_in_total", stream="readings") == total
        assert metrics.total("millrace_counted_records_total", stream="readings") == total - 2
        assert metrics.total("millrace_records_in_total", stream="minutes") == total - 2
        assert metrics.total("millrace_counted_records_total", stream="minutes") == 9 * 60 * 4
        assert metrics.total("millrace_job_state", state="running") == 1
        assert metrics.total("millrace_job_state") == 1
        assert metrics.total("millrace_build_info") == 1
        assert (metrics.total("millrace_source_bytes_total", stream="readings") or 0) > 50 * total
        assert (metrics.total("millrace_state_size_bytes") or 0) > 0
        assert (metrics.total("millrace_end_to_end_latency_seconds_count") or 0) > 0
        assert (metrics.total("millrace_checkpoint_duration_seconds_count") or 0) >= 3
        delay = metrics.total("millrace_watermark_delay_seconds", stream="readings")
        now = datetime.now().timestamp()
        assert delay == pytest.approx(now - (START + 599 - 10), abs=5)
        stamp = metrics.total("millrace_last_checkpoint_timestamp_seconds")
        assert stamp == pytest.approx(now, abs=5)
        assert job.stop() == 0
    # Shown is what is documented; these come only with a loss.
    rare = {"millrace_lost_offsets_total", "millrace_filtered_records_total",
            "millrace_non_finite_values_total", "millrace_empty_records_total"}  # fmt: skip
    # Of jobs with lookups and per_key: test_lookups.py, test_per_key.py.
    documented = set(documented_metrics())
    rare |= {name for name in documented if name.startswith("millrace_lookup_")}
    rare.add("millrace_keys")
    # Of clusters: cluster/test_cluster_metrics.py, cluster/test_link_metrics.py.
    rare |= {"millrace_workers", "millrace_job_restarts_total"}
    rare |= {one for one in documented if one.startswith(("millrace_link_", "millrace_exchange_"))}
    assert set(families) - documented == set()
    assert documented - set(families) <= rare


def test_log_lines_are_json(kafka: Kafka, topic: Callable[..., str], tmp_path: Path) -> None:
    source = topic()
    produce(kafka, source, ordered(120, devices=1, partitions=1))
    arguments = [*END_WHEN_IDLE, "--log-format", "json", "--log-level", "debug"]
    with Job(write_job(tmp_path, source), tmp_path, brokers=kafka.bootstrap,
             arguments=arguments) as job:  # fmt: skip
        assert job.wait() == 0
        # The summary, for people, follows the log.
        log, _, _ = job.stderr.partition("\nSummary")
        lines = [json.loads(line) for line in log.splitlines() if line]
    assert {"operating port is open", "running"} <= {line["message"] for line in lines}
    for line in lines:
        assert line["level"] in ("debug", "info", "warn", "error")
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None


def test_start_to_first_fetch(
    kafka: Kafka, topic: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = topic(4)
    produce(kafka, source, ordered(10))
    job_file = write_job(tmp_path, source)
    began = datetime.now().timestamp()
    with Job(
        job_file, tmp_path, brokers=kafka.bootstrap, arguments=["--log-format", "json"]
    ) as job:
        job.wait_for_metric("millrace_records_in_total", 1, 10, stream="readings")
        fetched = datetime.now().timestamp() - began
        running = next(
            json.loads(line)["time"] for line in job.stderr.splitlines() if '"running"' in line
        )
        ran = datetime.fromisoformat(running).timestamp() - began
        assert job.stop() == 0
    with capsys.disabled():
        print(f"\n[start: running after {ran:.3f} s, first readings seen after {fetched:.3f} s]")
    assert ran < FIRST_FETCH_SECONDS_MAX
    assert fetched < FIRST_FETCH_SECONDS_MAX


def test_the_demos_memory(kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = kafka.create_topic(unique_name(INPUT), 4)
    sent = millrace.run(
        ["simulate", "smoke", "--brokers", kafka.bootstrap, "--topic", source, "--readings",
         "200000", "--devices", "100", "--account", tmp_path / "account.json"]
    )  # fmt: skip
    assert sent.code == 0, sent.stderr
    names = {name: unique_name(name) for name in (METRICS, ALERTS, DEAD_LETTERS)}
    job_file = write_smoke_job(SMOKE / "job.yaml", tmp_path, {**names, INPUT: source})
    with Job(job_file, tmp_path, brokers=kafka.bootstrap) as job:
        job.wait_for_metric("millrace_records_in_total", 200_000, 60, stream="readings")
        job.wait_for_metric("millrace_records_out_total", 100 * 20, 60)
        status = Path(f"/proc/{job.pid}/status").read_text()
        most = int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1]) * 1024
        assert job.stop() == 0, job.output
    with capsys.disabled():
        print(f"\n[demo: at most {most / 1e6:.0f} MB resident]")
    assert most < DEMO_RESIDENT_BYTES_MAX
