"""Tab completion in bash, zsh and fish: argcomplete asks, and Hydra answers for overrides.

The shell runs the program with ``_ARGCOMPLETE`` set and the line in ``COMP_LINE``. The verb is
called as usual with the words before the cursor. Its `Parser` does not parse them, but tells the
shell what may follow. ``offers`` that are a function get the beginning of the word at the cursor.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from eleatt_bench.common.locations import runs_dir

Offers = Callable[[str], Iterable[str]] | Iterable[str]


def completing() -> bool:
    """Whether a shell asks what may come next."""
    return "_ARGCOMPLETE" in os.environ


def typed() -> list[str]:
    """The complete words before the cursor, the program's name included."""
    return _split()[0]


def _split() -> tuple[list[str], str]:
    """The words before the one at the cursor, and the beginning of that word with its quote."""
    from argcomplete.lexers import split_line

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    quote, beginning, _, words, _ = split_line(line, point)
    return words, quote + beginning


def answer(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> NoReturn:
    """Tell the shell what may follow ``arguments``, the words of ``parser``, and exit."""
    from argcomplete.completers import FilesCompleter
    from argcomplete.finders import CompletionFinder

    # argcomplete parses the line itself, but not mixed flags and words as `Parser` does. So it gets
    # the words for this parser alone, with the flags first.
    line = (
        f"{shlex.join([parser.prog.split()[-1], *_flags_first(parser, arguments)])} {_split()[1]}"
    )
    os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}

    class Files(FilesCompleter):
        """Completes file names for arguments that are paths and offer nothing."""

        def __call__(self, prefix: str, **kwargs: Any) -> list[str]:
            return super().__call__(prefix) if kwargs["action"].type is Path else []

    CompletionFinder()(parser, always_complete_options=False, default_completer=Files())
    raise AssertionError  # argcomplete has ended the process


def _flags_first(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> list[str]:
    """``arguments`` with flags that take no value, or one, before all the rest."""
    flags, rest, words = list[str](), list[str](), iter(arguments)
    for word in words:
        action = parser._option_string_actions.get(word)
        values = [] if action is None or action.nargs == 0 else list(islice(words, 1))
        if action is None or action.nargs not in (0, None) or (action.nargs is None and not values):
            rest += [word, *values]
        else:
            flags += [word, *values]
    return flags + rest


def completer(offers: Offers) -> Callable[..., Iterable[str]]:
    """The function that argcomplete calls for an argument with these ``offers``."""

    def complete(prefix: str, **_: object) -> Iterable[str]:
        return offers(prefix) if callable(offers) else offers

    return complete


def run_ids(prefix: str) -> list[str]:
    """The ids of all runs, each after what ``prefix`` has up to its last comma."""
    from eleatt_bench.runs.record import all_runs

    before = prefix[: prefix.rfind(",") + 1]
    return [f"{before}{folder.run_id}" for folder in all_runs(runs_dir())]


def named_runs(prefix: str) -> list[str]:
    """As `run_ids`, for an argument ``run=ID,ID``."""
    return [f"run={found}" for found in run_ids(prefix.removeprefix("run="))]


def options(group: str) -> Callable[[str], list[str]]:
    """The names in a config group, such as ``table``."""

    def offers(prefix: str) -> list[str]:
        from eleatt_bench.config.setup import options as names

        return names(group)

    return offers


def overrides(name: str = "train") -> Callable[[str], list[str]]:
    """Possible overrides of ``configs/<name>.yaml``: keys, groups, and the values of a choice."""

    def offers(prefix: str) -> list[str]:
        key, equals, value = prefix.partition("=")
        if name == "eval" and key == "run" and equals:
            return named_runs(prefix)
        comma = value.rfind(",") + 1  # of a grid: model=gru,eleatt_gru
        before = f"{key}={value[:comma]}" if equals else ""
        found = _asked(name, f"{key}={value[comma:]}" if equals else prefix)
        if equals:
            return [before + word.partition("=")[2] for word in found]
        return [word for word in found if prefix or not word.startswith("hydra")]

    return offers


def _asked(name: str, word: str) -> list[str]:
    """The completions of ``word`` that the schema or Hydra knows."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.plugins.completion_plugin import DefaultCompletionPlugin

    from eleatt_bench.config import schema
    from eleatt_bench.config.setup import hydra_ready

    class Plugin(DefaultCompletionPlugin):
        def asked(self, word: str) -> list[str]:
            found = [self._told(str(one)) for one in self._query(name, word)]
            if len(found) == 1 and found[0].endswith(".") and found[0] != word:
                return self.asked(found[0])  # one section and nothing else: its keys
            return found

        @staticmethod
        def _told(word: str) -> str:
            """``word`` with ``=`` if it is a list, which Hydra takes for a section."""
            path = word.removesuffix(".").split(".")
            section = schema.schema_at(schema.SCHEMAS[name], path) is not None
            return word.removesuffix(".") + "=" if word.endswith(".") and not section else word

    key, equals, _ = word.partition("=")
    if equals and (choices := schema.choices_at(schema.SCHEMAS[name], key.split("."))):
        return [f"{key}={choice}" for choice in choices]
    with hydra_ready():
        return Plugin(GlobalHydra.instance().config_loader()).asked(word)


def settings(prefix: str) -> Iterator[str]:
    """``KEY=`` for each key by which runs can be chosen, or the values of the typed key."""
    from eleatt_bench.runs.record import STATUSES

    key, equals, _ = prefix.partition("=")
    if key == "status" and equals:
        yield from (f"status={state}" for state in STATUSES)
        return
    yield "status="
    yield from overrides("train")(prefix)


def offer_verbs(known: Mapping[str, str], flags: Sequence[str]) -> NoReturn:
    """Tell the shell the verbs and flags, if no verb is typed yet, and end the process."""
    parser = argparse.ArgumentParser("eleatt-bench", add_help=False)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    verb = parser.add_argument("verb")
    verb.completer = completer(known)  # type: ignore[attr-defined]
    answer(parser, ())


def keys(prefix: str) -> Iterator[str]:
    """The keys by which runs can be listed and sorted, each after ``prefix`` up to its comma."""
    before = prefix[: prefix.rfind(",") + 1]
    found = overrides("train")(prefix[len(before) :])
    for word in ("status", "epochs", "test/accuracy", *found):
        key = word.removesuffix("=")
        if key == word or f"{key}." not in found:  # a section has no value
            yield before + key
