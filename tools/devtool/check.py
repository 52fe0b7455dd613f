"""`tools/dev check` and `tools/dev format`: formatting, include direction, static analysis.

clang-tidy costs seconds a file: it runs over what differs from the upstream branch, over
everything with --all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devtool import build, console, includes, install, paths

CPP_SUFFIXES = (".h", ".cpp")
PYTHON_FOLDERS = ("tools", "tests", "jobs")


def check(everything: bool) -> int:
    """Runs every check, also after one has failed; the exit code."""
    install.setup()
    problems = [
        *_clang_format(),
        *(str(violation) for violation in includes.check_tree(paths.ROOT, cpp_files())),
        *_python("ruff: lint", "check", "--quiet"),
        *_python("ruff: format", "format", "--check", "--quiet"),
        *_mypy(),
        *_clang_tidy(everything),
    ]
    for problem in problems:
        console.say(problem)
    print(f"{len(problems)} problems" if problems else "all checks passed")
    return 1 if problems else 0


def format_all() -> None:
    install.setup()
    files = cpp_files()
    if files:
        console.run_step("clang-format", ["clang-format", "-i", *files], "clang-format")
    console.run_step("ruff", [_venv("ruff"), "format", "--quiet", *python_folders()], "ruff-format")


def _git(*arguments: str) -> list[str]:
    result = subprocess.run(
        ["git", "-C", str(paths.ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return result.stdout.splitlines() if result.returncode == 0 else []


def cpp_files() -> list[str]:
    """Ours, also those not yet added; relative to the root."""
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard")
    return sorted(
        path
        for path in set(listed)
        if path.endswith(CPP_SUFFIXES) and (paths.ROOT / path).is_file()
    )


def changed_files() -> set[str]:
    """What differs from the upstream branch, or else from the last commit."""
    base = _git("merge-base", "HEAD", "@{upstream}") or ["HEAD"]
    return {
        *_git("diff", "--name-only", "--diff-filter=d", base[0]),
        *_git("ls-files", "--others", "--exclude-standard"),
    }


def python_folders() -> list[str]:
    return [folder for folder in PYTHON_FOLDERS if any((paths.ROOT / folder).rglob("*.py"))]


def _venv(program: str) -> Path:
    return paths.VENV / "bin" / program


def _output(title: str, argv: list[str]) -> list[str]:
    """Runs one checker; what it says if it is not content."""
    with console.step(title):
        result = subprocess.run(argv, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return []
    said = (result.stdout + result.stderr).strip()
    return [said or f"{title}: exit code {result.returncode}"]


FORMAT_ERROR = re.compile(r"^(\S+?):(\d+):\d+: error: code should be clang-formatted", re.M)


def _clang_format() -> list[str]:
    files = cpp_files()
    if not files:
        return []
    said = _output("clang-format", ["clang-format", "--dry-run", "-Werror", *files])
    lines: dict[str, dict[str, None]] = {}
    for path, line in FORMAT_ERROR.findall("\n".join(said)):
        lines.setdefault(path, {})[line] = None
    if not lines:
        return said
    return [
        f"{path}: lines {', '.join(numbers)}: not formatted (tools/dev format)"
        for path, numbers in lines.items()
    ]


def _python(title: str, *arguments: str) -> list[str]:
    return _output(title, [str(_venv("ruff")), *arguments, *python_folders()])


def _mypy() -> list[str]:
    return _output("mypy", [str(_venv("mypy")), "--no-error-summary", *python_folders()])


def _clang_tidy(everything: bool) -> list[str]:
    database = paths.build_dir() / "compile_commands.json"
    if not database.exists():
        build.configure()
    changed = changed_files()
    compiled = {
        str(Path(entry["file"]).relative_to(paths.ROOT)): entry
        for entry in json.loads(database.read_text())
        if Path(entry["file"]).is_relative_to(paths.ROOT)
        and not Path(entry["file"]).is_relative_to(paths.ROOT / "build")
    }
    files = [path for path in sorted(compiled) if everything or path in changed]
    if not files:
        return []
    database_dir = write_tidy_database([compiled[path] for path in files])
    problems: list[str] = []
    with console.step(f"clang-tidy ({len(files)} files)") as progress:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            said_of = pool.map(lambda path: _tidy_one(database_dir, path), files)
            for done, said in enumerate(said_of, start=1):
                problems += said
                progress.detail = f"{done}/{len(files)}"
                progress.show()
    return problems


# g++'s precompiled header and its options mean nothing to clang.
FOREIGN_OPTIONS = re.compile(r"\s(-include \S*cmake_pch\S*|-fpch-preprocess|-Winvalid-pch)(?=\s)")


# Older ones refuse what g++ 12's <ranges> is made of.
CLANG_TIDY = "clang-tidy-16"
# Loops over columns use & where && would be a branch.
BITWISE_OPTIONS = "-Wno-bitwise-conditional-parentheses -Wno-bitwise-instead-of-logical"


def write_tidy_database(entries: list[dict[str, str]]) -> Path:
    """compile_commands.json as clang understands it; returns its folder."""
    folder = paths.CACHE / "clang-tidy"
    folder.mkdir(parents=True, exist_ok=True)
    cleaned = [
        {**entry, "command": f"{FOREIGN_OPTIONS.sub('', entry['command'])} {BITWISE_OPTIONS}"}
        for entry in entries
    ]
    (folder / "compile_commands.json").write_text(json.dumps(cleaned, indent=1))
    return folder


def _tidy_one(database_dir: Path, path: str) -> list[str]:
    result = subprocess.run(
        [CLANG_TIDY, "--quiet", "-p", str(database_dir), path],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        return []
    # Counts of suppressed warnings go to stderr; a broken set-up says so there and nowhere else.
    return [result.stdout.strip() or result.stderr.strip() or f"{path}: clang-tidy failed"]
