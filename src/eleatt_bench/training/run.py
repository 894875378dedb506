"""One run from its configuration to its record; torch is only imported if there is work to do."""

from __future__ import annotations

import json
import shlex
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import write_text
from eleatt_bench.config import schema
from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog, completeness
from eleatt_bench.data.protocols import labelled
from eleatt_bench.runs.identity import run_id
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.training.environment import git_commit, is_in_sweep, is_rank_zero, versions
from eleatt_bench.training.folder import reopen, run_folder
from eleatt_bench.training.progress import Display, display


def train(cfg: DictConfig, overrides: Sequence[str]) -> tuple[RunFolder, Record]:
    """Do the run that ``cfg`` describes, unless it is done already; its folder and record.

    An interrupted run continues from its last checkpoint; ``force`` begins anew. If another
    process is at this very run, wait for it and take its result; in a sweep, which has other things
    to do meanwhile, `HeldElsewhereError` is raised instead. The run whose weights it begins
    with, if any, is done before.
    """
    config = schema.plain(cfg)
    folder, this, source = run_folder(config, Composer())
    weights = None
    if source is not None and _finished(config, folder) is None:
        before, _ = train(OmegaConf.create(source.config), source.overrides)
        weights = before.checkpoints / f"{source.config['trainer']['selection']}.ckpt"
    if not is_rank_zero():  # the first process holds the lock and writes
        return folder, _finished(config, folder) or _work(config, folder, {}, weights)
    waiting = f"{folder.run_id} is being trained by another process; waiting"
    with _writing(folder), folder.held(on_wait=waiting, wait=not is_in_sweep()):
        record = _finished(config, folder)
        if record is not None:
            return folder, record
        if config["force"]:
            folder.clear()
        head = _head(folder, this, overrides)
        write_text(folder.config, OmegaConf.to_yaml(OmegaConf.create(config)))
        folder.write({**head, "status": "running"})
        return folder, _work(config, folder, head, weights)


@contextmanager
def _writing(folder: RunFolder) -> Iterator[None]:
    """Say of a full disk, or of one that may not be written to, where it is and what helps."""
    try:
        yield
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT, EROFS, EACCES, EPERM):
            raise
        raise UserError(
            f"Cannot write to {error.filename or folder.path}: {error.strerror}. Mend that, or "
            "choose another folder with runs_dir=FOLDER; the same command continues the run"
        ) from error


def _finished(config: Mapping[str, Any], folder: RunFolder) -> Record | None:
    """The record of the run if it is finished and good enough."""
    record = folder.read()
    if config["force"] or record is None or record["status"] != "finished":
        return None
    return record


def _work(
    config: dict[str, Any], folder: RunFolder, head: Mapping[str, Any], weights: Path | None
) -> Record:
    """Train and test; the record is written by the first process alone."""
    with display(folder.log) as show:
        if head:
            show.say(folder.run_id)
            show.log(head["command"])
        try:
            result = _fit(config, folder, show, weights)
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
    config: dict[str, Any], folder: RunFolder, show: Display, weights: Path | None
) -> dict[str, Any]:
    from eleatt_bench.training.fit import fit

    store = catalog.open_store(Path(config["data_dir"]), config["data"]["name"])
    if remark := completeness.remark(store.name, len(store.labels)):
        show.say(f"Data set {store.name}: {remark} with published results")
    return fit(config, labelled(store, config["data"]["protocol"]), folder, show, weights)


def _head(folder: RunFolder, this: Mapping[str, Any], overrides: Sequence[str]) -> Record:
    """What is known of a run before it starts."""
    return {
        "run_id": folder.run_id,
        "status": "running",
        "identity": dict(this),
        "overrides": list(overrides),
        "command": command(["train", *overrides]),
        "seed": this["seed"],
        **({"pretraining": run_id(this["pretraining"])} if "pretraining" in this else {}),
        "data_digest": this["data"]["digest"],
        "versions": versions(),
        "git_commit": git_commit(),
    }


def command(arguments: Sequence[str]) -> str:
    """The command line, as one would paste it into a shell."""
    return shlex.join(["eleatt-bench", *arguments])


def evaluate(cfg: DictConfig) -> tuple[RunFolder, Record]:
    """Test the run ``cfg.run`` again with its own configuration on the device that ``cfg`` says.

    The result is also written to ``eval-<checkpoint>.json`` in the run's folder.
    """
    asked = schema.plain(cfg)
    folder, config, store = reopen(Path(asked["runs_dir"]), asked["run"], Path(asked["data_dir"]))
    for key in ("accelerator", "devices", "strategy", "num_threads"):
        config["trainer"][key] = asked["trainer"][key]
    config["model"]["backend"] = "auto"
    from eleatt_bench.training.fit import test

    result = {
        "run_id": folder.run_id,
        "checkpoint": asked["checkpoint"],
        **test(config, store, folder, asked["checkpoint"]),
        "versions": versions(),
        "git_commit": git_commit(),
    }
    if is_rank_zero():
        path = folder.path / f"eval-{asked['checkpoint']}.json"
        write_text(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return folder, result
