"""The plain loop is the network it is held against; epochs are measured, and the page has them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from eleatt_bench.config.compose import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import labelled
from eleatt_bench.data.transforms import Transforms
from eleatt_bench.nn.convert import from_torch
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule

from .conftest import SCRIPTS, rows_of, run


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small store of sequences like those of NTU RGB+D."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    path = catalog.store_path(tmp_path, "ntu")
    path.parent.mkdir()
    import_module("bench_data").write_ntu_sized(path, 40)
    return tmp_path


def loop_of(
    data_dir: Path, *said: str, packed: bool
) -> tuple[Any, dict[str, Any], SequenceDataModule]:
    config = compose_config(
        ["experiment=ntu", "model=gru", "model.hidden_size=6", "data.batch_size=8",
         f"data_dir={data_dir}", *said]
    )  # fmt: skip
    store = labelled(catalog.open_store(data_dir, "ntu"), config["data"]["protocol"])
    data = SequenceDataModule(config["data"], store, config["seed"])
    return import_module("bench_plain_loop").PlainLoop(config, data, packed=packed), config, data


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.few(2)
def test_the_plain_loop_has_the_network_and_the_batches_of_ours(
    data_dir: Path, readout: str, packed: bool
) -> None:
    said = ["model.reset_after=true", f"model.readout={readout}"]
    loop, config, data = loop_of(data_dir, *said, packed=packed)
    transforms = Transforms(config["data"], data.store, 0)
    ours = SequenceClassifier(config, data.input_size, data.store.num_classes, transforms).eval()
    ours.recurrent.load_state_dict(from_torch(loop.gru).state_dict())
    ours.classifier.load_state_dict(loop.linear.state_dict())
    loop.network.eval()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    loop.train.set_epoch(3)
    count = 0
    with torch.no_grad():
        for batch, positions in zip(loader, loop.train, strict=True):
            chosen = data.split.train[positions.positions]
            assert chosen.tolist() == batch.indices.tolist()
            theirs = loop.logits([loop.sequences[index] for index in chosen.tolist()])
            torch.testing.assert_close(theirs, ours(batch.inputs, batch.lengths))
            count += len(chosen)
    assert count == len(data.split.train) > 0


@pytest.mark.slow
def test_the_plain_loop_learns_what_it_is_shown(data_dir: Path) -> None:
    said = ["model.num_layers=1", "data.limit=8", "data.batch_size=4", "optimizer.lr=0.05"]
    loop, _, _ = loop_of(data_dir, "model.dropout=0", *said, packed=False)
    found = [loop.epoch(number) for number in range(6)]
    assert found[-1][0] < 0.9 * found[0][0]
    assert all(0 <= accuracy <= 1 for epoch in found for accuracy in epoch[1::2])


@pytest.mark.slow
def test_epochs_are_measured_and_shown(tmp_path: Path) -> None:
    measured = tmp_path / "epoch.csv"
    run(
        "bench_epoch.py", "--stores", "mnist", "--images", "120", "--rounds", "2",
        "--threads", "1", "--scratch", str(tmp_path), "--csv", str(measured),
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["epoch.csv"]
    rows = rows_of(measured)
    assert [(row["dropout"], row["gate"]) for row in rows] == [
        ("0.5", "gated"), ("0.5", "ungated"), ("0.0", "gated"), ("0.0", "ungated"),
    ]  # fmt: skip
    for row in rows:
        assert 0 < float(row["ours_cpu_seconds"]) < 30
        assert 0 < float(row["ratio_min"]) <= float(row["ratio_median"])
    shown = run("performance_page.py", str(measured))
    assert "## How long an epoch takes: " in shown
    assert "| mnist, 1, 0.5 | " in shown
    assert f"{float(rows[0]['cpu_ratio_median']):.2f} (" in shown
