"""Rows are compared, and joined, only if they are tested on the same samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.tables.plan import Plan, plan

LIMITED = ("experiment=digits", "data.limit=70")
SHREC_28 = ("experiment=shrec17", "data.protocol=gestures_28")


def row(name: str, *overrides: str) -> str:
    said = ", ".join(f'"{one}"' for one in overrides)
    return f"{{name: {name}, overrides: [{said}]}}"


def two_rows(
    composer: Composer,
    one: tuple[str, ...],
    other: tuple[str, ...],
    *said: str,
    claims: str = "{better: one, than: other}",
) -> Plan:
    """A plan of two rows with these overrides, of one seed and of the folds of its data set."""
    table = [
        "table.columns=[{name: a, folds: all}]",
        f"table.rows=[{row('one', *one)}, {row('other', *other)}]",
        f"table.claims=[{claims}]",
    ]
    return plan("digits", [*table, *(said or ["table.seeds=[0]"])], composer)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        (LIMITED, (*LIMITED[:1], "data.limit=80"), ("limit=70", "limit=80")),
        (LIMITED[:1], LIMITED, ("limit=null", "limit=70")),
        (SHREC_28[:1], SHREC_28, ("protocol=gestures_14", "protocol=gestures_28")),
        (("experiment=dhg",), SHREC_28, ("name=dhg", "name=shrec17")),
        (("experiment=ntu",), ("experiment=ntu", "data=ntu120"), ("name=ntu", "name=ntu120")),
    ],
)
@pytest.mark.few(2)
def test_other_samples_are_not_compared(
    composer, one: tuple[str, ...], other: tuple[str, ...], difference: tuple[str, str]
) -> None:
    with pytest.raises(UserError) as caught:
        two_rows(composer, one, other)
    assert str(caught.value) == (
        f"Table digits, claim one > other: in column a, row 'one' has data.{difference[0]} and row "
        f"'other' has data.{difference[1]}, so they are not tested on the same samples. Give both "
        "the same"
    )
    two_rows(composer, one, other, claims="")


def test_a_rehearsal_is_no_exception(composer) -> None:
    with pytest.raises(UserError, match="claim one > other"):
        two_rows(composer, SHREC_28[:1], SHREC_28, "table.seeds=[0]", "quick=true")
    two_rows(composer, LIMITED[:1], LIMITED[:1], "table.seeds=[0]", "quick=true")


def test_folds_are_compared(composer) -> None:
    said = ["table.seeds=[0]", 'table.columns=[{name: a, overrides: ["experiment=jhmdb"]}]']
    with pytest.raises(UserError, match=r"'one' has data\.fold=1 and row 'other' has data\.fold=2"):
        two_rows(composer, ("data.fold=1",), ("data.fold=2",), *said)
    two_rows(composer, ("data.fold=2",), ("data.fold=2",), *said)


@pytest.mark.slow
def test_every_seed_is_compared(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "experiment").mkdir()
    growing = '# @package _global_\ndefaults: [digits]\ndata: {limit: "7${seed}"}\n'
    (tmp_path / "experiment" / "growing.yaml").write_text(growing)
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    said, rows = ["table.seeds=[0,1]"], [("experiment=growing",), LIMITED]
    with pytest.raises(UserError, match=r"data\.limit=71 and row 'other' has data\.limit=70"):
        two_rows(Composer(), *rows, *said)
    two_rows(Composer(), *rows[:1], *rows[:1], *said)


def test_members_of_an_ensemble_are_compared_and_stand_for_it(composer) -> None:
    def joined(members: str, claims: str) -> Plan:
        own = [row("a", *LIMITED), row("b", *LIMITED), row("c", *LIMITED[:1])]
        rows = ", ".join([*own, f"{{name: both, ensemble: [{members}]}}"])
        said = [f"table.rows=[{rows}]", f"table.claims=[{claims}]", "table.seeds=[0]"]
        return plan("digits", said, composer)

    with pytest.raises(UserError, match=r"ensemble both: in column accuracy, row 'a' has data\.li"):
        joined("a, c", "")
    with pytest.raises(UserError, match=r"c > both: in column accuracy, row 'c' has data\.limit"):
        joined("a, b", "{better: c, than: both}")
    joined("a, b", "{better: both, than: b}")


@pytest.mark.slow
def test_data_sets_may_have_the_same_samples(composer) -> None:
    """Skeletons and videos of NTU RGB+D have; pixels of an image may come one by one."""
    skeletons, videos = ("experiment=ntu",), ("experiment=ntu_rgb",)
    two_rows(composer, skeletons, videos)
    two_rows(composer, videos, ("experiment=ntu_v1",))
    two_rows(composer, ("experiment=smnist",), ("experiment=mnist_rows",))
    with pytest.raises(UserError, match=r"'one' has data\.protocol=cross_subject and row"):
        two_rows(composer, skeletons, (*videos, "data.protocol=cross_view"))
