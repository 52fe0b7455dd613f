"""The direction of includes: which part may include which, and where third parties may appear.

The table says more than the linker does: a header that is included without being linked is found
here too. A file belongs to the longest part that is a prefix of its path. A test may use what its
part may use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BELOW_STATE = (
    "engine/base",
    "engine/env",
    "engine/json",
    "engine/model",
    "engine/plan",
    "engine/event_time",
)
ENGINE = "engine"

# Part -> the parts it may include (besides itself). An entry allows the folders under it too.
ALLOWED: dict[str, tuple[str, ...]] = {
    "engine/base": (),
    "engine/env": ("engine/base",),
    "engine/json": ("engine/base",),
    "engine/model": ("engine/base",),
    "engine/plan": ("engine/base", "engine/json", "engine/model"),
    "engine/event_time": ("engine/base",),
    "engine/checkpoint": ("engine/base", "engine/model", "proto"),
    "proto": (),
    "engine/link": ("engine/base", "engine/env", "proto"),
    "engine/storage": ("engine/base", "engine/env", "proto"),
    "engine/outbox": ("engine/base", "engine/model", "engine/storage", "proto"),
    "engine/state": (*BELOW_STATE, "engine/checkpoint"),
    "engine/operators": BELOW_STATE,
    "engine/windows": (*BELOW_STATE, "engine/state", "engine/operators"),
    "engine/ordered": (*BELOW_STATE, "engine/state", "engine/operators", "engine/windows"),
    "engine/over": (
        *BELOW_STATE,
        "engine/state",
        "engine/operators",
        "engine/windows",
        "engine/ordered",
    ),
    "engine/joins": (
        *BELOW_STATE,
        "engine/state",
        "engine/operators",
        "engine/windows",
        "engine/ordered",
    ),
    "engine/http": ("engine/base", "engine/env"),
    "engine/metrics": ("engine/base", "engine/env", "engine/http", "engine/model"),
    "engine/connectors": (
        *BELOW_STATE,
        "engine/metrics",
        "engine/storage",
        "engine/outbox",
        "proto",
    ),
    "engine/lookups": (
        *BELOW_STATE,
        "engine/operators",
        "engine/windows",
        "engine/connectors",
    ),
    "engine/layout": ("engine/base", "engine/model", "engine/plan"),
    "engine/wire": (
        *BELOW_STATE,
        "engine/checkpoint",
        "engine/connectors",
        "engine/layout",
        "proto",
    ),
    "engine/endpoints": (
        *BELOW_STATE,
        "engine/checkpoint",
        "engine/connectors",
        "engine/layout",
        "engine/lookups",
        "engine/metrics",
        "engine/outbox",
        "engine/storage",
        "engine/wire",
        "proto",
    ),
    "engine/process": (
        "engine/base",
        "engine/env",
        "engine/link",
        "engine/metrics",
        "engine/wire",
    ),
    "engine/exchange": (
        "engine/base",
        "engine/env",
        "engine/layout",
        "engine/link",
        "engine/metrics",
        "engine/wire",
        "proto",
    ),
    "coordinator": (ENGINE, "proto"),
    "worker": (ENGINE, "proto"),
    "tests/simulation": (ENGINE, "coordinator", "worker", "proto"),
    "tests/fuzz": (ENGINE, "proto"),
    "tests/sql": (ENGINE, "coordinator", "worker", "tools/millrace"),
    "tools/simulator": (ENGINE,),
    "tools/bench": (ENGINE, "tools/simulator"),
    "tools/millrace/cluster": (
        "engine/base",
        "engine/env",
        "proto",
        "tools/millrace/exit_codes.h",
    ),
    "tools/millrace": (ENGINE, "coordinator", "worker", "tools/simulator", "tools/bench"),
}


@dataclass(frozen=True)
class Confined:
    """Text that may stand only in some folders, or must not stand in some."""

    pattern: re.Pattern[str]
    what: str
    only_in: tuple[str, ...] = ()
    never_in: tuple[str, ...] = ()

    def forbids(self, path: str) -> bool:
        if self.only_in:
            return not any(_is_under(path, folder) for folder in self.only_in)
        return any(_is_under(path, folder) for folder in self.never_in)


PURE = (
    "engine/base",
    "engine/json",
    "engine/model",
    "engine/plan",
    "engine/event_time",
    "engine/checkpoint",
    "engine/layout",
)

CONFINED = (
    Confined(
        re.compile(r'#include\s+[<"]caf/'),
        "CAF",
        only_in=("engine/wire", "engine/exchange", "coordinator", "worker", "tools/millrace"),
    ),
    Confined(
        re.compile(r'#include\s+[<"]librdkafka/'),
        "librdkafka",
        only_in=("engine/connectors/kafka", "tools/simulator", "tools/bench"),
    ),
    Confined(
        re.compile(r'#include\s+[<"]rocksdb/'),
        "RocksDB",
        only_in=("engine/state",),
    ),
    Confined(
        re.compile(r"#include\s+[<\"]asio(/|\.hpp)"),
        "Asio",
        only_in=("engine/link/link_io.cpp",),
    ),
    Confined(
        re.compile(r"#include\s+[<\"]openssl/"),
        "OpenSSL",
        only_in=("engine/http", "engine/link"),
    ),
    Confined(
        re.compile(r"#include\s+[<\"]google/protobuf/"),
        "Protobuf's own headers",
        only_in=("engine/storage", "coordinator/admin_api.cpp", "tools/millrace/cluster"),
    ),
    Confined(re.compile(r"#include\s+<(thread|stop_token)>"), "a thread", never_in=PURE),
    Confined(
        re.compile(r"\b(system_clock|steady_clock|high_resolution_clock)::now\b"),
        "a clock",
        never_in=PURE,
    ),
)

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


@dataclass(frozen=True)
class Violation:
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def part_of(path: str) -> str | None:
    parts = [part for part in ALLOWED if _is_under(path, part)]
    return max(parts, key=len, default=None)


def check_text(path: str, text: str) -> Iterator[Violation]:
    """`path` is relative to the repository's root."""
    part = part_of(path)
    if part is None:
        yield Violation(path, 1, "belongs to no part: add one to tools/devtool/includes.py")
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for rule in CONFINED:
            if rule.pattern.search(line) and rule.forbids(path):
                yield Violation(path, number, f"{part} must not use {rule.what}")
        included = INCLUDE.match(line)
        if included:
            message = _refusal(part, included[1])
            if message:
                yield Violation(path, number, message)


def _refusal(part: str, included: str) -> str | None:
    if _is_under(included, part):
        return None
    target = part_of(included)
    if target is None:
        return f'"{included}" is no path from the repository\'s root'
    if any(_is_under(included, allowed) for allowed in ALLOWED[part]):
        return None
    return f"{part} must not include {target} (allowed: {', '.join(ALLOWED[part]) or 'nothing'})"


def check_tree(root: Path, files: list[str]) -> list[Violation]:
    return [
        violation
        for path in files
        for violation in check_text(path, (root / path).read_text(errors="replace"))
    ]
