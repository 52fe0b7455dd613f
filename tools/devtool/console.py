"""What the tool says, and the commands it runs.

Everything for people goes to stderr. On a terminal a long step shows one line that counts its
seconds; in a pipe it says one line when it ends. A command's own output goes to a log in
.run/logs; its tail is shown when the command fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from devtool import paths

TAIL_LINES = 40
# A step shorter than this says nothing in a pipe.
QUIET_STEP_SECONDS = 2.0


class ToolError(Exception):
    """Something the user should read: what failed, and what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def seconds(value: float) -> str:
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"


class Progress:
    """One step's line. On a terminal it is rewritten in place; `detail` is free text."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def show(self) -> None:
        if not self._terminal:
            return
        text = f"{self.title} ... {seconds(self.elapsed)}"
        if self.detail:
            text += f"  {self.detail}"
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{text[:width]}")
        sys.stderr.flush()

    def end(self, outcome: str) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
        if self._terminal or self.elapsed >= QUIET_STEP_SECONDS or outcome != "done":
            say(f"{self.title}: {outcome} in {seconds(self.elapsed)}")


@contextlib.contextmanager
def step(title: str) -> Iterator[Progress]:
    progress = Progress(title)
    progress.show()
    try:
        yield progress
    except BaseException:
        progress.end("failed")
        raise
    progress.end("done")


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def log_path(name: str) -> Path:
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    return paths.LOGS / f"{name}.log"


NINJA_STATUS = re.compile(r"^\[(\d+/\d+)\]")


def run_command(
    progress: Progress,
    argv: Sequence[str | os.PathLike[str]],
    log: Path,
    *,
    cwd: Path = paths.ROOT,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> int:
    """Runs to the end with output into `log`; returns the exit code (negative: a signal's).

    The child gets a process group of its own, which ends with this call whatever happens, so that
    an interrupted build or test leaves nothing behind.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        out.write("$ " + " ".join(str(word) for word in argv) + "\n")
        out.flush()
        child = subprocess.Popen(
            [str(word) for word in argv],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _follow(child, progress, out.write, on_line)
            return child.wait()
        finally:
            end_group(child)


def _follow(
    child: subprocess.Popen[bytes],
    progress: Progress,
    write: Callable[[str], object],
    on_line: Callable[[str], None] | None,
) -> None:
    assert child.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector, child.stdout:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=0.5):
                chunk = os.read(child.stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    text = line.decode(errors="replace")
                    write(text + "\n")
                    status = NINJA_STATUS.match(text)
                    if status:
                        progress.detail = status.group(1)
                    if on_line:
                        on_line(text)
            progress.show()
    if pending:
        write(pending.decode(errors="replace") + "\n")


def end_group(child: subprocess.Popen[bytes], grace_seconds: float = 5.0) -> None:
    """Ends a child that leads its process group, and what it started: TERM, then KILL."""
    for signal_number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        if child.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=patience)


def run_step(
    title: str,
    argv: Sequence[str | os.PathLike[str]],
    log_name: str,
    *,
    cwd: Path = paths.ROOT,
    env: Mapping[str, str] | None = None,
    tail_lines: int = TAIL_LINES,
) -> float:
    """A step that is one command; raises ToolError with the log's tail. Returns its seconds."""
    log = log_path(log_name)
    with step(title) as progress:
        code = run_command(progress, argv, log, cwd=cwd, env=env)
        if code != 0:
            raise ToolError(
                f"{title}: exit code {code}. The end of {log.relative_to(paths.ROOT)}:\n"
                f"{tail(log, tail_lines)}"
            )
        return progress.elapsed
