"""A sweep as a whole: the settings that all its jobs share, and its name on a cluster."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import config_flags, folder_at
from eleatt_bench.launch.engines import cancel as cancel_all
from eleatt_bench.launch.engines import is_local
from eleatt_bench.launch.settings import SWEEPS, is_about_launcher, without_force


class Sweep(NamedTuple):
    """The settings that all jobs of a sweep share, and the folder of its logs.

    ``name`` is the name of the jobs on a cluster. The same ``command`` always has the same name.
    """

    verb: str
    config: dict[str, Any]
    name: str
    logs: Path
    command: tuple[str, ...]

    @property
    def runs_dir(self) -> Path:
        return folder_at(self.config["runs_dir"])


def sweep_of(hydra: DictConfig) -> Sweep:
    """The sweep whose configuration, Hydra's section included, is ``hydra``."""
    config: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        OmegaConf.masked_copy(hydra, [str(k) for k in hydra if k not in ("hydra", "table")]),
        resolve=True,
        enum_to_str=True,
    )
    verb, runs_dir = str(hydra.hydra.job.name), folder_at(config["runs_dir"])
    said = [word for word in hydra.hydra.overrides.task if not is_about_launcher(word)]
    named = [w.partition("=")[2] for key in ("table=", "experiment=") for w in said
             if w.startswith(key)]  # fmt: skip
    label = re.sub(r"[^A-Za-z0-9_]+", "_", [*named, verb][0])[:40]
    # People begin a sweep with force=true and look at it without: the name must be the same.
    told = json.dumps([verb, without_force(said), str(runs_dir.resolve())])
    name = f"{label}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    logs = Path(hydra.hydra.sweep.dir) if is_local(config) else runs_dir / SWEEPS / name
    asked = hydra.hydra.overrides
    own = [w for w in asked.hydra if w.startswith("hydra/sweeper=") and "grid" not in w]
    command = (verb, "-m", *config_flags(), *own, *asked.task)
    return Sweep(verb, config, name, logs, command)


def cancel(hydra: DictConfig) -> None:
    """End the jobs that the same command has submitted to a cluster.

    Raises:
        UserError: the launcher is not one of a cluster, or the cluster does not end them.
    """
    this = sweep_of(hydra)
    check_cluster(this, "--cancel")
    count = cancel_all(this.config, folder=this.runs_dir / SWEEPS, name=this.name)
    if count:
        print(f"{count:,} jobs of {this.name} were queued or running, and are ended")
    else:
        on_ray = this.config["launcher"]["name"] == "ray"
        more = ". Jobs of a command that stays end with that" if on_ray else ""
        print(f"Nothing that was submitted for {this.name} is queued or running{more}")


def check_cluster(this: Sweep, flag: str) -> None:
    if is_local(this.config):
        raise UserError(
            f"{flag} is for jobs on a cluster, launcher=slurm or ray; those on this machine end "
            "with the command that started them"
        )
