"""One run from its configuration to its record; torch is only imported if there is work to do."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import naming, write_text
from eleatt_bench.common.locations import folder_at
from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog, completeness
from eleatt_bench.data.protocols import labelled
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.launch.process import PLANNED
from eleatt_bench.launch.ranks import is_first
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.identity import is_place
from eleatt_bench.runs.record import CONTINUED, Record, RunFolder, check_finished
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.training.environment import git_commit, is_in_sweep, versions
from eleatt_bench.training.folder import check_pretraining, reopen, wanted_run
from eleatt_bench.training.loggers.ready import check_ready
from eleatt_bench.training.progress import Display, display


def train(config: dict[str, Any], overrides: Sequence[str]) -> tuple[RunFolder, Record]:
    """Do the run of ``config``, which ``overrides`` compose, unless it is done; folder and record.

    An interrupted run continues from its last checkpoint; ``force`` begins anew. If another process
    works on this run, wait for it and take its result. The run whose weights this run begins with,
    if any, is done first.

    Raises:
        HeldElsewhereError: in a sweep, which has other work meanwhile, another process works on it.
        UserError: the sweep that started this process planned another run.
    """
    composer = Composer()
    folder, this = wanted_run(overrides, config, composer)
    _check_planned(folder)
    check_pretraining(folder, this, force=config["force"])
    return _train(config, folder, this, composer)


def _check_planned(folder: RunFolder) -> None:
    planned = os.environ.pop(PLANNED, folder.run_id)
    if planned != folder.run_id:
        raise UserError(
            f"This job was planned as {planned}; what its settings compose now is {folder.run_id}: "
            "a config, the data or the program changed after the sweep began. Nothing was "
            "trained. Change it back, or start the sweep again"
        )


def _train(
    config: dict[str, Any], folder: RunFolder, this: WantedRun, composer: Composer
) -> tuple[RunFolder, Record]:
    _check_record(config, folder)
    record = _finished(config, folder)
    if record is not None:  # no lock is needed to read: the folder may be somebody else's
        return folder, record
    before = None
    if this.before is not None:
        before = this.before.folder(folder.path.parent)
        _train(composer.config(this.before.overrides), before, this.before, composer)
    if not is_first():  # the first process holds the lock and writes
        _wait_for_each_other()
        return folder, _work(config, folder, {}, _opened(config, this), before)
    waiting = f"{folder.run_id} is being trained by another process; waiting"
    with naming(folder.path), folder.held(on_wait=waiting, wait=not is_in_sweep()):
        _check_record(config, folder)
        record = _finished(config, folder)
        if record is not None:
            return folder, record
        check_ready(config)  # before anything is written or cleared
        store = _opened(config, this)
        if config["force"]:
            _clear(config, folder, store, before)
        _check_attributes(folder, store)
        head = _head(folder, this, store)
        write_text(folder.config, OmegaConf.to_yaml(OmegaConf.create(config)))
        folder.write({**head, "status": "running"})
        _wait_for_each_other()
        return folder, _work(config, folder, head, store, before)


def _clear(
    config: dict[str, Any], folder: RunFolder, store: SequenceStore, before: RunFolder | None
) -> None:
    """Remove what an earlier training left in ``folder``, once nothing hinders the new one.

    Raises:
        UserError: the new one cannot begin.
    """
    if folder.record.exists() or folder.checkpoints.exists():
        from eleatt_bench.training.rehearsal import check_begins

        check_begins(config, labelled(store, config["data"]["protocol"]), folder, before)
    for sentence in folder.clear():
        print(sentence)


def _wait_for_each_other() -> None:
    """Wait for the other processes of this run, if they have done a pre-training together.

    The first process still had to write its record and to clear the folder of this run.
    """
    if (torch := sys.modules.get("torch")) is not None:
        dist = torch.distributed
        if dist.is_available() and dist.is_initialized():
            from eleatt_bench.training.fit import as_user_errors

            with as_user_errors():
                dist.barrier()


def _opened(config: Mapping[str, Any], this: WantedRun) -> SequenceStore:
    """The store of ``this`` run, which may have been named after its data hours ago.

    Raises:
        UserError: the store holds other data now.
    """
    store = catalog.open_store(folder_at(config["data_dir"]), config["data"]["name"])
    if store.content_digest != this.identity["data"]["digest"]:
        raise UserError(
            f"{store.path} was prepared anew after this command began, and holds other data now: "
            "give the command again, and the run of these data is another one"
        )
    return store


def _check_attributes(folder: RunFolder, store: SequenceStore) -> None:
    """Refuse to continue a run on frames that mean something else now: its name does not tell."""
    begun = any((folder.checkpoints / name).exists() for name in CONTINUED)
    if begun and not store.was_seen_by(folder.read() or {}):
        raise UserError(
            f"{store.path} has the data with which {folder.run_id} began, but other classes, "
            "another layout or another origin: prepare it as it was then, or begin anew with "
            "force=true"
        )


def _check_record(config: Mapping[str, Any], folder: RunFolder) -> None:
    """Refuse a run whose record is damaged, unless ``force`` says that it may be lost."""
    damage = folder.damage()
    if damage and not config["force"]:
        raise UserError(damage)


def _finished(config: Mapping[str, Any], folder: RunFolder) -> Record | None:
    """The record of the run if it is finished, unless ``force`` trains it anew."""
    record = folder.read()
    return record if says_finished(record) and not config["force"] else None


def _work(
    config: dict[str, Any],
    folder: RunFolder,
    head: Mapping[str, Any],
    store: SequenceStore,
    before: RunFolder | None,
) -> Record:
    """Train and test; only the first process has a ``head``, and writes the record."""
    with display(folder.log) as show:
        if head:
            show.say(folder.run_id)
            show.log(head["command"])
        try:
            result = _fit(config, folder, show, store, before)
        except Exception as error:
            show.log(traceback.format_exc())
            if head:
                folder.write({**head, "status": "failed", "error": str(error)})
            raise
        record = {**head, "status": "finished", **result}
        if head:
            folder.write(record)
            show.log(f"finished: test {result['metrics']['test']}")
        return record


def _fit(
    config: dict[str, Any],
    folder: RunFolder,
    show: Display,
    store: SequenceStore,
    before: RunFolder | None,
) -> dict[str, Any]:
    from eleatt_bench.training.fit import fit

    if remark := completeness.remark(store.name, len(store.labels)):
        show.say(f"Data set {store.name}: {remark}")
    return fit(config, labelled(store, config["data"]["protocol"]), folder, show, before)


def _head(folder: RunFolder, this: WantedRun, store: SequenceStore) -> Record:
    """The part of a record that is known before the run starts."""
    identity = this.identity
    return {
        "run_id": folder.run_id,
        "status": "running",
        "identity": dict(identity),
        "overrides": list(this.overrides),
        "command": this.command,
        "seed": identity["seed"],
        **({"pretraining": this.before.run_id} if this.before is not None else {}),
        "data_digest": identity["data"]["digest"],
        "attributes_digest": store.attributes_digest,
        "inputs_digest": store.inputs_digest,
        "versions": versions(),
        "git_commit": git_commit(),
    }


def evaluate(asked: Mapping[str, Any]) -> tuple[RunFolder, Record]:
    """Test the run ``asked["run"]`` again as it was trained, on the device that ``asked`` says.

    The weights are those of ``asked["checkpoint"]``, by default those that the run was tested with.
    """
    folder, config, store = reopen(
        folder_at(asked["runs_dir"]), asked["run"], folder_at(asked["data_dir"])
    )
    check_finished(folder)
    for key in asked["trainer"]:
        if is_place(f"trainer.{key}"):
            config["trainer"][key] = asked["trainer"][key]
    config["model"]["backend"] = "auto"
    checkpoint = asked["checkpoint"] or config["trainer"]["selection"]
    from eleatt_bench.training.fit import test

    result = {
        "run_id": folder.run_id,
        "checkpoint": checkpoint,
        **test(config, store, folder, checkpoint),
        "versions": versions(),
        "git_commit": git_commit(),
    }
    return folder, result


def keep_evaluation(folder: RunFolder, result: Record) -> None:
    """Write what `evaluate` found to ``eval-<checkpoint>.json`` in the run's folder."""
    path = folder.evaluation(result["checkpoint"])
    write_text(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
