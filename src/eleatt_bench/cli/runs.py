"""The verb about runs: ``runs list | show | compare | rm | gc | export``."""

from __future__ import annotations

from importlib import import_module

from eleatt_bench.cli.arguments import Parser, choose

ACTIONS = {
    "list": ("list", "the runs that are there; KEY=VALUE chooses, --sort KEY orders"),
    "show": ("show", "all that is known of a run"),
    "compare": ("compare", "two runs side by side: settings, metrics, the same test samples"),
    "rm": ("remove", "remove runs"),
    "gc": ("remove", "remove what finished runs need no more, and what killed processes left"),
    "export": ("export", "write a run to one file"),
}
"""Every action: the module of this room that does it, and what it does."""


def runs(arguments: list[str]) -> int:
    """``eleatt-bench runs ACTION ...``."""
    listed = "; ".join(f"{name}: {what}" for name, (_, what) in ACTIONS.items())
    parser = Parser(
        "eleatt-bench runs",
        usage="eleatt-bench runs ACTION ...",
        description=f"{listed}. ACTION --help says more about one of them.",
    )
    parser.add_argument("action", metavar="ACTION", help=", ".join(ACTIONS))
    action = choose("action", parser.parse(arguments[:1]).action, list(ACTIONS))
    module = import_module(f"eleatt_bench.cli.runs_{ACTIONS[action][0]}")
    function = getattr(module, action)
    function(arguments[1:])
    return 0
