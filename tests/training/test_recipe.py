"""Whether the code still computes what this recipe version stands for.

`RECIPE_VERSION` is raised by hand, so it could be forgotten. Four small networks are trained in
double precision, on one thread and by the equations as the paper has them, and sums of their
weights are held against those that this recipe gave when it was new. The recurrent weights begin as
orthogonal matrices from LAPACK in single precision, whose last digits are the processor's; here
they are computed in double precision and rounded, which is the same on all that have AVX2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from eleatt_bench.config.compose import compose_config
from eleatt_bench.runs.identity import RECIPE_VERSION
from eleatt_bench.training.run import train

PINNED = Path(__file__).with_name("recipe.json")
NETWORKS = {
    "dropout and plateau": [
        "model=gru", "model.dropout=0.4", "scheduler=plateau", "scheduler.options.patience=0",
        "scheduler.options.cooldown=0", "model.readout=mean",
    ],
    "gate, augmentation and validation": [
        "model=eleatt_lstm", "data.transforms.noise=0.1", "data.val_fraction=0.2",
        "data.bucket=true", "trainer.gradient_clip_val=0.5",
    ],
    "layers, softmax and weight decay": [
        "model=rnn", "model.gate=softmax", "model.num_layers=3", "model.bidirectional=true",
        "optimizer.weight_decay=0.01", "trainer.selection=last",
    ],
    "dropout of two layers, shift, pace and frames by another seed": [
        "model=gru", "model.num_layers=2", "model.dropout=0.5", "data.transforms.shift=1",
        "data.transforms.time_warp=0.3", "data.transforms.resample=6", "seed=5",
    ],
}  # fmt: skip
COMMON = [
    "experiment=digits", "trainer.precision=64-true", "trainer.max_epochs=3", "data.limit=24",
    "data.batch_size=8", "model.hidden_size=6", "model.backend=equations",
    "trainer.num_threads=1",
]  # fmt: skip

FORGOTTEN = (
    "These networks end with other weights than recipe {} gave, so runs of this code are other "
    "runs: raise RECIPE_VERSION in src/eleatt_bench/runs/identity.py, and have the numbers anew "
    "with `python tests/training/test_recipe.py`"
)


def qr_on_any_processor(matrix: torch.Tensor, qr: Any = torch.linalg.qr) -> list[torch.Tensor]:
    """`torch.linalg.qr`, rounded from double precision."""
    return [part.to(matrix.dtype) for part in qr(matrix.double())]


def sums(name: str, folder: Path) -> dict[str, Any]:
    """What the network called ``name`` comes to: of each parameter a sum that knows its order."""
    where = [f"data_dir={folder}", f"runs_dir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.linalg, "qr", qr_on_any_processor)
        run, record = train(compose_config([*COMMON, *NETWORKS[name], *where]), [])
    state = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["model"]
    weights = {
        key: float(value.abs().flatten() @ torch.arange(1, value.numel() + 1).double().sqrt())
        for key, value in state.items()
    }
    losses = {f"{stage} loss": found["loss"] for stage, found in record["metrics"].items()}
    return {**weights, **losses}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_recipe_is_the_one_that_its_version_stands_for(name: str, tmp_path: Path) -> None:
    pinned = json.loads(PINNED.read_text(encoding="utf-8"))
    assert pinned["recipe_version"] == RECIPE_VERSION, (
        "RECIPE_VERSION was raised: have the numbers of the new recipe with "
        "`python tests/training/test_recipe.py`"
    )
    found = sums(name, tmp_path)
    assert found == pytest.approx(pinned[name], rel=1e-9), FORGOTTEN.format(RECIPE_VERSION)


if __name__ == "__main__":
    import tempfile

    made: dict[str, Any] = {"recipe_version": RECIPE_VERSION}
    for network in NETWORKS:
        with tempfile.TemporaryDirectory() as temporary:
            made[network] = sums(network, Path(temporary))
    PINNED.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
