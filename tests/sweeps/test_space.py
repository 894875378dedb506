"""Hydra's sweeps as the dimensions of a search, and what is refused before any trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.sweeps.space import read_file, read_space

FIXED = ["experiment=digits"]


def test_every_kind_of_sweep_is_suggested_as_it_was_written() -> None:
    space = read_space(
        FIXED,
        [
            "optimizer.lr=tag(log,interval(1e-4,1e-2))",
            "model.dropout=interval(0,0.7)",
            "model.hidden_size=int(interval(4,64))",
            "data.val_fraction=range(0.25,1,0.25)",
            "model=gru,eleatt_gru",
            "data.batch_size=choice(32,64)",
            "seed=3",
        ],
    )
    assert space.fixed == ("experiment=digits", "seed=3")
    values = {
        "optimizer.lr": 0.002,
        "model.dropout": 0.25,
        "model.hidden_size": 17,
        "data.val_fraction": 2,  # the third of its values
        "model": "eleatt_gru",
        "data.batch_size": "64",
    }
    trial = FixedTrial(values)
    assert space.overrides(trial) == [
        "experiment=digits",
        "seed=3",
        "optimizer.lr=0.002",
        "model.dropout=0.25",
        "model.hidden_size=17",
        "data.val_fraction=0.75",
        "model=eleatt_gru",
        "data.batch_size=64",
    ]
    assert trial.distributions == {
        "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "model.dropout": FloatDistribution(0, 0.7),
        "model.hidden_size": IntDistribution(4, 64),
        "data.val_fraction": IntDistribution(0, 2),
        "model": CategoricalDistribution(("gru", "eleatt_gru")),
        "data.batch_size": CategoricalDistribution(("32", "64")),
    }
    space.check(Composer())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.rl=interval(1e-4,1e-2)", r"Unknown config key 'optimizer.rl'.*'optimizer.lr'"),
        ("optimizer.lr=interval(1e-2,1e-4)", "it is empty"),
        ("optimizer.lr=interval(1,1)", "it is empty"),
        ("optimizer.lr=interval(0,inf)", "finite"),
        ("optimizer.lr=tag(log,interval(0,1))", "above 0"),
        ("optimizer.lr=tag(lug,interval(1,2))", "unknown tag 'lug'"),
        ("model=tag(log,choice(gru,rnn))", "unknown tag 'log'"),
        ("model.hidden_size=range(5,1)", "it is empty"),
        ("model.hidden_size=range(1,5,0)", "its step is 0"),
        ("model.hidden_size=intervall(1,5)", "Unknown function 'intervall'"),
        ("seed=choice(0,1)", "seed cannot be searched"),
        ("launcher.jobs=choice(1,2)", "launcher.jobs is no part of a run's name"),
        ("seed=1", "Nothing to search"),
        ("optimizer.lr", "write KEY=VALUE"),
    ],
)
def test_what_is_no_space_is_refused(override: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_space(FIXED, [override])


def test_a_key_is_said_once() -> None:
    with pytest.raises(UserError, match=r"optimizer.lr is said twice"):
        read_space(FIXED, ["optimizer.lr=interval(1e-4,1e-2)", "optimizer.lr=0.1"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model=choice(gru,gruu)", "gruu"),
        ("model.hidden_size=interval(8,16)", "model.hidden_size"),  # no whole numbers
        ("model.dropout=interval(0,1)", "model.dropout is 1"),
        ("model.cell=choice(gru,lsmt)", "lsmt"),
    ],
)
def test_every_end_and_every_choice_must_compose(override: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_space(FIXED, ["optimizer.lr=interval(1e-4,1e-2)", override]).check(Composer())


def test_a_file_says_what_the_command_line_would(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "optimizer.lr: tag(log,interval(1e-4,1e-2))\nmodel: choice(gru, eleatt_gru)\n"
        "model.reset_after: true\nseed: 2\n"
    )
    assert read_file(file) == [
        "optimizer.lr=tag(log,interval(1e-4,1e-2))",
        "model=choice(gru, eleatt_gru)",
        "model.reset_after=true",
        "seed=2",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "must map keys to sweeps"),
        ("model.hidden_size: [1, 2]", r"model.hidden_size is no text or number.*choice\(1, 2\)"),
        ("a: {", "is not YAML"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        read_file(file)
    with pytest.raises(UserError, match="There is no file"):
        read_file(tmp_path / "other.yaml")
