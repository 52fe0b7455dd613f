"""The commands of tools/dev."""

from __future__ import annotations

import argparse
import shutil
import signal
from collections.abc import Sequence

from devtool import (
    bench,
    build,
    chart_tools,
    check,
    console,
    demo,
    fuzz,
    install,
    paths,
    simulation,
    testing,
)
from devtool.broker import DEFAULT_PORT, development_broker, uptime_seconds
from devtool.console import ToolError
from devtool.demo_pipelines import PIPELINES

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, 1 when something failed, 2 for a wrong command line, 130 on Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that everything started is ended, as on Ctrl-C
    options = _parser().parse_args(arguments or ["help"])
    try:
        return _run(options)
    except ToolError as error:
        console.say(f"error: {error}")
        return EXIT_ERROR
    except KeyboardInterrupt:
        console.say("interrupted")
        return EXIT_INTERRUPTED


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/dev", description="Set up, build, test and try Millrace on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("setup", help="install what is missing: packages, .venv, the broker's jars")

    add = commands.add_parser("build", help="compile into build/PRESET")
    add.add_argument("--preset", choices=build.PRESETS, default="release")

    add = commands.add_parser("test", help="set up, build, run every test")
    add.add_argument("-k", metavar="PATTERN", dest="pattern", help="only names that hold this")
    add.add_argument(
        "--full", action="store_true", help="slow ones too: sanitizer builds, slow companions"
    )
    add.add_argument(
        "--soak", action="store_true", help="hundreds of kills over a million readings too"
    )
    add.add_argument(
        "--containers", action="store_true", help="the image and the compose file too, in Docker"
    )

    add = commands.add_parser(
        "demo", help="a pipeline on a real Kafka, from nothing to alerts on this terminal"
    )
    add.add_argument(
        "pipeline",
        nargs="?",
        default="smoke-detection",
        choices=sorted(PIPELINES),
        help="a folder of jobs/ (%(default)s)",
    )
    add.add_argument(
        "--once",
        action="store_true",
        help="so many readings, then a summary and the end",
    )

    add = commands.add_parser("broker", help="a Kafka of your own on loopback, data in .run/broker")
    add.add_argument("action", choices=("start", "stop", "status"))
    add.add_argument("--port", type=int, help=f"default: {DEFAULT_PORT}, or as last time")

    add = commands.add_parser(
        "bench", help="a job's cost beside a raw drain of Kafka; a cluster's beside one process"
    )
    bench.add_arguments(add)

    add = commands.add_parser("simulate", help="a small job, or a fleet, under faults, from seeds")
    simulation.add_arguments(add)

    add = commands.add_parser("fuzz", help="random queries against DuckDB, from seeds")
    fuzz.add_arguments(add)

    commands.add_parser("format", help="rewrite C++ and Python sources in the house style")

    add = commands.add_parser("check", help="formatting, include direction, static analysis")
    add.add_argument(
        "--all", action="store_true", help="clang-tidy over all files, not only changed ones"
    )

    add = commands.add_parser("clean", help="delete build and .run")
    add.add_argument("--all", action="store_true", help=".venv and .cache too")

    commands.add_parser("help", help="show this")
    return parser


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "setup":
            install.setup()
            chart_tools.setup()
        case "build":
            install.setup()
            build.build(options.preset)
        case "test":
            also = {name: bool(getattr(options, name)) for name in ("full", "soak", "containers")}
            return testing.run_tests(options.pattern, **also)
        case "demo":
            return demo.demo(options.pipeline, options.once)
        case "broker":
            return _broker(options.action, options.port)
        case "bench":
            install.setup()
            build.build()
            return bench.run(options)
        case "simulate":
            install.setup()
            return simulation.run(options)
        case "fuzz":
            install.setup()
            return fuzz.run(options)
        case "format":
            check.format_all()
        case "check":
            return check.check(options.all)
        case "clean":
            _clean(options.all)
        case "help":
            _parser().print_help()
    return 0


def _broker(action: str, port: int | None) -> int:
    broker = development_broker(port)
    running = broker.process
    match action:
        case "start":
            if running is not None:
                print(f"runs already at {broker.bootstrap} (process {running.pid})")
                return 0
            install.setup()
            with console.step("broker: start"):
                broker.start()
            print(f"runs at {broker.bootstrap}, data in {broker.folder.relative_to(paths.ROOT)}")
        case "stop":
            print("stopped" if broker.stop() else "was not running")
        case "status":
            if running is None:
                print("not running")
                return EXIT_ERROR
            state = "answers" if broker.is_ready() else "does not answer"
            print(
                f"{broker.bootstrap} {state}: process {running.pid}, "
                f"up {console.seconds(uptime_seconds(running))}"
            )
            return 0 if state == "answers" else EXIT_ERROR
    return 0


def _clean(everything: bool) -> None:
    if development_broker().process is not None:
        raise ToolError("the broker's data lies in .run: stop it first (tools/dev broker stop)")
    folders = [paths.ROOT / "build", paths.RUN]
    if everything:
        folders += [paths.VENV, paths.CACHE]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
