"""A report about small real runs, some of them failed or damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
import pytest

from eleatt_bench.config.compose import compose_config
from eleatt_bench.report.site import write_site
from eleatt_bench.report.site.charts import Chart
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.plan import plans
from eleatt_bench.training.run import train

SMALL = ["model.hidden_size=4", "trainer.max_epochs=3"]
FAILED, DAMAGED, UNREADABLE = (f"digits-gru-seed{k}-00000000000{k}" for k in (7, 8, 9))
ERROR = "<script>document.title = 'taken'</script> & so on"


@pytest.fixture(scope="session")
def site(once: Callable[..., Path]) -> Path:
    """The folder ``report`` beside ``runs`` and ``data``; its table4 has no runs."""
    return once("site", _made) / "report"


def _made(folder: Path) -> None:
    where = [f"data_dir={folder / 'data'}", f"runs_dir={folder / 'runs'}"]
    for model in ("gru", "eleatt_gru"):
        for seed in (0, 1):
            said = ["experiment=digits", f"model={model}", f"seed={seed}", *SMALL]
            train(compose_config([*said, *where, "trainer.num_threads=1"]), said)
    _harm(folder / "runs")
    asked = [*SMALL, *where, "table.seeds=[0,1]"]
    made = [*plans("digits", asked), *plans("table4", where)]
    assert write_site(made, folder / "report") == 7


def _harm(runs: Path) -> None:
    """Add three runs: one failed, one with damaged files, one with half a record and no epochs."""
    whole = next(path for path in sorted(runs.iterdir()) if "-gru-seed0" in path.name)
    for name in (FAILED, DAMAGED, UNREADABLE):
        shutil.copytree(whole, runs / name)
    folder = RunFolder(runs, FAILED)
    record = json.loads(folder.record.read_text())
    record["identity"]["recipe_version"] = 1  # the names of earlier versions are not checked
    kept = ("identity", "overrides", "command", "seed", "data_digest")
    shutil.rmtree(folder.tensorboard)
    folder.predictions.unlink()
    folder.write({"run_id": FAILED, "status": "failed", "error": ERROR}
                 | {key: record[key] for key in kept})  # fmt: skip
    damaged = RunFolder(runs, DAMAGED)
    damaged.write(record | {"run_id": DAMAGED})
    damaged.predictions.write_bytes(b"half of")
    damaged.epochs.write_bytes(damaged.epochs.read_bytes()[:-3])
    unreadable = RunFolder(runs, UNREADABLE)
    unreadable.record.write_text('{"status": ')
    unreadable.epochs.unlink()  # as if an earlier version had made it


@pytest.fixture
def check() -> Callable[[Chart], None]:
    """Check that JSON can hold a chart and that Plotly, which refuses unknown keys, takes it."""

    def check(chart: Chart) -> None:
        json.dumps({"data": chart.data, "layout": chart.layout}, allow_nan=False)
        go.Figure({"data": chart.data, "layout": chart.layout})
        assert chart.title
        assert chart.says

    return check
