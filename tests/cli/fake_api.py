"""A coordinator's admin API in Python, for the command line's tests: canned messages, tokens, TLS,
and servers that are slow, down, busy, or no coordinators at all.

What it answers is what docs/admin-api.md says; what it was asked is kept in `requests`.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/api/v1"

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # as it was sent, without the prefix
    headers: dict[str, str]
    body: Any = None

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


def error(status: int, code: str, message: str, **headers: str) -> Answer:
    return Answer(status, {"code": code, "message": message}, headers)


def job_status(name: str, state: str = "running", **fields: Any) -> Json:
    """A job as the API tells of it: 64-bit numbers are strings."""
    return {
        "name": name,
        "state": state,
        "desired": "running",
        "why": "all of it runs",
        "parallelism": 3,
        "wanted_parallelism": 0,
        "lag_records": "1200",
        "state_bytes": "12595",
        "checkpoints": "311",
        "last_epoch": "1234",
        "attempt": "3",
        "restarts": "0",
        "last_failure": "",
        "slot_workers": ["worker-0", "worker-0", "worker-1"],
        "created": "1772352010000000",
        "version": "2",
        "seconds_in_state": 192,
        "watermark_delay_seconds": 12.5,
        "seconds_since_checkpoint": 0.84,
        "unpublished_epochs": "0",
        "records_in": "34560000",
        "records_out": "42",
        "age": "3d4h",
        "rescaling": False,
        "notes": [],
        **fields,
    }


def worker_status(name: str, **fields: Any) -> Json:
    return {
        "name": name,
        "slots": 4,
        "exchange_address": "10.0.0.7:7071",
        "build": "0.1.0",
        "leaving": False,
        "seconds_since_beat": 0.3,
        "state": "active",
        "metrics_address": "10.0.0.7:9100",
        "jobs": ["smoke"],
        **fields,
    }


def log_line(sequence: int, message: str, level: str = "info") -> Json:
    return {
        "sequence": str(sequence),
        "time": f"2026-03-01T08:00:{sequence % 60:02}.000000Z",
        "level": level,
        "where": "coordinator",
        "message": message,
    }


class FakeApi:
    """Serves on a port of its own until the block ends. Tests change its state at any time."""

    def __init__(self, *, certificate: Path | None = None) -> None:
        self.jobs: dict[str, Json] = {}
        self.workers: dict[str, Json] = {}
        self.savepoints: dict[str, dict[str, Json]] = {}
        self.logs: dict[str, list[Json]] = {}
        self.rows: list[Json] = []
        self.rows_dropped = 0
        self.page_items = 500  # most of a page, whatever `limit` says
        self.tokens: dict[str, str] = {}  # token -> role; none: anybody may ask
        self.intercept: Callable[[Request], Answer | bytes | None] = lambda _: None
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.tls = certificate is not None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        """What it was asked, in order: "GET /jobs"."""
        with self._lock:
            return [request.line for request in self.requests]

    def answer(self, request: Request) -> Answer | bytes:
        with self._lock:
            self.requests.append(request)
            intercepted = self.intercept(request)
            if intercepted is not None:
                return intercepted
            refused = self._refusal(request)
            if refused is not None:
                return refused
            answered = self._route(request)
        if request.method != "GET" or answered.status != 200:
            return answered
        tag = f'"{hashlib.sha256(json.dumps(answered.body).encode()).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == tag:
            return Answer(304, None, {"ETag": tag})
        return Answer(200, answered.body, {"ETag": tag})

    def _refusal(self, request: Request) -> Answer | None:
        if not self.tokens:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        role = self.tokens.get(token) if scheme == "Bearer" else None
        if role is None:
            return error(401, "token_missing", "this API asks for a token")
        if role == "viewer" and request.method != "GET":
            return error(403, "role_may_not", "role viewer may only look")
        return None

    def _route(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        words = [unquote(word) for word in url.path.strip("/").split("/")]
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        match [request.method, *words]:
            case ["GET", "cluster"]:
                return Answer(
                    200,
                    {"cluster": "plant", "coordinator": "coordinator-1", "term": "7",
                     "build": "0.1.0", "workers": len(self.workers), "jobs": len(self.jobs)},
                )  # fmt: skip
            case ["GET", "workers"]:
                return Answer(200, {"workers": list(self.workers.values())})
            case ["GET", "jobs"]:
                return Answer(200, {"jobs": list(self.jobs.values())})
            case ["POST", "jobs"]:
                return self._apply(request.body)
            case [_, "jobs", name, *_] if name not in self.jobs:
                return error(404, "job_unknown", f"there is no job '{name}'")
            case ["GET", "jobs", name]:
                return Answer(200, self.jobs[name])
            case ["DELETE", "jobs", name]:
                if self.jobs[name]["state"] not in ("finished", "failed", "canceled"):
                    return error(409, "job_is_running", f"job '{name}' runs: cancel it first")
                del self.jobs[name]
                return Answer(204)
            case ["GET", "jobs", name, "description"]:
                return Answer(200, self._description(name))
            case ["GET", "jobs", name, "logs"]:
                return Answer(200, self._page("lines", self.logs.get(name, []), query))
            case ["GET", "jobs", _, "tail"]:
                rows = [row for row in self.rows if row["sink"] == query.get("sink", row["sink"])]
                return Answer(
                    200, {**self._page("rows", rows, query), "dropped": str(self.rows_dropped)}
                )
            case ["POST", "jobs", name, ("pause" | "resume" | "cancel") as verb]:
                desired = {"pause": "paused", "resume": "running", "cancel": "canceled"}[verb]
                self.jobs[name].update(desired=desired, state="stopping")
                return Answer(200, self.jobs[name])
            case ["POST", "jobs", name, "rescale"]:
                self.jobs[name].update(
                    wanted_parallelism=request.body["parallelism"], state="stopping"
                )
                return Answer(200, self.jobs[name])
            case ["POST", "jobs", name, "restore"]:
                self.jobs[name].update(state="ending")
                return Answer(200, self.jobs[name])
            case [_, "jobs", name, "savepoints", *rest]:
                return self._savepoint(request, self.savepoints.setdefault(name, {}), rest)
        return error(404, "path_unknown", f"there is no {url.path}")

    def _apply(self, body: Json) -> Answer:
        file: str = body["file"]
        if "kind: StreamJob" not in file:
            return error(
                400,
                "invalid_job",
                f"{body['file_name']}:1:1: error: 'kind' is missing\n     1 | {file}\n       | ^\n",
            )
        name = file.split("name: ")[1].split("}")[0].strip()
        action = "changed" if name in self.jobs else "created"
        status = self.jobs.get(name, job_status(name, "waiting", age="0s"))
        if not body["dry_run"]:
            self.jobs[name] = status
        warnings = ["column 'x' is not used"] if "warn" in file else []
        return Answer(200, {"job": status, "action": action, "warnings": warnings})

    def _description(self, name: str) -> Json:
        return {
            "status": self.jobs[name],
            "findings": ["partition readings/2 holds the watermark: \x1b[31m40m behind"],
            "sources": [
                {"stream": "readings", "watermark": "2026-03-01T08:00:10.000000Z",
                 "watermark_delay_seconds": 2400, "lag_records": "1200", "partitions": "3",
                 "held_by": "readings/2", "held_for_seconds": 2395, "idle_partitions": []}
            ],
            "log": self.logs.get(name, [])[-5:],
            "file_name": "job.yaml",
            "file": "kind: StreamJob\n",
        }  # fmt: skip

    def _page(self, key: str, items: list[Json], query: dict[str, str]) -> Json:
        after = int(query["after"])
        if items and after > int(items[-1]["sequence"]):
            after = 0  # a number of another coordinator's
        limit = min(int(query["limit"]), self.page_items)
        page = [item for item in items if int(item["sequence"]) > after][:limit]
        last = page[-1]["sequence"] if page else str(after)
        return {key: page, "next": last, "dropped": "0"}

    def _savepoint(self, request: Request, savepoints: dict[str, Json], rest: list[str]) -> Answer:
        match [request.method, *rest]:
            case ["GET"]:
                return Answer(200, {"savepoints": list(savepoints.values())})
            case ["POST"]:
                name = request.body["name"]
                if name in savepoints:
                    return error(409, "savepoint_exists", f"there is a savepoint '{name}'")
                savepoints[name] = {
                    "name": name, "state": "in_progress", "why": "", "epoch": "0", "created": "",
                    "generation": "",
                }  # fmt: skip
                return Answer(202, savepoints[name])
            case [_, name] if name not in savepoints:
                return error(404, "savepoint_missing", f"there is no savepoint '{name}'")
            case ["GET", name]:
                return Answer(200, savepoints[name])
            case ["DELETE", name]:
                del savepoints[name]
                return Answer(204)
        return error(404, "path_unknown", "no such path")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FakeApi

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        request = Request(
            self.command,
            self.path.removeprefix(PREFIX),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(body) if body else None,
        )
        answer = self.api.answer(request)
        if isinstance(answer, bytes):  # as it is, and no more
            self.wfile.write(answer)
            self.close_connection = True
            return
        text = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name.replace("_", "-"), value)
        if answer.status not in (204, 304):
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
