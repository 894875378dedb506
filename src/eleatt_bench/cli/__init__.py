"""The entry point, ``eleatt-bench VERB ...``; the module of a verb is imported when it runs."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import CodeType
from typing import Any, NoReturn

from eleatt_bench import __version__
from eleatt_bench.cli.offers import completing, offer_verbs, typed
from eleatt_bench.common.errors import UserError, disk_message, unknown
from eleatt_bench.common.locations import add_config_dir, settle_folders
from eleatt_bench.common.runtime import settle_libraries
from eleatt_bench.common.text import make_output_safe, printable
from eleatt_bench.launch.ranks import forget_other_launchers, is_first

VERBS = {
    "train": "train and test one run, or with -m a grid of runs",
    "eval": "test finished runs again: run=ID[,ID...]",
    "ensemble": "what finished runs come to together: run=ID,ID[,ID...]",
    "search": "search for settings with the best validation accuracy",
    "reproduce": "do the runs that a table lacks, then write the table",
    "table": "show a table from the runs that are there",
    "tables": "list the tables",
    "data": "list, download, prepare or verify data sets",
    "runs": "list, show, compare, remove, export or import runs",
    "results": "publish tables with their runs, and verify what is published",
    "report": "write pages about all tables and runs, or a table's figures",
    "attention": "draw what the gate of a run attends to",
    "tensorboard": "look at the curves and pictures of all runs",
    "doctor": "versions, devices, data sets, and what is missing",
    "completion": "make a shell complete these commands: bash, zsh or fish",
}

FLAGS = ("--help", "--version", "--debug", "--config-dir")

_RUNS = "runs_dir=FOLDER; {same_command} continues"
_ELSEWHERE = {  # what to type so that a verb writes somewhere else
    "train": f"{_RUNS} the run",
    "search": f"{_RUNS} the search",
    "reproduce": f"{_RUNS} the table",
    "eval": "ELEATT_RUNS=FOLDER, to which the run was copied",
    "table": "--out FILE",
    "report": "--out FOLDER",
    "attention": "--out FOLDER",
    "runs": "--out FILE.zip, or ELEATT_RUNS=FOLDER",
    "results": "--to FOLDER",
    "data": "--out FILE, or ELEATT_DATA=FOLDER",
}

USAGE = """\
usage: eleatt-bench [--debug] VERB ...

{verbs}

eleatt-bench VERB --help   says more about one of them
--version                  prints the version
--debug, ELEATT_DEBUG=1    shows the traceback of an error
--config-dir DIR, ELEATT_CONFIGS=DIR   configs of your own, beside those that are there

Tab completion:  eval "$(eleatt-bench completion bash)"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``eleatt-bench`` with ``argv`` (default: this process's arguments); the exit status."""
    stops = _handle_stops()
    arguments: list[str] = []
    try:
        make_output_safe()
        arguments = typed()[1:] if completing() else list(sys.argv[1:] if argv is None else argv)
        if "--debug" in arguments:
            arguments.remove("--debug")
            os.environ["ELEATT_DEBUG"] = "1"  # jobs inherit it
        forget_other_launchers()
        settle_libraries()
        settle_folders()
        arguments = _without_config_dirs(arguments)
        try:
            return _dispatch(arguments)
        finally:
            sys.stdout.flush()  # a failure is reported here, but not at the interpreter's exit
    except Exception as error:
        gone = _is_unread()
        _give_output_up()
        if gone and isinstance(error, BrokenPipeError):  # e.g. `| head` has ended
            return 128 + signal.SIGPIPE
        if os.environ.get("ELEATT_DEBUG") == "1":
            traceback.print_exc()
        if stops:  # a signal came, and what it interrupted raised this error
            return _stopped(stops[0], arguments)
        with suppress(OSError):  # stderr may go to the disk that is full
            print(f"Error: {printable(_message(error, arguments))}", file=sys.stderr)
        return _exit_status(error)
    except KeyboardInterrupt:
        return _stopped(signal.SIGINT, arguments)
    except SystemExit as stop:
        if stops:
            return _stopped(stops[0], arguments)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        stops.clear()  # they were handled, so they are not sent again


def _is_unread() -> bool:
    """Whether nobody reads the output any more."""
    output = select.poll()
    with suppress(OSError):  # the output is no file
        output.register(sys.stdout.fileno(), select.POLLOUT)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in output.poll(0))


