"""A TCP proxy on loopback that a test can cut as a network is cut, and heal.

What a cut withholds is not lost: it waits, as bytes do that TCP sends again, and goes on when the
proxy is healed. A connection that is dialed while anything is cut does not come about, for that
needs both ways: it is accepted, hears nothing, and is reset when the proxy is healed.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

BUFFER_BYTES = 256 * 1024
ANSWER_SECONDS = 10.0
# SO_LINGER that makes close() send a reset.
RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Way:
    """What goes from one socket of a connection to the other."""

    source: socket.socket
    target: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    ended: bool = False  # the source sends no more
    told: bool = False  # and the target knows


@dataclass(eq=False)
class _Connection:
    forward: _Way  # from who dials
    backward: _Way

    @property
    def ways(self) -> tuple[_Way, _Way]:
        return self.forward, self.backward


class Proxy:
    """Listens when it is made. Each call returns once what it says is so: after `cut` not a byte
    passes, after `heal` they do. Use as a context, or `close` it."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = (
            queue.SimpleQueue()
        )
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        # Of the thread.
        self._selector = selectors.DefaultSelector()
        self._cut_forward = False
        self._cut_backward = False
        self._running = True
        self._connections: list[_Connection] = []
        self._waiting: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self, *, forward: bool = True, backward: bool = True) -> None:
        """`forward`: what who dials sends; `backward`: what it is answered."""

        def do() -> None:
            self._cut_forward, self._cut_backward = forward, backward

        self._order(do)

    def heal(self) -> None:
        self.cut(forward=False, backward=False)

    def reset_connections(self) -> None:
        """Those that there are; new ones may be made at once."""
        self._order(self._reset_all)

    def close(self) -> None:
        def do() -> None:
            self._running = False

        if self._thread.is_alive():
            self._order(do)
            self._thread.join(ANSWER_SECONDS)

    def _order(self, do: Callable[[], None]) -> None:
        done = threading.Event()
        self._orders.put((do, done))
        self._wake.send(b"x")
        assert done.wait(ANSWER_SECONDS), "the proxy does not answer"

    # ---- the thread

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._reset_all)
            for one in (self._listener, self._wake, self._woken, self._selector):
                stack.callback(one.close)
            while self._running:
                self._turn()

    def _turn(self) -> None:
        self._watch()
        for key, events in self._selector.select():
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._woken:
                self._obey()
                return  # what was ready may no longer pass
            else:
                connection: _Connection = key.data
                if connection in self._connections:
                    self._serve(connection, key.fileobj, events)

    def _obey(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        with contextlib.suppress(queue.Empty):
            while True:
                do, done = self._orders.get_nowait()
                do()
                done.set()
        if not (self._cut_forward or self._cut_backward):
            for accepted in self._waiting:
                _reset(accepted)
            self._waiting = []

    def _is_cut(self, connection: _Connection, way: _Way) -> bool:
        return self._cut_forward if way is connection.forward else self._cut_backward

    def _watch(self) -> None:
        """Registers each socket for what it may do now."""
        wanted: dict[socket.socket, tuple[int, _Connection | None]] = {
            self._listener: (selectors.EVENT_READ, None),
            self._woken: (selectors.EVENT_READ, None),
        }
        for connection in self._connections:
            for way in connection.ways:
                if self._is_cut(connection, way):
                    continue
                if not way.ended and len(way.buffer) < BUFFER_BYTES:
                    events = wanted.get(way.source, (0, None))[0]
                    wanted[way.source] = (events | selectors.EVENT_READ, connection)
                if way.buffer:
                    events = wanted.get(way.target, (0, None))[0]
                    wanted[way.target] = (events | selectors.EVENT_WRITE, connection)
        for key in list(self._selector.get_map().values()):
            if key.fileobj not in wanted:
                self._selector.unregister(key.fileobj)
        registered = self._selector.get_map()
        for one, (events, of) in wanted.items():
            if one not in registered:
                self._selector.register(one, events, of)
            elif registered[one].events != events:
                self._selector.modify(one, events, of)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            accepted, _ = self._listener.accept()
            if self._cut_forward or self._cut_backward:
                self._waiting.append(accepted)
            else:
                self._connect(accepted)

    def _connect(self, accepted: socket.socket) -> None:
        try:
            target = socket.create_connection(("127.0.0.1", self.target_port), ANSWER_SECONDS)
        except OSError:
            _reset(accepted)  # refused, as it would be without the proxy
            return
        for one in (accepted, target):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(_Connection(_Way(accepted, target), _Way(target, accepted)))

    def _serve(self, connection: _Connection, ready: object, events: int) -> None:
        for way in connection.ways:
            if self._is_cut(connection, way):
                continue
            try:
                if way.source is ready and events & selectors.EVENT_READ:
                    _read(way)
                _write(way)
            except OSError:
                self._drop(connection)
                return
        if all(way.told for way in connection.ways):
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        for one in (connection.forward.source, connection.forward.target):
            with contextlib.suppress(KeyError):
                self._selector.unregister(one)
            _reset(one)

    def _reset_all(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)
        for accepted in self._waiting:
            _reset(accepted)
        self._waiting = []


def _read(way: _Way) -> None:
    with contextlib.suppress(BlockingIOError):
        data = way.source.recv(BUFFER_BYTES)
        way.buffer += data
        way.ended = way.ended or not data


def _write(way: _Way) -> None:
    with contextlib.suppress(BlockingIOError):
        while way.buffer:
            del way.buffer[: way.target.send(way.buffer)]
    if way.ended and not way.buffer and not way.told:
        way.told = True
        way.target.shutdown(socket.SHUT_WR)


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    one.close()
