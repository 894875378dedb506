"""Seeds that collapsed, by their accuracy and by their curves."""

from __future__ import annotations

import numpy as np
import pytest

from eleatt_bench.tables.collapse import Collapse, collapsed, fell_early, outlier_bound

Curves = tuple[np.ndarray, np.ndarray]


def curve(falls: int | None, accuracy: list[float]) -> Curves:
    """A learning rate that falls to a tenth at an epoch, counted from 0."""
    rate = np.full(len(accuracy), 0.005)
    if falls is not None:
        rate[falls:] = 0.0005
    return rate, np.array(accuracy)


def test_one_of_five_ends_far_below() -> None:
    accuracies = {0: 82.5, 1: 80.9, 2: 66.2, 3: 81.8, 4: 79.4}
    assert collapsed(accuracies) == {2: Collapse.LOW}


@pytest.mark.parametrize(
    "accuracies",
    [
        {},
        {0: 80.0},
        {0: 80.0, 1: 20.0},  # which of two would it be?
        {0: 96.70, 1: 96.71, 2: 96.70, 3: 95.1},  # far in deviations, near in points
        {0: 60.0, 1: 70.0, 2: 80.0, 3: 90.0, 4: 50.0},  # far in points, near in deviations
        {0: 80.0, 1: 81.0, 2: 99.0, 3: 80.5},  # above
    ],
)
def test_no_seed_ends_far_below(accuracies: dict[int, float]) -> None:
    assert collapsed(accuracies) == {}


def test_few_rows_of_normal_values_have_such_a_seed() -> None:
    random = np.random.default_rng(0)
    for count in (3, 5, 10, 20):
        rows = random.normal(80, 2, (20_000, count))
        assert (rows < outlier_bound(rows)).any(axis=1).mean() < 0.015


def test_many_collapsed_seeds_are_found_up_to_half() -> None:
    accuracies = {seed: 80.0 + seed / 10 for seed in range(11)} | {20: 20.0, 21: 5.0, 22: 60.0}
    assert set(collapsed(accuracies)) == {20, 21, 22}


@pytest.mark.parametrize(
    ("falls", "accuracy", "early"),
    [
        (3, [0.1, 0.1, 0.1, 0.1, 0.1, 0.1], True),
        (3, [0.1, 0.1, 0.1, 0.6, 0.9, 0.9], True),  # it rose afterwards, slowly
        (3, [0.1, 0.3, 0.5, 0.6, 0.8, 0.9], False),
        (None, [0.1, 0.1, 0.1, 0.1, 0.1, 0.1], False),
        (0, [0.1, 0.5, 0.5, 0.6, 0.8, 0.9], False),  # from the beginning: nothing fell
    ],
)
def test_the_rate_fell_before_accuracy_rose(
    falls: int | None, accuracy: list[float], early: bool
) -> None:
    assert fell_early(*curve(falls, accuracy), ends_with=0.9) is early


def test_a_rate_that_glides_down_fell_where_it_was_halved() -> None:
    rate = 0.5 * (1 + np.cos(np.linspace(0, np.pi, 20)))
    rises = np.linspace(0.05, 0.95, 20)
    assert not fell_early(rate, rises, ends_with=0.9)
    assert fell_early(rate, rises**4, ends_with=0.9)


def test_warming_up_is_no_fall() -> None:
    rate = np.array([0.1, 0.5, 1.0, 1.0, 1.0, 1.0])
    assert not fell_early(rate, np.full(6, 0.1), ends_with=0.9)


def test_curves_say_more_than_the_accuracy() -> None:
    good = [0.1, 0.4, 0.8, 0.9, 0.9, 0.9]
    curves = {seed: curve(4, good) for seed in range(3)} | {3: curve(2, [0.1] * 4 + [0.7, 0.8])}
    accuracies = {0: 80.0, 1: 81.0, 2: 80.5, 3: 79.0}
    assert collapsed(accuracies, curves) == {3: Collapse.FELL_EARLY}
    assert collapsed({**accuracies, 3: 20.0}, curves) == {3: Collapse.FELL_EARLY}
    assert collapsed({**accuracies, 1: 20.0}, curves) == {1: Collapse.LOW, 3: Collapse.FELL_EARLY}
    assert collapsed(accuracies, {0: (np.empty(0), np.empty(0))}) == {}
