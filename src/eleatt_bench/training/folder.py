"""From a configuration to the run's folder, and from the folder back to what was trained in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from omegaconf.errors import OmegaConfBaseException

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import folder_at
from eleatt_bench.common.nested import leaves
from eleatt_bench.config.compose import config_of_run
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import Pretraining, source_of
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import Split, labelled, seen_before, sides, split
from eleatt_bench.data.store import Integers, SequenceStore
from eleatt_bench.runs.export import tested_weights
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.identity import RECIPE_VERSION, identity, is_place
from eleatt_bench.runs.record import CONTINUED, Record, RunFolder, find_run, record_of
from eleatt_bench.runs.wanted import WantedRun, wanted

Config = Mapping[str, Any]


def wanted_run(
    overrides: Sequence[str], config: Config, composer: Composer
) -> tuple[RunFolder, WantedRun]:
    """The folder of the run of ``config``, which ``overrides`` compose, and this run itself.

    Raises:
        UserError: a data set is not prepared; or the pre-training's layers take frames of another
            size than this run has, or have learnt from what this run tests on.
    """
    source, before = source_of(config, composer, is_place), None
    if source is not None:
        before = wanted(source.overrides, source.config, _digest(source.config))
        _check_frames(config, source)
        _check_unseen(config, source)
    this = wanted(overrides, config, _digest(config), before)
    return this.folder(folder_at(config["runs_dir"])), this


def check_pretraining(folder: RunFolder, this: WantedRun, *, force: bool = False) -> None:
    """Check, before many jobs fail for it, that what ``this`` run begins with has its weights here.

    Raises:
        UserError: the pre-training is finished and lacks them; the message says what helps.
    """
    if this.before is not None and (force or not _goes_on(folder)):
        _check_weights(this.before.folder(folder.path.parent))


def _digest(config: Config) -> str:
    data_dir, name = folder_at(config["data_dir"]), config["data"]["name"]
    digest = catalog.data_digest(data_dir, name)
    if digest is None:
        digest = catalog.open_store(data_dir, name).content_digest  # says what to do
    return digest


def _check_frames(config: Config, source: Pretraining) -> None:
    """Check, before hours are spent on it, that the source's layers take frames of this size."""
    ours, theirs = _frame_size(config), _frame_size(source.config)
    if ours != theirs:
        raise UserError(
            f"pretraining={config['pretraining']}: its layers take {theirs} values a frame, "
            f"{config['data']['name']} has {ours}; choose an experiment whose frames are alike"
        )


def _check_unseen(config: Config, source: Pretraining) -> None:
    """Check, before hours are spent on it, that the source learns from nothing tested here.

    Nor must it learn from a sequence that this run validates on.
    """
    name, data = config["pretraining"], config["data"]
    ours, theirs = _fold(config), _fold(source.config)
    learnt, tested, such = _learnt("test", ours, theirs)
    if learnt:
        raise UserError(
            f"pretraining={name} learns from {learnt:,} of the {tested:,} "
            f"sequences that this run tests on, such as {such}: choose an experiment that does not"
        )
    if not _learnt("learn", ours, theirs)[0]:
        return
    (store, here), (other, there) = _split(config), _split(source.config)
    seen = seen_before(store, here.val, other, there.train)
    if len(seen):
        raise UserError(
            f"pretraining={name} learns from {len(seen):,} of the {len(here.val):,} sequences that "
            f"this run validates on, such as {store.names[seen[0]]}: choose one on {data['name']} "
            f"with data.protocol={data['protocol']}, which leaves them out"
        )


def _goes_on(folder: RunFolder) -> bool:
    """Whether the run needs no weights of another one any more."""
    begun = any((folder.checkpoints / name).exists() for name in CONTINUED)
    return begun or says_finished(folder.read())


def _check_weights(source: RunFolder) -> None:
    record = source.read()
    if not says_finished(record):  # then it is trained first
        return
    if not tested_weights(source, record).exists():
        raise UserError(
            f"{source.run_id}, whose weights this run begins with, was published or taken over "
            f"without them: train it again first: {record['command']} force=true"
        )


_Fold = tuple[Path, str, str, int]
"""The folder of the data, their name, a protocol and its fold."""


def _fold(config: Config) -> _Fold:
    data = config["data"]
    return folder_at(config["data_dir"]), data["name"], data["protocol"], data["fold"]


