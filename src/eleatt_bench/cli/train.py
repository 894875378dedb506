"""The verbs that Hydra runs: ``train`` and ``eval``, one run or a sweep of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hydra import main as hydra_main
from omegaconf import OmegaConf

from eleatt_bench.cli.arguments import Parser, check_no_table
from eleatt_bench.cli.offers import completing
from eleatt_bench.cli.offers import overrides as offered_overrides
from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import key_of, value_of
from eleatt_bench.common.locations import config_dir
from eleatt_bench.config import schema
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.mistakes import explain, is_hydras
from eleatt_bench.config.overrides import check_override
from eleatt_bench.config.setup import VERSION_BASE, hydra_ready, options, unread_help
from eleatt_bench.launch.engines import is_local
from eleatt_bench.launch.ranks import is_first
from eleatt_bench.runs.identity import is_place

THEN = {
    "--detach": "hydra/launcher=eleatt_detach",
    "--cancel": "hydra/launcher=eleatt_cancel",
}
"""The launcher of each flag about jobs on a cluster: submit and leave them, or end them."""

FLAGS = {  # those flags and Hydra's, with the number of values that each takes
    **dict.fromkeys(THEN, 0),
    "--multirun": 0,
    "--cfg": 1,
    "--resolve": 0,
    "--package": 1,
    "--info": 1,
    "--hydra-help": 0,
    "--help": 0,
}

_LONG = {"-h": "--help", "-m": "--multirun", "-c": "--cfg", "-p": "--package", "-i": "--info"}

HELP = """\
usage: eleatt-bench {verb} [KEY=VALUE ...] [-m [--detach | --cancel]] [--cfg job] [--config-dir DIR]

{what}

Choices:
{groups}

A setting is given as KEY=VALUE, e.g. {one}. At the top level there are:
  {keys}
docs/settings.md says what each of them means.

-m          makes a grid of values with commas, e.g. {several}
--detach    submits the jobs to a cluster (launcher=slurm or ray) and does not wait
--cancel    ends the jobs that the same command has submitted to a cluster
--cfg job   prints the settings that would be used, and stops
"""


def train(arguments: list[str]) -> int:
    """``eleatt-bench train``."""
    _offer("train", arguments)
    flags, overrides = split(arguments)
    if "--help" in flags:
        return _help(
            "train",
            ("data", "model", "optimizer", "scheduler", "trainer", "experiment", "launcher",
             "logger"),
            what="Train, test and record one run. A finished run answers from its record.",
            one="trainer.max_epochs=50",
            several="model=gru,eleatt_gru seed=0,1,2",
        )  # fmt: skip
    check_no_table("train", overrides)
    if _shown("train", flags, overrides):
        return 0
    config = None if flags else compose_checked(overrides, "train")  # before heavy imports
    if config is not None and _is_here(config):  # one run, not many, and nothing to be shown
        from eleatt_bench.training.run import train as train_one

        folder, record = train_one(config, overrides)
        if is_first():
            print(f"{_test(record)}  ({record['epochs']} epochs)  {folder.record}")
    else:
        run_hydra("train", flags or ["--multirun"], overrides)
    return 0


def _shown(verb: str, flags: Sequence[str], overrides: Sequence[str]) -> bool:
    """Print the settings of a run if ``--cfg job`` asks for them; whether it does.

    Hydra itself would print them before they are settled and checked.

    Raises:
        UserError: the settings are of several runs, the section does not exist, or --package comes
            without --cfg.
    """
    values = dict(pairwise([*flags, ""]))
    if values.get("--cfg") != "job":
        if "--package" in values and "--cfg" not in values:
            raise UserError("--package says which section --cfg shows: --cfg job --package trainer")
        return False
    if "--multirun" in flags:
        raise UserError("--cfg job shows the settings of one run: leave --multirun out")
    if any(key_of(word) == "run" and "," in word for word in overrides):
        raise UserError("--cfg job shows the settings of one run: name one, run=ID")
    shown: Any = compose_checked(overrides, verb)
    package = values.get("--package", "_global_")
    for name in [] if package == "_global_" else package.split("."):
        sections = {key: value for key, value in shown.items() if isinstance(value, dict)}
        if name not in sections:
            raise unknown("section", package, sections)
        shown = sections[name]
    print(OmegaConf.to_yaml(OmegaConf.create(shown)), end="")
    return True


def _is_here(config: Mapping[str, Any]) -> bool:
    """Whether this process does the work itself, instead of handing it to a cluster."""
    from eleatt_bench.training.environment import is_in_sweep

    return is_local(config) or is_in_sweep()


def eval(arguments: list[str]) -> int:  # noqa: A001  (the verb's name)
    """``eleatt-bench eval``."""
    _offer("eval", arguments)
    flags, overrides = split(arguments)
    if "--help" in flags:
        return _help(
            "eval",
            ("trainer", "launcher"),
            what="Test finished runs again, run=ID[,ID...], by default with the weights that were "
            "tested before.",
            one="trainer=gpu",
            several="run=ID,ID checkpoint=best,last",
        )
    _check_places(overrides)
    overrides = [_with_texts(override) for override in overrides]
    if _shown("eval", flags, overrides):
        return 0
    runs = next((value_of(o) for o in reversed(overrides) if key_of(o) == "run"), "")
    if "," in runs and "--multirun" not in flags:
        flags = ["--multirun", *flags]

    config = None if flags else compose_checked(overrides, "eval")
    if config is not None and _is_here(config):  # one run, not many, and nothing to be shown
        from eleatt_bench.training.run import evaluate, keep_evaluation

        folder, result = evaluate(config)
        if is_first():
            print(
                f"{folder.run_id}  {result['checkpoint']} checkpoint  {_test(result)}"
                f"{_recorded(folder.read() or {}, result)}",
                flush=True,
            )
            keep_evaluation(folder, result)
    else:
        run_hydra("eval", flags or ["--multirun"], overrides)
    return 0


def _with_texts(override: str) -> str:
    """``run=ID,ID`` with each name in quotes: some beginnings of hashes are numbers, as 12e4 is."""
    said, _, value = override.partition("=")
    if key_of(said) != "run" or not re.fullmatch(r"[\w.,-]+", value):
        return override
    return f"{said}={','.join(map(repr, value.split(',')))}"


def _check_places(overrides: Sequence[str]) -> None:
    """Refuse settings of how a run is trained: they have no effect on a finished run."""
    for override in overrides:
        key, value = key_of(override), value_of(override)
        whole = key == "trainer" and value.startswith("{")  # not the name of a file
        if whole or (key.startswith("trainer.") and not is_place(key)):
            raise UserError(
                f"{override}: a run is tested as it was trained; of trainer only where that is "
                "done can be said, such as trainer=gpu"
            )


def _offer(name: str, arguments: Sequence[str]) -> None:
    """During tab completion, tell the shell what may follow ``arguments``, and end the process."""
    if completing():
        parser = Parser(f"eleatt-bench {name}", add_help=False)
        short = {flag: name for name, flag in _LONG.items() if flag != "--help"}
        for flag, values in FLAGS.items():
            names = [*([short[flag]] if flag in short else []), flag]
            parser.add_argument(*names, action="store" if values else "store_true")
        parser.add_argument("overrides", nargs="*", offers=offered_overrides(name))
        parser.parse(arguments)


def compose_checked(overrides: Sequence[str], name: str) -> dict[str, Any]:
    """The checked configuration that typed ``overrides`` compose; for ``train`` it is cached."""
    composer = Composer(name)
    if name != "train":  # each test is of another run, so a cache would not help
        with hydra_ready():
            return composer.typed(overrides)
    with composer:
        return composer.typed(overrides)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags with their values, and the overrides; an unknown flag raises `UserError`."""
    flags: list[str] = []
    overrides: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        name, *value = argument.split("=", 1)
        name = _LONG.get(name, name)
        if name not in FLAGS:
            raise unknown("flag", name, FLAGS)
        flags.append(name)
        if FLAGS[name]:
            given = value[0] if value else next(rest, None)
            if given is None:
                raise UserError(f"{name} needs a value")
            flags.append(given)
    return flags, overrides


