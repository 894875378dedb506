"""How often the verdicts of a table are wrong, and how often they find what is there.

    .venv/bin/python scripts/simulate_verdicts.py --csv docs/verdicts/simulation.csv
    .venv/bin/python scripts/verdicts_page.py docs/verdicts/simulation.csv docs/verdicts.md

Draws differences between rows of tables at random; the same functions judge them that judge a table
of runs. The same --draws and --seed give the same figures. They are printed, and written as CSV.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import yaml

from eleatt_bench.common.files import replacing
from eleatt_bench.common.locations import config_dir
from eleatt_bench.tables.chance import contributions, intervals
from eleatt_bench.tables.crossing import crossing
from eleatt_bench.tables.family import holm
from eleatt_bench.tables.judgement import Verdict, margin_of
from eleatt_bench.tables.looks import overall_level
from eleatt_bench.tables.statistics import CONFIDENCE, ERROR
from eleatt_bench.tables.verdicts import (
    WORDS,
    first_decided,
    levels_of,
    moments,
    p_values,
    words,
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Random = np.random.Generator
Rows = Callable[[Random, tuple[int, ...]], Floats]
"""Draws differences of two rows, in points, in the given shape."""


def looks_of_tables() -> tuple[tuple[int, ...], ...]:
    """The looks of all columns of the tables in configs/table/, those with the most seeds first."""
    files = (config_dir() / "table").glob("*.yaml")
    specs = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    found = {
        tuple(column.get("looks") or spec["looks"])
        for spec in specs
        for column in spec.get("columns", ())
    }
    return tuple(sorted(found, key=lambda looks: (-looks[-1], looks)))


LOOKS = looks_of_tables()


class Figure(NamedTuple):
    """How often something happened in so many draws, or the mean of what was found."""

    part: str
    case: str
    looks: str
    measure: str
    value: float
    error: float  # the Monte-Carlo standard error; 0 if the value was integrated
    draws: int


# Rows. A pair of runs differs by 2 points (one standard deviation) unless a case says otherwise.


def normal(spread: float) -> Rows:
    return lambda random, shape: spread * random.standard_normal(shape)


def unequal(random: Random, shape: tuple[int, ...]) -> Floats:
    """One row spreads six times as much as the other."""
    return 3 * random.standard_normal(shape) - 0.5 * random.standard_normal(shape)


def heavy(degrees: int) -> Rows:
    """Both rows have t distributions with ``degrees`` degrees of freedom."""

    def rows(random: Random, shape: tuple[int, ...]) -> Floats:
        return random.standard_t(degrees, shape) - random.standard_t(degrees, shape)

    return rows


def collapsing(points: float, *, both: bool = False) -> Rows:
    """A tenth of a row's seeds lose ``points``; the others gain, so that the mean stays 0."""

    def rows(random: Random, shape: tuple[int, ...]) -> Floats:
        lost, others = ((random.random(shape) < 0.1) - 0.1 for _ in range(2))
        return 2 * random.standard_normal(shape) - points * (lost - others * both)

    return rows


@dataclass(frozen=True)
class Case:
    """Claims whose rows differ by ``truth`` points on average.

    ``paper`` is the paper's difference. With "one pair" it is drawn anew for each claim from the
    same rows, because the paper's values are one pair of runs.
    """

    name: str
    truth: float
    rows: Rows
    paper: float | str | None = None


