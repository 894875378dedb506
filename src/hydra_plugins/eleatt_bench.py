"""What Hydra loads by itself: launcher, sweepers, search path; all as thin as can be.

Hydra accepts plugins from the namespace package ``hydra_plugins`` only and imports this file in
every Hydra program on the machine, so nothing heavy may be imported here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class EleattLauncher(Launcher):
    """Runs every job as an ``eleatt-bench`` command line of its own.

    ``then`` says what to do on a cluster: submit jobs and ``wait`` for them, submit and leave them
    (``detach``), or ``cancel`` those that were submitted before.
    """

    def __init__(self, then: str = "wait") -> None:
        self.then = then

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from eleatt_bench.common.locations import folder_at

        self.config = config
        OmegaConf.update(config, "runs_dir", str(folder_at(config.runs_dir)))  # for hydra.sweep.dir

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from eleatt_bench.sweeps.grid import sweep

        return sweep(self.config, job_overrides, initial_job_idx, detach=self.then == "detach")

    def cancels(self) -> bool:
        """End the submitted jobs if ``then`` says so; whether it does."""
        from eleatt_bench.sweeps.sweep import cancel

        if self.then == "cancel":
            cancel(self.config)
        return self.then == "cancel"


class EleattGridSweeper(BasicSweeper):
    """Makes the grid of Hydra's own sweeper, but not its folder: the first job makes that."""

    def sweep(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None  # set up before
        assert isinstance(self.launcher, EleattLauncher)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        if self.launcher.cancels():
            return []
        (jobs,) = self.split_arguments(overrides, None)
        return [self.launcher.launch(jobs, initial_job_idx=0)]


class EleattTableSweeper(Sweeper):
    """Does the runs that the table of the config still lacks, look by look if ``until_decided``."""

    def __init__(self, until_decided: bool = False) -> None:
        self.until_decided = until_decided

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from eleatt_bench.sweeps.lacking import sweep_tables

        assert isinstance(self.launcher, EleattLauncher)  # set up before
        if self.launcher.cancels():
            return []
        return sweep_tables(arguments, self.launcher, self.until_decided)


class EleattSearchPath(SearchPathPlugin):
    """Adds the user's own folders of configs to each search path that has this project's."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if not os.environ.get("ELEATT_CONFIGS"):
            return
        from eleatt_bench.common.locations import config_dir, config_dirs

        ours = {str(config_dir()), f"file://{config_dir()}"}
        if any(element.path in ours for element in search_path.get_path()):
            for folder in config_dirs():
                search_path.append("eleatt-bench", f"file://{folder}")


for group, name, plugin, options in (
    ("hydra/launcher", "eleatt_bench", EleattLauncher, {}),
    ("hydra/launcher", "eleatt_detach", EleattLauncher, {"then": "detach"}),
    ("hydra/launcher", "eleatt_cancel", EleattLauncher, {"then": "cancel"}),
    ("hydra/sweeper", "eleatt_grid", EleattGridSweeper, {"max_batch_size": None, "params": None}),
    ("hydra/sweeper", "eleatt_table", EleattTableSweeper, {}),
    ("hydra/sweeper", "eleatt_until_decided", EleattTableSweeper, {"until_decided": True}),
):
    node = {"_target_": f"hydra_plugins.eleatt_bench.{plugin.__name__}", **options}
    ConfigStore.instance().store(group=group, name=name, node=node)
