"""Write docs/settings.md: every setting, from the schema and the comments in it.

python scripts/settings_page.py > docs/settings.md
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf

from eleatt_bench.common.locations import config_dir
from eleatt_bench.config import schema
from eleatt_bench.config.setup import groups, options
from eleatt_bench.runs.identity import is_place

MAYBE = ", or its file's"
HEAD = """\
<!-- Written by scripts/settings_page.py from src/eleatt_bench/config/ -->
# All settings

Give a setting as `KEY=VALUE` to `train`, `search`, `reproduce` or `table`, or put it into an
experiment of your own (`configs/experiment/`). `eleatt-bench train experiment=nucla --cfg job`
prints the values that would be used. A key that does not exist, or a value of another type, is
refused before anything starts.

- A table sets `seed` and `data.fold` itself; `'table.seeds=[0,1,2]'` chooses its seeds. `train` and
  `search` make no table and refuse `table`.
- A mapping is merged into the one that is there, so that `{}` would change nothing and is refused:
  `~optimizer.options.momentum` takes a key out of it.
- A search takes the runs that are there, and `reproduce` does only those that a table lacks, so
  both refuse `force=true`.
- *Its file's*: the value is set by the chosen file of a group, as `data=nucla` reads
  `configs/data/nucla.yaml`. *Or its file's*: some files of the group set it; in the others it is
  the value shown.
- *In the name*: the setting decides numbers, and runs that differ in it are different runs. The
  other settings say where and how a run is computed.
"""


def main() -> None:
    print(HEAD)
    print("Of each of these groups you choose one file, for example `model=eleatt_gru`:\n")
    for group in groups():
        print(f"- `{group}`: {', '.join(f'`{name}`' for name in options(group))}")
    for name, what in (("train", "`train`, `search`, `reproduce`, `table`"), ("eval", "`eval`")):
        print(f"\n## {what}\n")
        for line in section(schema.SCHEMAS[name], ""):
            print(line)


def section(cls: type, prefix: str) -> Iterator[str]:
    """The settings of a section, and below them the sections in it."""
    hints, said = get_type_hints(cls), meanings(cls)
    nested = {f.name: inner for f in fields(cls) if (inner := nested_in(hints[f.name])) is not None}
    if prefix == "table.":  # a table is a file of its own; tables.md describes it
        yield "What a table may say: [tables.md](tables.md).\n"
        return
    yield "| Setting | Type | Default | In the name | Meaning |"
    yield "|---|---|---|---|---|"
    for one in fields(cls):
        if one.name not in nested:
            meaning = said.get(one.name) or of_files(prefix, one.name)
            if not meaning:
                raise SystemExit(f"{cls.__name__}.{one.name} says nothing of what it means")
            key = f"{prefix}{one.name}"
            named = "" if cls is schema.EvalConfig or is_place(key) else "yes"
            value = default(one, prefix, of_eval=cls is schema.EvalConfig)
            cells = [f"`{key}`", kind(hints[one.name]), value, named, meaning]
            yield f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"
    if not prefix and cls is not schema.TrainConfig:
        yield "\n`trainer` and `launcher` as above."
        return
    for name, inner in nested.items():
        yield f"\n### `{prefix}{name}`\n"
        if about := said.get(name):
            yield f"{about[0].upper()}{about[1:]}.\n"
        yield from section(inner, f"{prefix}{name}.")


def meanings(cls: type) -> dict[str, str]:
    """The comment after each field of ``cls``, or on a line of its own above the field."""
    source = textwrap.dedent(inspect.getsource(cls))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    alone = {n for n in comments if source.splitlines()[n - 1].lstrip().startswith("#")}
    (body,) = (node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno - (node.lineno - 1 in alone)
            lines = range(first, (node.end_lineno or node.lineno) + 1)
            found[node.target.id] = " ".join(comments[n] for n in lines if n in comments)
    return {name: text for name, text in found.items() if text}


def of_files(prefix: str, name: str) -> str:
    """What comments in the files of a group say of a key, each with the names of its files."""
    said: dict[str, list[str]] = {}
    for path in sorted((config_dir() / prefix.partition(".")[0]).glob("*.yaml")):
        for line in path.read_text("utf-8").splitlines():
            key, _, rest = line.partition(":")
            _, mark, meaning = rest.partition(" # ")
            if key.strip() == name and mark:
                said.setdefault(meaning.strip(), []).append(f"`{path.stem}`")
    return "; ".join(f"{' and '.join(files)}: {meaning}" for meaning, files in said.items())


def nested_in(hint: Any) -> type | None:
    """The section class in a field's type; None if the field is no section."""
    kinds = (hint, *get_args(hint))
    return next((t for t in kinds if is_dataclass(t) and isinstance(t, type)), None)


def kind(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is list:
        return f"list of {kind(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "mapping"
    if get_args(hint):
        return " or ".join("null" if t is NoneType else kind(t) for t in get_args(hint))
    if issubclass(hint, Enum):
        return ", ".join(f"`{choice.name}`" for choice in hint)
    return {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}[hint]


def default(one: Field[Any], prefix: str, *, of_eval: bool) -> str:
    """The default of a field, as the page shows it."""
    value = one.default if one.default_factory is NO_DEFAULT else one.default_factory()
    group, _, inner = prefix.partition(".")
    files = [] if of_eval or not prefix else sorted((config_dir() / group).glob("*.yaml"))
    setting = [path for path in files if sets(path, f"{inner}{one.name}")]
    if value == MISSING or (files and setting == files):
        return "its file's"
    return f"{shown(value)}{MAYBE if setting else ''}"


def sets(path: Path, key: str) -> bool:
    """Whether a file of a group sets ``key`` of its section."""
    said = OmegaConf.load(path)
    return OmegaConf.select(said, key, throw_on_resolution_failure=False) is not None


def shown(value: Any) -> str:
    """A value as the page shows it."""
    if isinstance(value, list):
        names = (item.name if isinstance(item, Enum) else str(item) for item in value)
        return f"`[{','.join(names)}]`"
    if isinstance(value, Enum):
        return f"`{value.name}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    main()
