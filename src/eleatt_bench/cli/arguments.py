"""Argument parsers whose errors are sentences, for the verbs that are not Hydra's."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from eleatt_bench.cli.offers import Offers, answer, completer, completing, options, overrides
from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import key_of, value_of
from eleatt_bench.common.locations import command


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that raises `UserError` instead of ending the process."""

    def add_argument(
        self, *names: str, offers: Offers | None = None, **said: Any
    ) -> argparse.Action:
        """Add an argument as argparse does; tab completion proposes its ``offers``."""
        action = super().add_argument(*names, **said)
        if offers is not None:
            action.completer = completer(offers)  # type: ignore[attr-defined]
        return action

    def add_table(self, said: str = "as for `reproduce`") -> None:
        """Add the ``name`` of a table and ``overrides``, whose help text is ``said``."""
        self.add_argument(
            "name", help="a table, as `eleatt-bench tables` lists them", offers=options("table")
        )
        self.add_argument(
            "overrides", nargs="*", metavar="KEY=VALUE", help=said, offers=overrides()
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The parsed ``arguments``; the error for an unknown flag names the nearest match."""
        parsed, rest = self.parse_some(arguments)
        if rest:
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            if rest[0].startswith("-"):
                raise unknown("flag", rest[0], flags)
            self.error(f"{rest[0]!r} is one argument too many")
        return parsed

    def parse_some(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The parsed ``arguments``, and the unknown ones.

        During tab completion the shell is told what may follow, and the process ends.
        """
        if completing():
            answer(self, arguments)
        return self.parse_known_intermixed_args(arguments)


def chosen_action(prog: str, actions: Mapping[str, str], arguments: Sequence[str]) -> str:
    """The action that ``arguments`` begin with; ``actions`` maps each name to its description."""
    if completing() and arguments:  # the action's own parser knows what may follow
        return arguments[0]
    listed = "\n".join(f"  {name:<8} {what}" for name, what in actions.items())
    parser = Parser(
        prog,
        usage=f"{prog} ACTION ...",
        description=f"{listed}\n\n{prog} ACTION --help says more about one of them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", metavar="ACTION", help=", ".join(actions), offers=actions)
    return choose("action", parser.parse(arguments[:1]).action, list(actions))


def check_no_table(verb: str, overrides: Sequence[str]) -> None:
    """Refuse ``overrides`` about a table: on what ``verb`` does they would have no effect."""
    for override in overrides:
        key, value = key_of(override), value_of(override)
        if key.startswith("table.") or (key == "table" and value not in ("", "null")):
            name = value if key == "table" and value.isidentifier() else "NAME"
            raise UserError(
                f"{override}: {verb} makes no table; {command('reproduce', name)} makes one"
            )


def choose(kind: str, name: str, choices: Sequence[str]) -> str:
    """``name`` if it is one of ``choices``, else an error that names the nearest match."""
    if name not in choices:
        raise unknown(kind, name, choices)
    return name
