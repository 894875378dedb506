"""Overrides as people type them, ``KEY=VALUE``, in Hydra's own grammar: read, checked, written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import literal
from eleatt_bench.config import schema
from eleatt_bench.config.setup import groups, hydra_ready, options

_OWN_HYDRA = frozenset(
    {
        "hydra/launcher=eleatt_bench",
        "hydra/launcher=eleatt_cancel",
        "hydra/launcher=eleatt_detach",
        "hydra/sweeper=eleatt_table",
        "hydra/sweeper=eleatt_until_decided",
    }
)
MANY = frozenset({"logger"})
"""Groups of which several options may be chosen at once: ``logger=[tensorboard,csv]``."""

_KEY = re.compile(r"(\+\+|\+|~)?(?P<key>[^=]*)(=(?P<value>.*))?", re.DOTALL)


@lru_cache(10_000)
def parse(text: str) -> Override:
    """``text`` as Hydra understands it.

    Raises:
        UserError: ``text`` is no override; the message shows how to quote a value, if that helps.
    """
    match = _KEY.fullmatch(text)
    assert match is not None  # it matches anything
    if not match["key"] or (match["value"] is None and not text.startswith("~")):
        raise UserError(f"{text!r} is not an override: write KEY=VALUE")
    try:
        with hydra_ready():
            loader = GlobalHydra.instance().config_loader()
            return OverridesParser.create(config_loader=loader).parse_overrides([text])[0]
    except (HydraException, RecursionError) as error:
        lines = [line for line in str(error).splitlines() if line and "hydra.cc" not in line]
        told = " ".join(" ".join(lines[1:2] or lines).split())
        why = told if any(map(str.isalpha, told)) else "a sign that it does not know"
        quoted = f"{text.partition('=')[0]}={literal(match['value'] or '')}"
        raise UserError(
            f"{text} is not in Hydra's grammar ({why}). Text that holds = ~ , ( ) [ ] {{ }} : or "
            f'spaces at its ends is quoted twice, for Hydra and for the shell: "{quoted}"'
        ) from error


def check_override(text: str, name: str = "train") -> None:
    """Refuse an unknown config key or group option, and settings of Hydra itself.

    ``name`` is the name of the schema. Hydra checks the values.

    Raises:
        UserError: the override is refused; for an unknown name, with the nearest match.
    """
    override = parse(text)
    key, known = override.key_or_group, groups()
    if re.split(r"[./]", key)[0] == "hydra":
        if text not in _OWN_HYDRA:
            raise UserError(
                f"{text}: Hydra's own settings are not for users of this program: runs_dir=FOLDER "
                "says where runs and their logs lie, --config-dir DIR where configs of yours are"
            )
    elif key in known:
        if not override.is_delete():  # ~GROUP removes the group, whatever its option
            _check_options(key, override)
    else:
        _check_key(key, name, known)
        _check_section(key, override, name)
        _check_empty(key, override, name)


def _check_options(group: str, override: Override) -> None:
    choices = options(group) + (["null"] if group in {"experiment", "table"} else [])
    for value in _values(override):
        for option in value if group in MANY and isinstance(value, list) else [value]:
            word = "null" if option is None else str(option)
            if word not in choices:
                raise unknown(f"option of {group}", word, choices)


def _values(override: Override) -> Iterator[Any]:
    """The value of ``override``, or all values of a sweep that lists them."""
    value = override.value()
    if not override.is_sweep_override():
        yield value
    elif isinstance(value, ChoiceSweep):
        yield from override.sweep_iterator()


def _check_key(key: str, name: str, known: list[str]) -> None:
    path = key.split(".")
    for depth, part in enumerate(path):
        names = schema.names_at(schema.SCHEMAS[name], path[:depth])
        if names is None:
            return
        if part not in names:
            prefix = ".".join([*path[:depth], ""])
            choices = [f"{prefix}{n}" for n in names] + (known if depth == 0 else [])
            raise unknown("config key", f"{prefix}{part}", {*choices})


def _check_section(key: str, override: Override, name: str) -> None:
    """Refuse a plain value for a section."""
    names = schema.names_at(schema.SCHEMAS[name], key.split("."))
    if names is None or override.is_delete():
        return
    for value in _values(override):
        if not isinstance(value, dict) and not str(value).startswith("${") and value != "":
            told = ", ".join(f"{key}.{n}" for n in names)
            raise UserError(f"{key} is a section, not a single value: set {told}, or some of these")


def _check_empty(key: str, override: Override, name: str) -> None:
    """Refuse an empty mapping for a key of the schema: a person who types one means "none"."""
    if override.is_delete():
        return
    for empty in (found for value in _values(override) for found in _empty(key, value)):
        path = empty.split(".")
        if schema.names_at(schema.SCHEMAS[name], path[:-1]) is None:  # an argument of a class
            continue
        names = schema.names_at(schema.SCHEMAS[name], path)
        mend = (
            f"~{empty}.NAME takes one out, {empty}.NAME=VALUE sets one"
            if names is None
            else f"set {', '.join(f'{empty}.{n}' for n in names)}, or some of these"
        )
        raise UserError(
            f"{override.input_line}: an empty mapping changes nothing, because mappings are "
            f"merged: {mend}"
        )


def _empty(key: str, value: Any) -> Iterator[str]:
    """The keys of empty mappings in ``value``, which is that of ``key``."""
    if value == {}:
        yield key
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _empty(f"{key}.{name}", inner)