def _give_output_up() -> None:
    """Discard output that cannot be written, so that nothing tries to write it again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _without_config_dirs(arguments: Sequence[str]) -> list[str]:
    """``arguments`` without ``--config-dir DIR``, which is set for this process and its jobs."""
    rest, words = list[str](), iter(arguments)
    for word in words:
        flag, equals, folder = word.partition("=")
        if flag not in ("--config-dir", "-cd"):
            rest.append(word)
            continue
        folder = folder if equals else next(words, "")
        if not folder or folder.startswith("-"):
            raise UserError(f"{flag} needs a folder: {flag} DIR")
        add_config_dir(folder)
    return rest


def _dispatch(arguments: list[str]) -> int:
    if not arguments and completing():
        offer_verbs(VERBS, FLAGS)
    if not arguments or arguments[0] in {"-h", "--help"}:
        verbs = "\n".join(f"  {verb:<11} {text}" for verb, text in VERBS.items())
        print(USAGE.format(verbs=verbs), end="")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb == "--version":
        print(f"eleatt-bench {__version__}")
        return 0
    if verb not in VERBS:
        if verb.startswith("-"):
            raise unknown("flag", verb, FLAGS)
        raise unknown("verb", verb, VERBS)
    return _function(verb)(rest)


def _function(verb: str) -> Callable[[list[str]], int]:
    """The function behind ``verb``; only its own module is imported."""
    from importlib import import_module

    modules = {"eval": "train", "reproduce": "tables", "table": "tables"}
    module: Any = import_module(f"eleatt_bench.cli.{modules.get(verb, verb)}")
    function: Callable[[list[str]], int] = getattr(module, verb)
    return function


def _message(error: Exception, arguments: Sequence[str]) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        usual = "ELEATT_RUNS=FOLDER or ELEATT_DATA=FOLDER"
        elsewhere = _ELSEWHERE.get("".join(arguments[:1]), usual)
        return disk_message(error, elsewhere.format(same_command=_same_command(arguments)))
    return (
        f"{type(error).__name__}: {error}\nThis is a bug. "
        "Run the same command with --debug for the traceback, and please report it"
    )


def _exit_status(error: Exception) -> int:
    if isinstance(error, UserError):
        return error.exit_status
    return 1 if isinstance(error, OSError) else 70


def _handle_stops() -> list[int]:
    """Raise an exception on Ctrl-C, SIGTERM and SIGHUP, so that locks and files are cleaned up.

    The list holds the signals that came, because libraries may turn the exception into another.
    Some places, such as finalizers, let no exception through; there the signal is sent again.
    """
    came: list[int] = []
    usual = sys.unraisablehook

    def again() -> None:
        while came:
            time.sleep(0.02)
            if came and not _is_inside(unraisable.__code__):  # which lets none through either
                os.kill(os.getpid(), came[-1])
                return

    def unraisable(ignored: sys.UnraisableHookArgs) -> None:
        if came and isinstance(ignored.exc_value, KeyboardInterrupt | SystemExit):
            threading.Thread(target=again, daemon=True).start()
        else:
            usual(ignored)

    def stop(signum: int, frame: object) -> NoReturn:
        came.append(signum)
        raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A signal that is ignored stays so: nohup, for example, ignores SIGHUP.
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, stop)
            sys.unraisablehook = unraisable
    return came


def _is_inside(code: CodeType) -> bool:
    """Whether the main thread is executing ``code``, or what that calls."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def _stopped(signum: int, arguments: Sequence[str]) -> int:
    if not is_first():  # a further rank, whose command nobody typed
        return 128 + signum
    with suppress(OSError):  # the terminal may be gone
        print(f"\nInterrupted. {_goes_on(arguments)}.", file=sys.stderr)
    return 128 + signum


def _goes_on(arguments: Sequence[str]) -> str:
    from eleatt_bench.launch.settings import begins_anew

    if not begins_anew(arguments):
        return "The same command continues where this one stopped"
    return (
        "Without force=true the same command continues what was begun anew; what was not is still "
        "the earlier run, to be begun with force=true"
    )


def _same_command(arguments: Sequence[str]) -> str:
    """How a sentence names the command that goes on where the one with ``arguments`` stopped."""
    from eleatt_bench.launch.settings import begins_anew

    return f"{'without force=true ' * begins_anew(arguments)}the same command"
