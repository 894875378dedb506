"""What Hydra loads by itself: the launcher and the sweepers, as thin as can be.

Hydra accepts plugins from the namespace package ``hydra_plugins`` only and imports this file in
every Hydra program on the machine, so nothing heavy may be imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class EleattLauncher(Launcher):
    """Runs every job as an ``eleatt-bench`` command line of its own."""

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

        return sweep(self.config, job_overrides, initial_job_idx)


class EleattGridSweeper(BasicSweeper):
    """Makes the grid of Hydra's own sweeper, but no folder: that comes with the first job."""

    def sweep(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None  # set up before
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (jobs,) = self.split_arguments(overrides, None)
        return [self.launcher.launch(jobs, initial_job_idx=0)]


class EleattTableSweeper(Sweeper):
    """Turns the table of the config into the runs it still lacks."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from eleatt_bench.sweeps.grid import sweep_tables

        assert self.launcher is not None  # set up before
        return sweep_tables(arguments, self.launcher)


for group, name, plugin, options in (
    ("hydra/launcher", "eleatt_bench", EleattLauncher, {}),
    ("hydra/sweeper", "eleatt_grid", EleattGridSweeper, {"max_batch_size": None, "params": None}),
    ("hydra/sweeper", "eleatt_table", EleattTableSweeper, {}),
):
    node = {"_target_": f"hydra_plugins.eleatt_bench.{plugin.__name__}", **options}
    ConfigStore.instance().store(group=group, name=name, node=node)
