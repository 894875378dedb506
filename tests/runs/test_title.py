"""What a person calls a run."""

from __future__ import annotations

import pytest

from eleatt_bench.runs.title import title


def record(*overrides: str, gated: bool = True) -> dict:
    model = {"cell": "gru", "gated_layers": [0] if gated else []}
    identity = {"model": model, "seed": 3, "data": {"name": "digits"}}
    run_id = "digits-gru-seed3-0123456789ab"
    return {"run_id": run_id, "identity": identity, "overrides": list(overrides)}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), "eleatt_gru seed=3 digits 012345"),
        (("experiment=nucla_aug", "model=eleatt_gru", "seed=3"),
         "eleatt_gru seed=3 nucla_aug 012345"),
        (("model.hidden_size=64", "data.fold=2", "+scheduler.options.step_size=1"),
         "eleatt_gru seed=3 hidden_size=64 fold=2 options.step_size=1 digits 012345"),
        (("quick=true", "pretraining=ntu_v1"),
         "eleatt_gru seed=3 quick=true pretraining=ntu_v1 digits 012345"),
        (("trainer=gpu", "trainer.devices=2", "launcher.jobs=4", "data_dir=/some/where",
          "runs_dir=x", "force=true", "model.backend=scan", "trainer.max_epochs=5"),
         "eleatt_gru seed=3 max_epochs=5 digits 012345"),
        (("data=a/b",), "eleatt_gru seed=3 data=a_b digits 012345"),
    ],
)  # fmt: skip
def test_a_run_is_called_by_what_was_typed(overrides: tuple[str, ...], expected: str) -> None:
    assert title(record(*overrides)) == expected


def test_a_title_does_as_the_name_of_a_file() -> None:
    long = title(record(*(f"scheduler.options.option{i}=/a/b" for i in range(50)), gated=False))
    assert long.startswith("gru seed=3 ")
    assert long.endswith(" 012345")
    assert len(long.encode()) < 200
    assert "/" not in long
