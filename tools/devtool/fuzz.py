"""`tools/dev fuzz sql`: random queries over random readings, compared with DuckDB's answers.

The test command asks the first 500 of them; this asks for more, from a seed on. A seed that fails
fails again: `tools/dev fuzz sql --first-seed S --queries 20`.
"""

from __future__ import annotations

import argparse
import subprocess

from devtool import build, paths

QUERIES = 20_000
QUERIES_PER_SEED = 20  # tests/sql/test_random_queries.py
WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("sql",))
    parser.add_argument("--queries", type=int, default=QUERIES, help=f"default: {QUERIES:,}")
    parser.add_argument("--first-seed", type=int, default=1, help="20 queries each")


def run(options: argparse.Namespace) -> int:
    """The exit code: 0, 1 when an answer is another than DuckDB's."""
    build.build()
    seeds = max(1, options.queries // QUERIES_PER_SEED)
    done = subprocess.run(
        [
            paths.venv_python(), "-m", "pytest", "-q", f"-n{WORKERS}", "tests/sql",
            "-k", "random_queries_are_duckdbs", "--sql-seeds", str(seeds),
            "--sql-first-seed", str(options.first_seed),
        ],
        cwd=paths.ROOT,
        check=False,
    )  # fmt: skip
    return 0 if done.returncode == 0 else 1
