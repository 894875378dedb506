"""From a configuration to the run's folder, and from the folder back to what was trained in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import folder_at
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import Pretraining, source_of
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import labelled
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.runs.identity import RECIPE_VERSION, is_place
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.runs.wanted import WantedRun, wanted

Config = Mapping[str, Any]


def wanted_run(
    overrides: Sequence[str], config: Config, composer: Composer
) -> tuple[RunFolder, WantedRun]:
    """The run that ``overrides`` compose, as ``config``, its pre-training, and its folder.

    Raises:
        UserError: a data set is not prepared, or a pre-training's layers take other frames than
            this run has.
    """
    source, before = source_of(config, composer, is_place), None
    if source is not None:
        before = wanted(source.overrides, source.config, _digest(source.config))
        _check_frames(config, source)
    this = wanted(overrides, config, _digest(config), before)
    return this.folder(folder_at(config["runs_dir"])), this


def _digest(config: Config) -> str:
    data_dir, name = folder_at(config["data_dir"]), config["data"]["name"]
    digest = catalog.data_digest(data_dir, name)
    if digest is None:
        digest = catalog.open_store(data_dir, name).content_digest  # says what to do
    return digest


def _check_frames(config: Config, source: Pretraining) -> None:
    """Before hours are spent on it: do the source's layers take frames of this size?"""
    ours, theirs = _frame_size(config), _frame_size(source.config)
    if ours != theirs:
        raise UserError(
            f"pretraining={config['pretraining']}: its layers take {theirs} values a frame, "
            f"{config['data']['name']} has {ours}; choose an experiment whose frames are alike"
        )


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
        UserError: no such run, or none that has a record; it was trained by another recipe, or on
            other data than those in ``data_dir``.
    """
    folder = find_run(runs_dir, name)
    record = folder.read()
    if record is None or not folder.config.exists():
        raise UserError(f"Run {folder.run_id} has no record. Train it again: it will continue")
    recipe = record["identity"]["recipe_version"]
    if recipe != RECIPE_VERSION:
        raise UserError(
            f"{folder.run_id} was trained by recipe {recipe}, this program has recipe "
            f"{RECIPE_VERSION}, whose numbers differ: use the commit that trained it "
            f"({record['git_commit'] or 'not recorded'}), or train it again: {record['command']}"
        )
    config: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        OmegaConf.load(folder.config), resolve=True
    )
    store = catalog.open_store(data_dir, config["data"]["name"])
    if store.content_digest != record["data_digest"]:
        raise UserError(
            f"{store.path} holds other data than {folder.run_id} was trained on "
            f"(digest {store.content_digest[:12]}, not {record['data_digest'][:12]})"
        )
    return folder, config, labelled(store, config["data"]["protocol"])
