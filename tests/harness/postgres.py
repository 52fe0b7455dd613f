"""A PostgreSQL of one's own: in a folder of its own, on a Unix socket, gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
# The server refuses to run as root.
USER = "postgres"
START_SECONDS = 60


def _as_user(*words: str | Path) -> None:
    command = [str(word) for word in words]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running() -> Iterator[psycopg.Connection]:
    """A connection to an empty database in UTF-8 and UTC, ordering text by its bytes."""
    # A socket's path has at most 107 bytes, so not below a test's own folder.
    folder = Path(tempfile.mkdtemp(prefix="millrace-pg-"))
    data = folder / "data"
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        _as_user(PROGRAMS / "initdb", "-D", data, "-A", "trust", "-U", "millrace",
                 "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync")  # fmt: skip
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c TimeZone=UTC"
        _as_user(
            PROGRAMS / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"
        )
        try:
            with psycopg.connect(
                host=str(folder), user="millrace", dbname="postgres", autocommit=True
            ) as connection:
                yield connection
        finally:
            _as_user(PROGRAMS / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
