"""Verifying: damage is found, protocols are tried, and what repeats training sequences is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import split
from eleatt_bench.data.release import BadSample, Release
from eleatt_bench.data.store import Sample
from eleatt_bench.data.verification import Fold, ProtocolReport, Report, verify


def frames(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None] * np.ones(3, np.float32)


def verified(
    tmp_path: Path, name: str, samples: list[Sample | BadSample], **options: bool
) -> Report:
    release = Release("a test", ("no", "yes"), {"kind": "skeleton"}, len(samples), samples)
    catalog.write(tmp_path, name, release, **options)
    return verify(tmp_path, name)


def test_digits(tmp_path: Path) -> None:
    report = verify(tmp_path, "digits")
    assert report.protocols == {"fixed": ProtocolReport(1, (Fold(1438, 359),), {})}
    assert (len(report.store.labels), report.store.omitted) == (1797, ())


def test_the_repeated_sequences_of_nucla_are_named(real_nucla) -> None:
    report = verify(real_nucla.path.parents[1], "nucla")
    found = report.protocols["cross_view"]
    assert found.folds == (Fold(1020, 464),)
    assert len(found.repeats) == 95
    for test, train in found.repeats.items():
        assert test.startswith(("a02_", "a03_"))
        assert test.endswith("_v03")
        assert train == test.replace("_v03", "_v02")


def test_a_flipped_bit(tmp_path: Path) -> None:
    store = catalog.open_store(tmp_path, "digits")
    whole = store.path.read_bytes()
    position = store.frames.offset + 4 * (8 * 8 * 5 + 3)  # type: ignore[attr-defined]
    store.path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
    with pytest.raises(UserError, match=r"digit_0005 does not match.*data prepare digits$"):
        verify(tmp_path, "digits")
    assert catalog.prepare(tmp_path, "digits", None).path.read_bytes() == whole
    verify(tmp_path, "digits")


def test_repeats_are_those_of_any_fold(tmp_path: Path) -> None:
    """Subjects take turns: what two of them share is a repeat in both of their folds."""
    values = {1: [1, 2], 2: [1, 3], 3: [4, 5], 4: [6]}
    samples: list[Sample | BadSample] = [
        Sample(f"s{subject}_{number}", frames(number, 0.5), 0, {"subject": subject})
        for subject, numbers in values.items()
        for number in numbers
    ]
    found = verified(tmp_path, "dhg", samples).protocols["gestures_14"]
    assert found.published == 20
    assert found.folds == (Fold(5, 2), Fold(5, 2), Fold(5, 2), Fold(6, 1))
    assert found.repeats == {"s1_1": "s2_1", "s2_1": "s1_1"}


def test_a_missing_subject_does_not_shift_the_folds(tmp_path: Path) -> None:
    """data.fold=k tests subject k + 1 or is refused by name, also where subjects are missing."""
    samples: list[Sample | BadSample] = [
        Sample(f"s{subject}", frames(subject), 0, {"subject": subject}) for subject in (1, 3, 20)
    ]
    report = verified(tmp_path, "dhg", samples)
    assert report.protocols["gestures_14"].folds == (Fold(2, 1),) * 3
    tested = {fold: split(report.store, "gestures_14", fold=fold).test for fold in (0, 2, 19)}
    assert {k: report.store.names[t[0]] for k, t in tested.items()} == {0: "s1", 2: "s3", 19: "s20"}
    with pytest.raises(
        UserError, match=r"data\.fold=1 tests on subject 2, of whom nothing is here"
    ):
        split(report.store, "gestures_14", fold=1)
    with pytest.raises(UserError, match=r"folds 0 to 19 \(data\.fold=k tests on subject k \+ 1\)"):
        split(report.store, "gestures_14", fold=20)


@pytest.mark.parametrize(
    ("subject", "camera", "by_subject", "by_camera"),
    [(1, 1, Fold(2, 0), Fold(0, 2)), (3, 2, Fold(0, 2), Fold(2, 0))],
)
def test_a_part_of_ntu_may_have_nothing_on_one_side(
    tmp_path: Path, subject: int, camera: int, by_subject: Fold, by_camera: Fold
) -> None:
    metadata = {"subject": subject, "camera": camera}
    samples: list[Sample | BadSample] = [
        Sample(f"s{number}", frames(number), 0, metadata) for number in (1, 2)
    ]
    report = verified(tmp_path, "ntu", samples)
    assert {name: found.folds for name, found in report.protocols.items()} == {
        "cross_subject": (by_subject,),
        "cross_view": (by_camera,),
    }


def test_omissions_are_part_of_the_store(tmp_path: Path) -> None:
    good = [Sample(f"s{n}", frames(n), 0, {"subject": n, "camera": n}) for n in (1, 2, 3)]
    bad = BadSample("ümlaut", UserError("it is no sample"))
    endless = Sample("s4", np.full_like(frames(4), np.inf), 0, {"subject": 4, "camera": 4})
    store = verified(tmp_path, "ntu", [bad, *good, endless], skip_bad=True).store
    assert store.names == ("s1", "s2", "s3")
    assert store.omitted == (
        ("ümlaut", "it is no sample"),
        ("s4", "Sample 's4' of ntu has a value in frame 0 that is not finite"),
    )
    whole = verified(tmp_path, "ntu", [*good]).store
    assert whole.omitted == ()
    assert whole.content_digest == store.content_digest
