"""What the paired differences of a claim say, look by look, in numbers and in a word.

Differences, spreads and margins are in percentage points. `words` judges any number of claims at
once: `judge` passes it one, scripts/simulate_verdicts.py thousands. docs/verdicts.md says what the
words mean, and how often they are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.tables.crossing import Floats, of_one_more
from eleatt_bench.tables.judgement import NO_SPREAD, Verdict
from eleatt_bench.tables.looks import nominal_level
from eleatt_bench.tables.statistics import ERROR, LEAST_SEEDS, Looks, deciding, quantile

Codes = npt.NDArray[np.int8]
"""Places in `WORDS`."""


WORDS = tuple(Verdict)


class Levels(NamedTuple):
    """The nominal levels of every look of a plan."""

    sign: float
    """Two-sided: of the interval that has to be on one side of 0."""
    margin: float
    """One-sided: of each of the two tests that the difference is within the margin."""
    size: float
    """Two-sided: of the prediction interval that the paper's difference has to be in."""


def levels_of(looks: Sequence[int]) -> Levels:
    """The levels at which all ``looks`` together err in `ERROR` of the cases, for each question."""
    counted = deciding(looks)
    if not counted:  # nothing will be decided; intervals are as wide as those of one look
        return Levels(ERROR, ERROR, ERROR)
    return Levels(
        sign=nominal_level(counted),
        margin=nominal_level(counted, sides=1),
        size=nominal_level(counted, squared=of_one_more),
    )


def moments(differences: Floats, counts: Sequence[int]) -> tuple[Floats, Floats]:
    """Means and deviations of the first ``counts`` of ``differences`` (..., N): (..., K) each."""
    firsts = [differences[..., :count] for count in counts]
    means = [first.mean(axis=-1) for first in firsts]
    return np.stack(means, axis=-1), np.stack([f.std(axis=-1, ddof=1) for f in firsts], axis=-1)


def words(
    mean: Floats, std: Floats, counts: Looks, levels: Levels, paper: Floats, margin: Floats
) -> Codes:
    """The word of each look by itself, from the moments (..., K) of its differences.

    ``paper`` and ``margin`` broadcast to (..., K). A ``paper`` of NaN or 0 means that the paper has
    no difference.
    """
    root = np.sqrt(counts)
    wide = std / root * [quantile(count, levels.sign) for count in counts]
    narrow = std / root * [quantile(count, levels.margin, sides=1) for count in counts]
    pair = std * [one_pair(count, levels.size) for count in counts]
    known = np.nan_to_num(paper) != 0
    toward = np.where(known, np.sign(paper), 1)  # the paper's direction, or else the claim's
    found, more = toward * mean > wide, toward * (mean - paper)
    against = toward * mean < -wide
    cases = {
        Verdict.UNDECIDED: (std <= NO_SPREAD) | (np.array(counts) < LEAST_SEEDS),
        Verdict.BETTER: found & ~known,
        Verdict.WORSE: against & ~known,
        Verdict.CONTRADICTED: against,
        Verdict.SMALLER: found & (more < -pair),
        Verdict.LARGER: found & (more > pair),
        Verdict.REPRODUCED: found,
        Verdict.NO_DIFFERENCE: abs(mean) + narrow < margin,
    }
    codes = [np.int8(WORDS.index(word)) for word in cases]
    return np.select(list(cases.values()), codes, np.int8(WORDS.index(Verdict.UNDECIDED)))


def one_pair(count: int, level: float) -> float:
    """Half the prediction interval of one more pair, in sample deviations of ``count`` pairs.

    The paper's difference is that of such a pair of runs.
    """
    return quantile(count, level) * math.sqrt(1 + 1 / count)


def first_decided(codes: Codes) -> tuple[Codes, npt.NDArray[np.intp]]:
    """The word that stays, and the place of its look: (..., K) to (...) each.

    It is the word of the first look that decides or, if none does, of the last look.
    """
    decides = np.isin(codes, [code for code, word in enumerate(WORDS) if word.decided])
    at = np.where(decides.any(axis=-1), decides.argmax(axis=-1), codes.shape[-1] - 1)
    return np.take_along_axis(codes, at[..., None], axis=-1)[..., 0], at


def p_values(mean: Floats, std: Floats, counts: Looks) -> Floats:
    """The nominal two-sided p of the t test at each look, from moments (..., K); 1 if no spread."""
    from scipy.special import stdtr

    flat = std <= NO_SPREAD
    t = abs(mean) / np.where(flat, 1, std) * np.sqrt(counts)
    found: Floats = np.where(flat, 1, 2 * stdtr(np.array(counts) - 1, -t))
    return found
