"""The two requests of Kafka's protocol that the tool needs before any client library is there.

Metadata tells that a broker answers; CreateTopics makes the demo's topics. Oldest versions that
Kafka 4 speaks, with fixed-width lengths. https://kafka.apache.org/protocol
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping

METADATA, METADATA_VERSION = 3, 1
CREATE_TOPICS, CREATE_TOPICS_VERSION = 19, 2
TOPIC_ALREADY_EXISTS = 36
TIMEOUT_SECONDS = 10.0


class KafkaError(Exception):
    """The broker refused a request, or its answer was cut off."""


def is_ready(host: str, port: int) -> bool:
    """Whether the broker answers a metadata request and has registered itself."""
    with contextlib.suppress(OSError, KafkaError):
        # A null list asks for all topics.
        answer = _request(host, port, METADATA, METADATA_VERSION, struct.pack(">i", -1), 2.0)
        (brokers,) = struct.unpack_from(">i", answer)
        return bool(brokers >= 1)
    return False


def create_topics(
    host: str, port: int, topics: Mapping[str, int], settings: Mapping[str, str]
) -> None:
    """Creates topics (name -> partitions), each with `settings`; those that exist stay."""
    body = struct.pack(">i", len(topics))
    for name, partitions in topics.items():
        body += _string(name) + struct.pack(">ihi", partitions, 1, 0)
        body += struct.pack(">i", len(settings))
        for key, value in settings.items():
            body += _string(key) + _string(value)
    body += struct.pack(">ib", int(TIMEOUT_SECONDS * 1000), 0)
    answer = _request(host, port, CREATE_TOPICS, CREATE_TOPICS_VERSION, body, 2 * TIMEOUT_SECONDS)
    (count,) = struct.unpack_from(">i", answer, 4)  # after the throttle time
    offset = 8
    for _ in range(count):
        name_text, offset = _read_string(answer, offset)
        (code,) = struct.unpack_from(">h", answer, offset)
        message, offset = _read_string(answer, offset + 2)
        if code not in (0, TOPIC_ALREADY_EXISTS):
            raise KafkaError(f"topic {name_text}: error {code} {message or ''}".rstrip())


def _request(
    host: str, port: int, key: int, version: int, body: bytes, timeout_seconds: float
) -> bytes:
    """Sends one request; returns the answer after its correlation id."""
    message = struct.pack(">hhi", key, version, 1) + _string("tools-dev") + body
    with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        (length,) = struct.unpack(">i", _read_exactly(connection, 4))
        return _read_exactly(connection, length)[4:]


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise KafkaError("the broker closed the connection")
        data += chunk
    return data


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _read_string(data: bytes, offset: int) -> tuple[str | None, int]:
    (length,) = struct.unpack_from(">h", data, offset)
    offset += 2
    if length < 0:
        return None, offset
    return data[offset : offset + length].decode(), offset + length