NULL = (
    Case("normal, spread 2", 0, normal(2)),
    Case("normal, spread 0.5", 0, normal(0.5)),
    Case("normal, beside the paper's +4.7", 0, normal(2), 4.7),
    Case("one row spreads six times as much", 0, unequal),
    Case("t with 5 degrees of freedom", 0, heavy(5)),
    Case("t with 3 degrees of freedom", 0, heavy(3)),
    Case("a tenth of both rows' seeds lose 20 points", 0, collapsing(20, both=True)),
    Case("a tenth of one row's seeds lose 10 points", 0, collapsing(10)),
    Case("a tenth of one row's seeds lose 20 points", 0, collapsing(20)),
)
EDGE = (
    Case("normal, spread 0.5", 1, normal(0.5)),
    Case("normal, spread 1", 1, normal(1)),
    Case("t with 5 degrees of freedom, spread 1.8", 1, heavy(5)),
    Case("t with 3 degrees of freedom, spread 2.4", 1, heavy(3)),
)
"""The difference is as large as the margin: it matters."""
PAPER = (
    Case("4.7 points, spread 2", 4.7, normal(2), "one pair"),
    Case("4.7 points, spread 4", 4.7, normal(4), "one pair"),
    Case("2 points, spread 2", 2, normal(2), "one pair"),
    Case("4.7 points, t with 3 degrees of freedom, spread 2.4", 4.7, heavy(3), "one pair"),
)
POWER = (
    Case("0, spread 0.25", 0, normal(0.25)),
    Case("0, spread 0.5", 0, normal(0.5)),
    Case("0, spread 1", 0, normal(1)),
    Case("+0.1, spread 0.05, paper +4.7", 0.1, normal(0.05), 4.7),
    Case("+1, spread 2, paper +4.7", 1, normal(2), 4.7),
    Case("+2, spread 2, paper +4.7", 2, normal(2), 4.7),
    Case("+4.7, spread 2, paper +4.7", 4.7, normal(2), 4.7),
    Case("+4.7, spread 4, paper +4.7", 4.7, normal(4), 4.7),
    Case("+10, spread 2, paper +4.7", 10, normal(2), 4.7),
    Case("−2, spread 2, paper +4.7", -2, normal(2), 4.7),
)


class Judged(NamedTuple):
    code: npt.NDArray[np.int8]  # (draws,)
    at: npt.NDArray[np.intp]  # the look that decided, or the last
    means: Floats  # (draws, looks)
    stds: Floats

    def says(self, *verdicts: Verdict) -> Bools:
        return np.isin(self.code, [WORDS.index(verdict) for verdict in verdicts])

    @property
    def sign(self) -> Floats:
        """The sign that a signed verdict states; 0 for other verdicts."""
        own = np.take_along_axis(self.means, self.at[:, None], axis=-1)[:, 0]
        signed = self.says(*(verdict for verdict in Verdict if verdict.signed))
        return np.where(signed, np.sign(own), 0)


def judged(case: Case, looks: Sequence[int], draws: int, random: Random) -> Judged:
    values = case.truth + case.rows(random, (draws, looks[-1]))
    if case.paper == "one pair":
        paper = case.truth + case.rows(random, (draws, 1))
        margin = np.vectorize(margin_of)(paper)
    else:
        paper = np.array(np.nan if case.paper is None else float(case.paper))
        margin = np.array(margin_of(None if case.paper is None else float(case.paper)))
    means, stds = moments(values, looks)
    codes = words(means, stds, tuple(looks), levels_of(looks), paper, margin)
    return Judged(*first_decided(codes), means, stds)


def share(part: str, case: str, looks: Sequence[int], measure: str, hits: Floats | Bools) -> Figure:
    draws = len(hits)
    value, error = (float(np.mean(hits)), float(np.std(hits)) / draws**0.5) if draws else (nan, nan)
    return Figure(part, case, named(looks), measure, value, error, draws)


def named(looks: Sequence[int]) -> str:
    return ", ".join(map(str, looks))


def claims(draws: int, seed: int) -> Iterator[Figure]:
    """Single claims: how often a verdict is wrong, and how often each verdict is given."""
    parts = {"null": NULL, "edge": EDGE, "paper": PAPER, "power": POWER}
    for number, (part, case) in enumerate((p, c) for p, cases in parts.items() for c in cases):
        for looks in LOOKS:
            found = judged(case, looks, draws, np.random.default_rng([seed, number, *looks]))
            wrong = found.sign != 0 if case.truth == 0 else found.sign * case.truth < 0
            yield share(part, case.name, looks, "wrong sign", wrong)
            if part in ("edge", "paper"):
                same = found.says(Verdict.NO_DIFFERENCE)
                yield share(part, case.name, looks, "wrong no difference", same)
            if part == "paper":
                size = found.says(Verdict.SMALLER, Verdict.LARGER)
                yield share(part, case.name, looks, "wrong size", size)
                yield share(part, case.name, looks, "right sign", found.sign * case.truth > 0)
            if part == "power":
                for verdict in Verdict:
                    yield share(part, case.name, looks, verdict, found.says(verdict))
                seeds = np.array(looks)[found.at]
                yield share(part, case.name, looks, "seeds", seeds)


