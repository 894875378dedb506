"""Hydra's sweeps as the dimensions of a search, and what is refused before any trial."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.sweeps.space import (
    Choices,
    Dimension,
    Interval,
    Steps,
    read_file,
    read_space,
)

FIXED = ["experiment=digits"]


def test_every_kind_of_sweep_is_suggested_as_it_was_written() -> None:
    space = read_space(
        FIXED,
        [
            "optimizer.lr=tag(log,interval(1e-4,1e-2))",
            "model.dropout=interval(0,0.7)",
            "model.hidden_size=int(interval(4,64))",
            "loss.label_smoothing=range(0.25,1,0.25)",
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
        "loss.label_smoothing": 2,  # the third of its values
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
        "loss.label_smoothing=0.75",
        "model=eleatt_gru",
        "data.batch_size=64",
    ]
    assert trial.distributions == {
        "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "model.dropout": FloatDistribution(0, 0.7),
        "model.hidden_size": IntDistribution(4, 64),
        "loss.label_smoothing": IntDistribution(0, 2),
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
        ("model.hidden_size=range(1,5,0.0)", "its step is 0"),
        ("optimizer.lr=range(0,inf)", "finite"),
        ("optimizer.lr=range(nan,1)", "finite"),
        ("optimizer.lr=range(0,1,inf)", "finite"),
        ("model.hidden_size=range(1,100000000)", "99,999,999 values are too many"),
        ("optimizer.lr=range(0,1,1e-300)", "values are too many"),
        ("optimizer.lr=interval(nan,1)", "finite"),
        ("optimizer.lr=interval(-1e400,1)", "finite"),
        ("optimizer.lr=tag(log,interval(-2,-1))", "above 0"),
        ("model.hidden_size=int(interval(4.5,4.9))", "it is empty"),
        ("model.hidden_size=tag(log,range(1,5))", "unknown tag 'log'"),
        ("optimizer.lr=interval(a,b)", "start: str is incompatible"),
        ("optimizer.lr=interval(1)", "missing a required argument: 'end'"),
        ("optimizer.lr=interval(1,2", "no viable alternative"),
        ("optimizer.lr=str(interval(1,2))", "Intervals cannot be cast to str"),
        ("optimizer.lr=choice()", "empty choice"),
        ("model=glob(x*)", "it is empty"),
        ("model.hidden_size=intervall(1,5)", "Unknown function 'intervall'"),
        ("seed=choice(0,1)", "seed cannot be searched"),
        ("data.fold=range(0,3)", "data.fold cannot be searched, .* cannot be compared"),
        ("data.val_seed=choice(0,1)", "data.val_seed cannot be searched"),
        ("data.protocol=choice(cross_view,cross_view_dev)", "data.protocol cannot be searched"),
        ("++data.limit=choice(8,9)", "data.limit cannot be searched"),
        ("data=choice(digits,smnist)", "data cannot be searched"),
        ("launcher.jobs=choice(1,2)", "launcher.jobs is no part of a run's name"),
        ("seed=1", "Nothing to search"),
        ("optimizer.lr", "write KEY=VALUE"),
    ],
)
@pytest.mark.few(9)
def test_what_is_no_space_is_refused(override: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_space(FIXED, [override])


@pytest.mark.parametrize(
    "again",
    ["optimizer.lr=0.1", "++optimizer.lr=0.1", "optimizer.lr=choice(1,2)", "experiment=nucla"],
)
def test_a_key_is_said_once(again: str) -> None:
    key = again.lstrip("+").partition("=")[0]
    with pytest.raises(UserError, match=f"{key} is said twice"):
        read_space(FIXED, ["optimizer.lr=interval(1e-4,1e-2)", again])


@pytest.mark.parametrize(
    ("override", "dimension"),
    [
        ("optimizer.lr=interval(1,2)", Interval("optimizer.lr", 1.0, 2.0, log=False)),
        ("optimizer.lr=float(interval(1,2))", Interval("optimizer.lr", 1.0, 2.0, log=False)),
        (
            "model.hidden_size=int(interval(4.2,9.9))",
            Interval("model.hidden_size", 4, 9, log=False),
        ),
        ("optimizer.lr=int(tag(log,interval(1,64)))", Interval("optimizer.lr", 1, 64, log=True)),
        ("optimizer.lr=tag(log,int(interval(1,64)))", Interval("optimizer.lr", 1, 64, log=True)),
        ("model.hidden_size=range(2)", Steps("model.hidden_size", (0, 1))),
        ("model.hidden_size=range(9,4,-2)", Steps("model.hidden_size", (5, 7, 9))),
        ("model.hidden_size=int(range(4.2,7))", Steps("model.hidden_size", (4, 5, 6))),
        ("model.dropout=range(0,0.8,0.1)",
         Steps("model.dropout", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7))),
        ("model.dropout=range(0.7,0.1,-0.2)", Steps("model.dropout", (0.3, 0.5, 0.7))),
        ("optimizer.lr=range(1e-5,4e-5,1e-5)", Steps("optimizer.lr", (1e-5, 2e-5, 3e-5))),
        ("model.hidden_size=shuffle(range(4,7))", Steps("model.hidden_size", (4, 5, 6))),
        ("model.hidden_size=sort(9,4,5)", Choices("model.hidden_size", ("4", "5", "9"))),
        ("model=shuffle(choice(rnn,gru,lstm))", Choices("model", ("rnn", "gru", "lstm"))),
        ("model=choice('gru',\"lstm\",gru)", Choices("model", ("gru", "lstm"))),
        ("model=glob([*gru])", Choices("model", ("eleatt_gru", "gru"))),
        ("model=glob(*, exclude=eleatt*)", Choices("model", ("gru", "lstm", "rnn"))),
        ("model.gated_layers=[0],[0,1]", Choices("model.gated_layers", ("[0]", "[0,1]"))),
    ],
)  # fmt: skip
@pytest.mark.few(6)
def test_every_form_is_the_same_dimension_each_time(override: str, dimension: Dimension) -> None:
    for _ in range(3):
        assert read_space(FIXED, [override]).dimensions == (dimension,)


@given(
    st.floats(1e-300, 1e300), st.floats(1.001, 1e6), st.booleans(), st.integers(0, 2**32 - 1)
)  # fmt: skip
@settings(deadline=None)
def test_what_is_drawn_of_an_interval_lies_in_it_and_is_read_back_the_same(
    low: float, factor: float, log: bool, seed: int
) -> None:
    high = low * factor
    text = f"interval({low!r},{high!r})"
    (dimension,) = read_space(
        FIXED, [f"optimizer.lr={f'tag(log,{text})' if log else text}"]
    ).dimensions
    assert dimension == Interval("optimizer.lr", low, high, log)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = dimension.suggest(study.ask())
    assert low <= float(drawn) <= high
    (value,) = [o.value() for o in OverridesParser.create().parse_overrides([f"a={drawn}"])]
    assert value == float(drawn)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model=choice(gru,gruu)", "gruu"),
        ("model.hidden_size=interval(8,16)", "model.hidden_size"),  # no whole numbers
        ("model.dropout=interval(0,1)", "model.dropout is 1"),
        ("model.cell=choice(gru,lsmt)", "lsmt"),
    ],
)
@pytest.mark.few(1)
def test_every_end_and_every_choice_must_compose(override: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_space(FIXED, ["optimizer.lr=interval(1e-4,1e-2)", override]).check(Composer())


def test_a_file_says_what_the_command_line_would(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "optimizer.lr: tag(log,interval(1e-4,1e-2))\nmodel: choice(gru, eleatt_gru)\n"
        "model.reset_after: true\nseed: 2\nlauncher.time: 4:00:00\noptimizer.weight_decay: 1e-4\n"
        "data.batch_size: '07'\n"
    )
    assert read_file(file) == [
        "optimizer.lr=tag(log,interval(1e-4,1e-2))",
        "model=choice(gru, eleatt_gru)",
        "model.reset_after=true",
        "seed=2",
        "launcher.time=4:00:00",
        "optimizer.weight_decay=1e-4",
        "data.batch_size=07",
    ]


def test_a_file_says_a_key_once(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("model.dropout: interval(0,0.5)\nmodel.dropout: 0.3\n")
    with pytest.raises(UserError, match=r"model.dropout is said twice"):
        read_space(FIXED, read_file(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "must map keys to sweeps"),
        ("model.hidden_size: [1, 2]", r"model.hidden_size is no text or number.*choice\(1, 2\)"),
        ("a: {", "is not YAML"),
        ("", "must map keys to sweeps"),
        ("\0", "is not YAML"),
        ("model:", "model is no text or number"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        read_file(file)
    with pytest.raises(UserError, match="There is no file"):
        read_file(tmp_path / "other.yaml")
    with pytest.raises(UserError, match=r"Cannot read .*: Is a directory"):
        read_file(tmp_path)


@given(st.decimals(-9, 9, places=3), st.integers(1, 60), st.decimals("0.001", 5, places=3))
@settings(deadline=None)
@pytest.mark.slow
def test_a_range_has_the_numbers_that_a_person_would_write(
    start: Decimal, count: int, step: Decimal
) -> None:
    written = [start + number * step for number in range(count)]
    for end in (start + count * step, written[-1] + step / 2):
        text = ",".join(repr(float(number)) for number in (start, end, step))
        (dimension,) = read_space(FIXED, [f"optimizer.lr=range({text})"]).dimensions
        assert dimension == Steps("optimizer.lr", tuple(float(number) for number in written))


def test_pretraining_makes_a_run_another_one() -> None:
    read_space(FIXED, ["pretraining=null,digits", "model.num_layers=1"]).check(Composer())
