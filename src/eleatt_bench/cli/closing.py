"""The last words of a sweep: where everything lies, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import runs_dir


def closing(where: Mapping[str, str], then: Mapping[str, Sequence[str]], runs: Path) -> None:
    """Print the paths ``where`` things lie and the command lines to go on with, each by a word.

    The commands are of this program; they name the folder ``runs`` if it is not the usual one.
    Nothing is wrapped, so that a path or a command can be copied.
    """
    begin = (
        "eleatt-bench"
        if runs == runs_dir()
        else f"ELEATT_RUNS={shlex.quote(str(runs))} eleatt-bench"
    )
    commands = {word: f"{begin} {shlex.join(arguments)}" for word, arguments in then.items()}
    print()
    for head, lines in (("Where", where), ("Next", commands)):
        for number, (word, line) in enumerate(lines.items()):
            print(f"{'' if number else head:<7}{word:<8}{line}")