def stops(draws: int, seed: int) -> Iterator[Figure]:
    """What an early decision is worth: differences in units of their spread."""
    looks = (5, 10, 20)
    for truth in (0.5, 0.66, 1.0):
        case = Case(f"{truth:g}", truth, normal(1), "one pair")
        found = judged(case, looks, draws, np.random.default_rng([seed, 1000, int(100 * truth)]))
        undecided = p_values(found.means, found.stds, looks)[:, -1] >= levels_of(looks).sign
        for k, count in enumerate(looks[:-1]):
            early = (found.at == k) & (found.sign > 0)
            measures = {
                "decided": early,
                "mean": found.means[early, k],
                "mean of all": found.means[early, -1],
                "undecided by all": undecided[early],
            }
            for measure, hits in measures.items():
                yield share("stops", f"{case.name} at {count}", looks, measure, hits)


def alike(draws: int, seed: int) -> Iterator[Figure]:
    """What an early "no difference that matters" is worth, within a margin of one point.

    Differences and their spread are in points.
    """
    looks = (5, 10, 20)
    for number, (truth, spread) in enumerate(((0.3, 1.0), (0.5, 0.5), (0.7, 0.5))):
        case = Case(f"{truth:g}, spread {spread:g}", truth, normal(spread))
        found = judged(case, looks, draws, np.random.default_rng([seed, 4000, number]))
        for k, count in enumerate(looks[:-1]):
            early = (found.at == k) & found.says(Verdict.NO_DIFFERENCE)
            measures = {
                "decided": early,
                "mean": found.means[early, k],
                "mean of all": found.means[early, -1],
            }
            for measure, hits in measures.items():
                yield share("alike", f"{case.name}, at {count}", looks, measure, hits)


def families(draws: int, seed: int) -> Iterator[Figure]:
    """Whole tables of 12 claims, three for each of four baselines, where no difference is real."""
    for looks in LOOKS:
        random = np.random.default_rng([seed, 2000, *looks])
        baselines = random.standard_normal((draws, 4, 1, looks[-1]))
        values = random.standard_normal((draws, 4, 3, looks[-1])) - baselines
        means, stds = moments(values.reshape(draws, 12, looks[-1]), looks)
        levels = levels_of(looks)
        codes = words(means, stds, looks, levels, np.array(np.nan), np.array(margin_of(None)))
        code, at = first_decided(codes)
        p = p_values(means, stds, looks)
        seen = np.where(np.arange(len(looks)) <= at[..., None], p, 1).min(axis=-1)
        stopped = np.take_along_axis(p, at[..., None], axis=-1)[..., 0]
        signed = np.isin(code, [c for c, word in enumerate(WORDS) if word.signed])
        case = "12 claims, 4 baselines"
        yield share("families", case, looks, "any false verdict", signed.any(axis=-1))
        marks = np.apply_along_axis(holm, -1, overall_level(looks, seen)) <= ERROR
        yield share("families", case, looks, "any false mark", marks.any(axis=-1))
        naive = np.apply_along_axis(holm, -1, stopped) <= ERROR
        yield share("families", case, looks, "Holm on the p of the stop", naive.any(axis=-1))


class Tested(NamedTuple):
    """For each tested sample its group (such as a subject), its number, and its fold, (M,) each."""

    group: Integers
    sample: Integers
    fold: Integers


def of_sizes(*sizes: int) -> Tested:
    group = np.repeat(np.arange(len(sizes)), sizes)
    return Tested(group, np.arange(len(group)), np.zeros_like(group))


