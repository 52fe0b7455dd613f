"""A real Apache Kafka on loopback: one node in KRaft mode, broker and controller in one JVM.

`tools/dev broker` keeps one in .run/broker; tests and the demo start their own, each with its own
folder and free ports. A folder is used by one Broker at a time. Data, topics and ports outlive
stop, kill and start.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from devtool import kafka_protocol, paths, processes
from devtool.console import ToolError, tail
from devtool.processes import ProcessId

HOST = "127.0.0.1"
DEFAULT_PORT = 19092
START_TIMEOUT_SECONDS = 60.0
STOP_GRACE_SECONDS = 10.0

# One replica of everything; few partitions of the internal topics, so that start-up is short;
# records of any age stay; topics are made on purpose, so that a missing one is noticed; a 5 MB
# record passes the broker; one that was killed comes back in seconds (a restart waits for the dead
# one's session to end).
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "default.replication.factor": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.retention.ms": "-1",
    "message.max.bytes": "6000000",
    "min.insync.replicas": "1",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
}


class Broker:
    """Owned by one thread. `ephemeral`: the JVM dies with the process that started it."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        ephemeral: bool = True,
        jars: Path = paths.BROKER_JARS,
    ) -> None:
        self.folder = folder
        self.port = port if port is not None else processes.free_port()
        self.log = folder / "broker.log"
        self._properties = dict(properties or {})
        self._ephemeral = ephemeral
        self._jars = jars
        self._controller_port = processes.free_port()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def process(self) -> ProcessId | None:
        """The running JVM, whoever started it."""
        return ProcessId.load(self.folder / "broker.pid")

    def is_ready(self) -> bool:
        return kafka_protocol.is_ready(HOST, self.port)

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Returns when the broker answers; raises ToolError with its log's tail if it does not."""
        if self.process is not None:
            raise ToolError(f"a broker runs in {self.folder} already")
        if not processes.is_port_free(self.port):
            raise ToolError(f"port {self.port} is taken: choose another with --port")
        if not any(self._jars.glob("kafka-server-*.jar")):
            raise ToolError("the broker's jars are missing: run tools/dev setup")
        config = self._write_config()
        self._format(config)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*self._java("-Xmx512m"), "kafka.Kafka", str(config)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=processes.end_with_parent if self._ephemeral else None,
            )
        started = ProcessId.of(self._child.pid)
        if started is not None:
            started.save(self.folder / "broker.pid")
        child = self._child
        processes.wait_until(
            lambda: child.poll() is not None or self.is_ready(), timeout_seconds, 0.1
        )
        if child.poll() is not None or not self.is_ready():
            self.kill()
            raise ToolError(f"the broker did not start. The end of {self.log}:\n{tail(self.log)}")

    def stop(self) -> bool:
        """Ends it, cleanly if it can be; whether there was one."""
        running = self.process
        if running is None:
            return False
        running.send(signal.SIGTERM)
        running.send(signal.SIGCONT)
        if not self._wait_gone(running, STOP_GRACE_SECONDS):
            self.kill()
        self._forget()
        return True

    def kill(self) -> None:
        """kill -9: no clean shutdown; the data stays."""
        running = self.process
        if running is not None:
            running.send(signal.SIGKILL)
            self._wait_gone(running, STOP_GRACE_SECONDS)
        self._forget()

    def pause(self) -> None:
        """Away as seen by clients: connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def restart(self) -> None:
        """Stops and starts on the same data and port."""
        self.stop()
        self.start()

    def create_topics(
        self, topics: Mapping[str, int], settings: Mapping[str, str] | None = None
    ) -> None:
        kafka_protocol.create_topics(HOST, self.port, topics, settings or {})

    def remove(self) -> None:
        """Stops it and deletes its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _send(self, signal_number: int) -> None:
        running = self.process
        if running is None:
            raise ToolError("the broker does not run")
        running.send(signal_number)

    @staticmethod
    def _wait_gone(running: ProcessId, timeout_seconds: float) -> bool:
        return processes.wait_until(lambda: not running.is_running(), timeout_seconds)

    def _forget(self) -> None:
        if self._child is not None:
            self._child.wait()
            self._child = None
        (self.folder / "broker.pid").unlink(missing_ok=True)

    def _java(self, *options: str) -> list[str]:
        return [
            "java",
            *options,
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-Djava.awt.headless=true",
            "-cp",
            f"{self._jars}/*",
        ]

    def _write_config(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "log.dirs": str(self.folder / "data"),
            **self._properties,
        }
        config = self.folder / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return config

    def _format(self, config: Path) -> None:
        """Gives a new data folder its cluster id; an existing one stays as it is."""
        if (self.folder / "data" / "meta.properties").exists():
            return
        # The leading zero byte keeps it from starting with a dash, which would read as an option.
        cluster_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        result = subprocess.run(
            [
                *self._java("-Xmx128m", "-XX:TieredStopAtLevel=1"),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster_id,
                "-c",
                str(config),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise ToolError(
                f"the broker's folder {self.folder} could not be formatted:\n"
                f"{result.stdout}{result.stderr}"
            )


def development_broker(port: int | None = None) -> Broker:
    """The one of `tools/dev broker`; its port is remembered while it runs."""
    folder = paths.RUN / "broker"
    port_file = folder / "port"
    if port is None:
        with contextlib.suppress(OSError, ValueError):
            port = int(port_file.read_text())
    broker = Broker(folder, port=port or DEFAULT_PORT, ephemeral=False)
    if broker.process is None:
        folder.mkdir(parents=True, exist_ok=True)
        port_file.write_text(f"{broker.port}\n")
    return broker


def uptime_seconds(process: ProcessId) -> float:
    ticks = os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_ticks / ticks
