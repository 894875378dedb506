"""Composition has one meaning, Hydra's: drawn experiments and overrides, composed both ways."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.checks import QUICK
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import hydra_ready

NUMBERS = st.integers(0, 40)
REFERENCES = st.sampled_from(
    ["${seed}", "${data.fold}", "${data.val_seed}", "${trainer.max_epochs}", "${model.num_layers}",
     "${.batch_size}", "${oc.select:data.fold,7}", "${nowhere}", "a${seed}"]
)  # fmt: skip
KEYS = {
    "seed": NUMBERS | st.just("${data.fold}"),
    "quick": st.booleans(),
    "data.fold": NUMBERS | st.just("${seed}"),
    "data.val_seed": NUMBERS | REFERENCES,
    "data.limit": st.none() | st.integers(1, 90) | REFERENCES,
    "data.batch_size": st.integers(1, 9) | REFERENCES,
    "data.transforms.streams": st.lists(st.sampled_from(["joints", "bones"]), max_size=2),
    "data.transforms.rotation": st.fixed_dictionaries({"x": st.floats(0, 90) | REFERENCES}),
    "model.hidden_size": st.integers(1, 64) | REFERENCES,
    "model.gated_layers": st.none() | st.lists(st.integers(0, 2) | REFERENCES, max_size=2),
    "model.init": st.just("${model.init}") | st.fixed_dictionaries({"forget_bias": NUMBERS}),
    "optimizer.lr": st.floats(0, 1) | REFERENCES,
    "optimizer.options": st.dictionaries(
        st.sampled_from(["betas", "eps", "deep"]),
        NUMBERS | REFERENCES | st.lists(NUMBERS | REFERENCES, max_size=2)
        | st.fixed_dictionaries({"inner": st.none() | REFERENCES}),
        max_size=2,
    ),
    "trainer.max_epochs": st.integers(1, 9) | REFERENCES,
    "trainer.early_stopping": st.none() | NUMBERS | REFERENCES,
}  # fmt: skip
TYPED = st.lists(
    st.sampled_from(
        ["seed=3", "seed=11", "data.fold=2", "data.val_seed=${seed}", "quick=true", "seed=1e1",
         "scheduler=cosine", "model=gru", "data.limit=null", "model.hidden_size=${data.fold}",
         "+optimizer.options.more=[${seed},1]", "trainer.max_epochs=${seed}", "seed=${data.fold}"]
    ),
    unique=True, max_size=4,
)  # fmt: skip


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, last = key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return content


def hydras(overrides: list[str]) -> dict[str, Any]:
    """What Hydra itself composes, resolved, and shrunk where it says quick."""
    with hydra_ready():
        cfg = compose("train", overrides)
    if cfg.quick:
        for key, most in QUICK.items():
            value = OmegaConf.select(cfg, key)
            OmegaConf.update(cfg, key, most if value is None else min(value, most))
    resolved = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def one_meaning(folder: Path, flat: dict[str, Any], typed: list[str]) -> None:
    content = {"defaults": ["digits"], **nested(flat)}
    (folder / "experiment").mkdir(exist_ok=True)
    text = yaml.safe_dump(content, sort_keys=False)
    (folder / "experiment" / "drawn.yaml").write_text(f"# @package _global_\n{text}")
    overrides = ["experiment=drawn", *typed]
    try:
        expected = compose_config(overrides)
    except UserError as error:
        said = str(error)
        with pytest.raises(UserError) as raised:
            Composer().config(overrides)
        assert str(raised.value) == said
        return
    assert expected == hydras(overrides)
    composer = Composer()
    for _ in range(2):
        assert composer.config(overrides) == expected
    for seed in (1, 5):  # as tables ask for them
        asked = [o for o in overrides if not o.startswith("seed=")] + [f"seed={seed}"]
        try:
            assert composer.config([*overrides, f"seed={seed}"]) == hydras(asked)
        except UserError as error:
            said = str(error)
            with pytest.raises(UserError) as raised:
                compose_config(asked)
            assert str(raised.value) == said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of the user's own, in use."""
    path = tmp_path_factory.mktemp("configs")
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELEATT_CONFIGS", str(path))
        with hydra_ready():
            yield path
    GlobalHydra.instance().hydra = before
    shutil.rmtree(path)


FLAT = st.sets(st.sampled_from(sorted(KEYS)), max_size=5).flatmap(
    lambda keys: st.fixed_dictionaries({key: KEYS[key] for key in sorted(keys)})
)
UNHURRIED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a composition takes long: no shrinking
)


@settings(UNHURRIED, max_examples=1)
@example(flat={}, typed=["seed=3", "seed=${data.fold}"])
@example(flat={}, typed=["data.fold=1", "++data.fold=${seed}", "seed=2"])
@given(flat=FLAT, typed=TYPED)
def test_composition_has_one_meaning(folder: Path, flat: dict[str, Any], typed: list[str]) -> None:
    one_meaning(folder, flat, typed)


@pytest.mark.slow
@settings(UNHURRIED, max_examples=300)
@example(flat={}, typed=["data.fold=1", "++data={fold: 2}"])
@example(flat={}, typed=["data.fold=1", "data=digits"])
@given(flat=FLAT, typed=TYPED)
def test_composition_has_one_meaning_however_often_it_is_tried(
    folder: Path, flat: dict[str, Any], typed: list[str]
) -> None:
    one_meaning(folder, flat, typed)
