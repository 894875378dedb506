"""The verb ``completion``: what makes a shell complete these commands."""

from __future__ import annotations

import sys
from pathlib import Path

from argcomplete.shell_integration import shellcode

from eleatt_bench.cli.arguments import Parser, choose

SHELLS = ("bash", "zsh", "fish")


def completion(arguments: list[str]) -> int:
    """``eleatt-bench completion SHELL``."""
    parser = Parser(
        "eleatt-bench completion",
        description="Print what makes a shell complete these commands: run it as "
        'eval "$(eleatt-bench completion bash)" (or zsh, after compinit), or '
        "eleatt-bench completion fish | source, in the shell's start-up file.",
    )
    parser.add_argument("shell", metavar="SHELL", help=", ".join(SHELLS), offers=SHELLS)
    shell = choose("shell", parser.parse(arguments).shell, SHELLS)
    # bash and zsh run the program as it was typed; fish has to be told where it is.
    script = str(Path(sys.argv[0]).absolute()) if shell == "fish" else None
    print(
        shellcode(["eleatt-bench"], use_defaults=False, shell=shell, argcomplete_script=script),
        end="",
    )
    return 0
