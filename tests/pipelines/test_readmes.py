"""The commands of the pipelines' READMEs as they stand, but for the pace; and the demo's topics."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import unique_name
from devtool.demo_pipelines import PIPELINES, Pipeline
from harness import millrace
from harness.kafka import Kafka
from harness.waiting import wait_for
from pipelines.pipeline import JOBS, RUN_SECONDS

pipelines = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=list(PIPELINES))
# A list in brackets, or one name up to the next key of its sink.
TOPIC = re.compile(r"\btopics?: (?:\[([^\]]+)\]|([\w.-]+))")


def named_topics(job: Path) -> set[str]:
    """What stands behind `topic:` and `topics:`."""
    return {
        name
        for several, one in TOPIC.findall(job.read_text())
        for name in re.split(r"[,\s]+", several or one)
    }


def commands(readme: Path) -> list[list[str]]:
    """The lines of its blocks that need a broker."""
    return [
        shlex.split(line)[1:]
        for block in re.findall(r"^```sh\n(.*?)^```$", readme.read_text(), re.M | re.S)
        for line in block.splitlines()
        if "HOST:PORT" in line
    ]


@pipelines
def test_the_demo_makes_the_jobs_topics(pipeline: Pipeline) -> None:
    assert named_topics(pipeline.job) == set(pipeline.topics) - pipeline.unread_topics


@pytest.fixture
def outputs(pipeline: Pipeline, kafka: Kafka) -> Iterator[None]:
    """The pipeline's topics under their own names, which no test after this finds there."""
    topics = {**pipeline.outputs, pipeline.dead_letters: 1}
    # Of a job of another test that names a topic of its own only for some of its outputs.
    left = kafka.topics() & set(topics)
    for name in left:
        kafka.delete_topic(name)
    wait_for("end of another test's topics", lambda: not kafka.topics() & left)
    for name, partitions in topics.items():
        kafka.create_topic(name, partitions)
    yield
    made = kafka.topics() & set(pipeline.topics)
    for name in made:
        kafka.delete_topic(name)
    wait_for("end of the topics", lambda: not kafka.topics() & made)


@pipelines
@pytest.mark.usefixtures("outputs")
def test_commands_of_the_readme(pipeline: Pipeline, kafka: Kafka, tmp_path: Path) -> None:
    folder = JOBS / pipeline.name
    simulate, run = commands(folder / "README.md")
    summary = tmp_path / "summary.json"
    account = tmp_path / "account.json"
    if "--rate" in simulate:
        at = simulate.index("--rate")
        del simulate[at : at + 2]
    run[run.index("--data-dir") + 1] = str(tmp_path / "data")
    for command in (
        [*simulate, "--account", str(account)],
        [*run, "--end-when-idle", "1s", "--metrics-port", "0", "--summary", str(summary)],
    ):
        finished = millrace.run(
            [kafka.bootstrap if word == "HOST:PORT" else word for word in command],
            cwd=JOBS.parent,
            timeout_seconds=RUN_SECONDS,
            env=pipeline.environment,
        )
        assert finished.code == 0, finished.stderr[-4000:]
    sent, found = json.loads(account.read_text()), json.loads(summary.read_text())
    assert found["balanced"]
    assert found["readings_in"] == sent["readings"] - sent.get(pipeline.unread, 0)
    assert found["windows_out"] > 0


SAMPLES = {
    "building-sensors": ("--readings", "40", "--topic"),
    "vehicle-telemetry": ("--readings", "40", "--topic"),
    "hydraulics": ("--readings", "120", "--topic-prefix"),
}
OF_SAMPLES = ("--create-topic", "--partitions", "1", "--seed", "1", "--start",
              "2024-06-01T12:00:00Z")  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_is_what_the_simulator_sends(name: str, kafka: Kafka) -> None:
    prefix = unique_name("sample")
    fleet = PIPELINES[name].fleet[0]
    finished = millrace.run(
        ["simulate", fleet, "--brokers", kafka.bootstrap, *OF_SAMPLES, *SAMPLES[name], prefix]
    )
    assert finished.code == 0, finished.stderr
    sent = [
        record.value or b""
        for topic in sorted(kafka.topics())
        if topic.startswith(prefix)
        for record in kafka.read_all(topic)
    ]
    sample = (JOBS / name / "sample" / "messages.jsonl").read_bytes()
    assert sorted(sent) == sorted(sample.splitlines())