def run_hydra(name: str, flags: Sequence[str], overrides: Sequence[str]) -> None:
    """Let Hydra sweep over what ``overrides`` compose with ``configs/<name>.yaml``, or show it.

    By default Hydra prints its errors and exits. Here they are raised, so that they are explained.
    """
    with hydra_ready():  # once for all of them
        for override in overrides:
            check_override(override, name)
    then = [THEN[flag] for flag in flags if flag in THEN]
    if len(then) > 1:
        raise UserError("--detach leaves jobs alone and --cancel ends them: give one of the two")
    flags = [flag for flag in flags if flag not in THEN]
    if then and "--multirun" not in flags:
        flags = ["--multirun", *flags]
    own_argv = sys.argv
    schema.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise, so that the error can be explained
    sweeps = "--multirun" in flags and not any("hydra/sweeper=" in o for o in overrides)
    grid = ["hydra/sweeper=eleatt_grid"] if sweeps else []
    sys.argv = [own_argv[0], *flags, *grid, *then, *overrides]
    try:
        with unread_help():
            hydra_main(str(config_dir()), name, VERSION_BASE)(lambda cfg: None)()
    except Exception as error:
        if isinstance(error, UserError) or not is_hydras(error):
            raise
        raise explain(error, overrides, name) from error
    finally:
        sys.argv = own_argv


def _test(record: Mapping[str, Any]) -> str:
    """The test accuracies, in words."""
    test: Mapping[str, float] = record["metrics"]["test"]
    return "test " + "  ".join(f"{k} {v:.2%}" for k, v in test.items() if k != "loss")


def _recorded(record: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """The accuracies in the record, if the same weights have others now; else empty."""
    if result["checkpoint"] != record.get("selection", "best") or _test(result) == _test(record):
        return ""
    return f"; its record has {_test(record)}"


def _help(verb: str, groups: Sequence[str], **said: str) -> int:
    lines = [f"  {group + '=':<12} {' | '.join(options(group))}" for group in groups]
    sections = schema.names_at(schema.SCHEMAS[verb], []) or []
    keys = ", ".join(name + "." * (schema.schema_at(schema.SCHEMAS[verb], [name]) is not None)
                     for name in sections)  # fmt: skip
    print(HELP.format(verb=verb, groups="\n".join(lines), keys=keys, **said), end="")
    return 0
