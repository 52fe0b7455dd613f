"""`tools/dev simulate`: runs a small job under faults from many seeds (tests/simulation), or, with
`--fleet`, coordinators, workers and several jobs for hours.

The program says which seeds fail; `--trace` with one seed shows what happened in it, step by step.
"""

from __future__ import annotations

import argparse
import subprocess

from devtool import build, console, paths

SEEDS = 10_000
FLEET_SEEDS = 1
FLEET_HOURS = 24.0
TARGET = "simulate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", type=int, help=f"how many (default: {SEEDS:,}; of a fleet: {FLEET_SEEDS})"
    )
    parser.add_argument("--first-seed", type=int, default=1, help="the first of them")
    parser.add_argument(
        "--fleet", action="store_true", help="coordinators, workers and several jobs"
    )
    parser.add_argument(
        "--hours",
        type=float,
        default=FLEET_HOURS,
        help=f"of a fleet, simulated, each seed (default: {FLEET_HOURS:g})",
    )
    parser.add_argument("--bug", metavar="NAME", help="with a deliberate defect, to see it found")
    parser.add_argument("--trace", action="store_true", help="write down what happens")


def run(options: argparse.Namespace) -> int:
    """The exit code: 0, 1 when a seed fails, the program's for a wrong command line."""
    build.configure()
    console.run_step(
        "build simulate",
        ["ninja", "-C", paths.build_dir("release"), f"-j{build.parallel_jobs()}", TARGET],
        "build-simulate",
        env={"NINJA_STATUS": "[%f/%t] "},
    )
    command = [str(paths.build_dir("release") / "bin" / TARGET)]
    seeds = options.seeds or (FLEET_SEEDS if options.fleet else SEEDS)
    command += ["--seeds", str(seeds), "--first-seed", str(options.first_seed)]
    if options.fleet:
        command += ["--fleet", "--minutes", str(max(1, round(options.hours * 60)))]
    if options.bug is not None:
        command += ["--bug", options.bug]
    if options.trace:
        command.append("--trace")
    return subprocess.run(command, check=False).returncode