def halves(subjects: int, each: int, folds: int) -> Tested:
    """Each fold tests a random half of all samples, so folds share samples."""
    random = np.random.default_rng(0)
    samples = [np.sort(random.permutation(subjects * each)[::2]) for _ in range(folds)]
    sample, fold = np.concatenate(samples), np.repeat(np.arange(folds), len(samples[0]))
    return Tested(sample // each, sample, fold)


def one_out(subjects: int, each: int) -> Tested:
    """Each fold tests one subject."""
    sizes = of_sizes(*(each,) * subjects)
    return sizes._replace(fold=sizes.group)


TESTS = {
    "10 unequal subjects": of_sizes(60, 50, 50, 45, 45, 40, 40, 40, 35, 30),
    "20 subjects": of_sizes(*(12,) * 20),
    "12 subjects, 4 random halves": halves(12, 20, 4),
    "20 subjects, each a fold": one_out(20, 12),
    "369 samples": of_sizes(*(1,) * 369),
}
SOURCES = {  # standard deviations of seeds, groups and samples, as shares of samples gained
    "seeds vary": (0.03, 0.0, 0.0),
    "subjects vary": (0.003, 0.04, 0.0),
    "all vary": (0.02, 0.03, 0.05),
    "nothing but chance": (0.0, 0.0, 0.0),
}


def gains(
    draws: int, seeds: int, tested: Tested, spreads: Sequence[float], random: Random
) -> Floats:
    """Gains (draws, seeds, M) between two equally good rows: ±1 where only one of them is right.

    A seed trains one network for each fold.
    """
    of_seed, of_group, of_sample = spreads
    sizes = [int(part.max()) + 1 for part in tested]
    gain = random.normal(0, of_seed, (draws, seeds, sizes[2]))[..., tested.fold]
    gain += random.normal(0, of_group, (draws, 1, sizes[0]))[..., tested.group]
    gain += random.normal(0, of_sample, (draws, 1, sizes[1]))[..., tested.sample]
    drawn = random.random(gain.shape)
    ahead, behind = np.clip(0.08 + gain / 2, 0, 1), np.clip(0.08 - gain / 2, 0, 1)
    return (drawn < ahead).astype(np.float64) - (drawn > 1 - behind)


def chances(draws: int, seed: int) -> Iterator[Figure]:
    """How often the interval over seeds and subjects excludes the true difference, 0."""
    for number, (name, tested) in enumerate(TESTS.items()):
        for place, (source, spreads) in enumerate(SOURCES.items()):
            for seeds in (3, 5, 10, 20):
                random = np.random.default_rng([seed, 3000, number, place, seeds])
                outside = []
                for first in range(0, draws, 200):
                    some = min(200, draws - first)
                    gain = gains(some, seeds, tested, spreads, random)
                    flat = gain.reshape(some * seeds, -1)
                    parts, weights = contributions(flat, tested.group, tested.fold)
                    mean, half, _ = intervals(parts.reshape(some, seeds, -1), weights, ERROR)
                    outside.append(abs(mean) > half)
                case = f"{name}: {source}"
                yield share("chance", case, [seeds], "0 outside", np.concatenate(outside))


def unplanned() -> Iterator[Figure]:
    """How often a 95 % interval decides falsely if it is looked at after every seed from 3 on."""
    for last in (5, 10, 20, 50):
        value = crossing(tuple(range(3, last + 1)), 1 - CONFIDENCE)
        yield Figure("unplanned", f"by {last} seeds", "every seed", "wrong sign", value, 0, 0)


def simulate(draws: int, seed: int = 0) -> Iterator[Figure]:
    yield from unplanned()
    yield from claims(draws, seed)
    yield from stops(draws, seed)
    yield from alike(draws, seed)
    yield from families(max(draws // 10, 100), seed)
    yield from chances(max(draws // 20, 100), seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100_000, help="claims per case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="where to write the figures")
    given = parser.parse_args()
    rows = []
    for figure in simulate(given.draws, given.seed):
        print(f"{figure.part}: {figure.case}; looks {figure.looks}: {figure.measure} "
              f"{figure.value:.4f} ± {figure.error:.4f}", flush=True)  # fmt: skip
        numbers = {name: f"{getattr(figure, name):.6g}" for name in ("value", "error")}
        rows.append(figure._asdict() | numbers)
    if given.csv:
        with (
            replacing(given.csv) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, Figure._fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