@cache
def _learnt(part: Literal["test", "learn"], ours: _Fold, theirs: _Fold) -> tuple[int, int, str]:
    """How many of a ``part`` of ``ours`` ``theirs`` learns from, of how many, and one's name."""
    stores = [catalog.open_store(folder, name) for folder, name, _, _ in (ours, theirs)]
    own: Integers = getattr(sides(stores[0], *ours[2:]), part)
    seen = seen_before(stores[0], own, stores[1], sides(stores[1], *theirs[2:]).learn)
    return len(seen), len(own), stores[0].names[seen[0]] if len(seen) else ""


def _split(config: Config) -> tuple[SequenceStore, Split]:
    store, data = catalog.open_store(*_fold(config)[:2]), config["data"]
    drawn = {key: data[key] for key in ("fold", "val_fraction", "val_seed")}
    return store, split(store, data["protocol"], **drawn)


def _frame_size(config: Config) -> int:
    if config["data"]["sequence"] != "frames":
        return 1
    return _width(folder_at(config["data_dir"]), config["data"]["name"])


@cache
def _width(data_dir: Path, name: str) -> int:
    return catalog.open_store(data_dir, name).input_size


def reopen(
    runs_dir: Path, name: str, data_dir: Path
) -> tuple[RunFolder, dict[str, Any], SequenceStore]:
    """The run called ``name``, its configuration, and its data with its protocol's labels.

    Raises:
        UserError: there is no such run, or it has no record; or it was trained by another recipe,
            or on other data than those in ``data_dir``.
    """
    folder = find_run(runs_dir, name)
    record = record_of(folder)
    recipe = record["identity"]["recipe_version"]
    if recipe != RECIPE_VERSION:
        raise UserError(
            f"{folder.run_id} was trained by recipe {recipe}, this program has recipe "
            f"{RECIPE_VERSION}, whose numbers differ: use the commit that trained it "
            f"({record.get('git_commit') or 'not recorded'}), or train it again: "
            f"{record['command']}"
        )
    config = _config(folder, record)
    store = catalog.open_store(data_dir, config["data"]["name"])
    if store.content_digest != record["data_digest"]:
        raise UserError(
            f"{store.path} holds other data than {folder.run_id} was trained on "
            f"(digest {store.content_digest[:12]}, not {record['data_digest'][:12]})"
        )
    if not store.was_seen_by(record):
        raise UserError(
            f"{store.path} has the data that {folder.run_id} was trained on, but other classes, "
            "another layout or another origin: prepare it as it was then"
        )
    return folder, config, labelled(store, config["data"]["protocol"])


def _config(folder: RunFolder, record: Record) -> dict[str, Any]:
    """The configuration of a run, once it is known to agree with the run's record.

    Settings that came after the run have their defaults.

    Raises:
        UserError: there is none, it is damaged, or somebody changed it.
    """
    again = f"Train the run anew: {record['command']} force=true"
    read, damage = folder.read_config()
    if read is None:
        raise UserError(damage or f"{folder.config} is gone. {again}")
    try:
        config = config_of_run(read)
    except (OmegaConfBaseException, UserError) as error:
        raise UserError(
            f"{folder.config} is not what this run was trained with: "
            f"{str(error).splitlines()[0]}. {again}"
        ) from error
    recorded = record["identity"]
    said = identity(config, recorded["data"]["digest"], recorded.get("pretraining"))
    if said["data"].get("splits") != recorded["data"].get("splits"):
        raise UserError(
            f"The splits of {config['data']['protocol']} have changed since {folder.run_id} was "
            f"trained: use the commit that trained it ({record.get('git_commit') or 'not recorded'}"
            f"), or train another run: {record['command']}"
        )
    now, then = (dict(leaves(one)) for one in (said, recorded))
    changes = [
        f"{key} is {_text(now, key)}, and was {_text(then, key)}"
        for key in sorted(now.keys() | then.keys())
        if _text(now, key) != _text(then, key)
    ]
    if changes:
        raise UserError(
            f"{folder.config} was changed after {folder.run_id} was trained: "
            f"{'; '.join(changes)}. Change it back; a network with other settings is another run"
        )
    return config


def _text(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], sort_keys=True) if key in values else "not set"
