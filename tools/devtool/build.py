"""`tools/dev build`: CMake and Ninja by preset."""

from __future__ import annotations

import os

from devtool import console, paths

PRESETS = ("release", "debug", "asan", "tsan")
# What one compiler process takes at most, with Arrow's and CAF's headers.
JOB_MEMORY_BYTES = 1_500_000_000


def parallel_jobs() -> int:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory_bytes // JOB_MEMORY_BYTES))


def configure(preset: str = "release") -> None:
    console.run_step(f"configure {preset}", ["cmake", "--preset", preset], f"configure-{preset}")


def build(preset: str = "release", *targets: str) -> None:
    configure(preset)  # always: it takes a second, and finds folders that have become parts
    taken = console.run_step(
        f"build {preset}",
        ["ninja", "-C", paths.build_dir(preset), f"-j{parallel_jobs()}", *targets],
        f"build-{preset}",
        env={"NINJA_STATUS": "[%f/%t] "},
    )
    console.say(
        f"built {preset} in {console.seconds(taken)}: "
        f"{paths.build_dir(preset).relative_to(paths.ROOT)}/bin"
    )
