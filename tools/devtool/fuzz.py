"""`tools/dev fuzz WHAT`: random input.

`sql` asks random queries over random readings and compares with DuckDB's answers: the test command
asks the first 500 of them; this asks for more, from a seed on. A seed that fails fails again:
`tools/dev fuzz sql --first-seed S --queries 20`.

The others are libFuzzer programs (tests/fuzz), which change input byte by byte and keep what
reaches new code. Their corpus grows in .run/fuzz/WHAT/corpus; an input that fails is kept beside it
and fails again: `tools/dev fuzz WHAT --input FILE`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from devtool import build, console, install, paths
from devtool.console import ToolError

QUERIES = 20_000
QUERIES_PER_SEED = 20  # tests/sql/test_random_queries.py
WORKERS = 2

PRESET = "fuzz"
MINUTES = 20
# By program: the longest input that is tried.
BYTES_MAX = {
    "sql-reader": 4096,
    "job-file": 8192,
    "json-decoder": 4096,
    "messages": 4096,
    "exchange": 16384,
    "restore": 8192,
    "link": 8192,
}
INPUT_SECONDS_MAX = 30
MEMORY_MB_MAX = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("sql", *BYTES_MAX),
        help="sql: random queries against DuckDB; the others: libFuzzer programs",
    )
    parser.add_argument("--queries", type=int, default=QUERIES, help=f"sql; default: {QUERIES:,}")
    parser.add_argument("--first-seed", type=int, default=1, help="sql; 20 queries each")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"libFuzzer; default: {MINUTES}"
    )
    parser.add_argument("--input", type=Path, help="libFuzzer; only this input, once")


def run(options: argparse.Namespace) -> int:
    """The exit code: 0, 1 when an answer is another than DuckDB's, or an input fails."""
    if options.what == "sql":
        return _ask_queries(options)
    return _run_program(options)


def _ask_queries(options: argparse.Namespace) -> int:
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


def _run_program(options: argparse.Namespace) -> int:
    if options.input is not None and not options.input.is_file():
        raise ToolError(f"there is no file {options.input}")
    install.setup_fuzzing()
    name = options.what.replace("-", "_") + "_fuzz"
    build.build(PRESET, name)
    program = paths.build_dir(PRESET) / "bin" / name
    limits = [f"-timeout={INPUT_SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}"]
    if options.input is not None:
        return _exit_code([str(program), *limits, str(options.input)])
    folder = paths.RUN / "fuzz" / options.what
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = folder / "seeds"
    subprocess.run([program], env={**os.environ, "MILLRACE_FUZZ_SEEDS": str(seeds)}, check=True)
    command = [
        str(program), *limits, f"-max_len={BYTES_MAX[options.what]}",
        f"-max_total_time={max(1, round(options.minutes * 60))}",
        f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    words = paths.ROOT / "tests" / "fuzz" / f"{options.what}.dict"
    if words.is_file():
        command.append(f"-dict={words}")
    console.say(f"failing inputs come to {folder.relative_to(paths.ROOT)}")
    return _exit_code([*command, str(corpus), str(seeds)])


def _exit_code(command: list[str]) -> int:
    return 0 if subprocess.run(command, cwd=paths.ROOT, check=False).returncode == 0 else 1
