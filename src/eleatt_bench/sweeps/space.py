"""What a search may try: sweeps in Hydra's own grammar, read and checked before any trial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.overrides import check_override, parse
from eleatt_bench.config.setup import hydra_ready
from eleatt_bench.runs.identity import identity, is_place

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

_NO_DIMENSION = frozenset(
    {"experiment", "seed", "quick", "hydra", "data", "data.name", "data.protocol", "data.fold",
     "data.val_seed", "data.val_fraction", "data.limit", "trainer.selection"}
)  # fmt: skip
"""Settings that cannot be searched, because runs that differ in them cannot be compared.

Such runs train or validate on other samples, or are judged by another epoch (the best epoch always
validates at least as well as the last).
"""

_MOST_STEPS = 10_000  # of a range


@dataclass(frozen=True)
class Choices:
    """``choice(a, b)`` or ``a,b``: words with no order."""

    key: str
    values: tuple[str, ...]

    @property
    def samples(self) -> tuple[str, ...]:
        """Values that show whether the dimension can be composed."""
        return self.values

    def suggest(self, trial: BaseTrial) -> str:
        """The value for ``trial``, as it is written in an override."""
        return str(trial.suggest_categorical(self.key, self.values))


@dataclass(frozen=True)
class Interval:
    """``interval(low, high)``, both ends included; whole numbers where both ends are."""

    key: str
    low: float
    high: float
    log: bool

    @property
    def samples(self) -> tuple[str, ...]:
        return repr(self.low), repr(self.high)

    def suggest(self, trial: BaseTrial) -> str:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return repr(trial.suggest_int(self.key, self.low, self.high, log=self.log))
        return repr(trial.suggest_float(self.key, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Steps:
    """``range(start, stop, step)``: numbers in even steps, ascending, without ``stop``."""

    key: str
    values: tuple[float, ...]

    @property
    def samples(self) -> tuple[str, ...]:
        return repr(self.values[0]), repr(self.values[-1])

    def suggest(self, trial: BaseTrial) -> str:
        return repr(self.values[trial.suggest_int(self.key, 0, len(self.values) - 1)])


Dimension = Choices | Interval | Steps


@dataclass(frozen=True)
class Space:
    """The overrides of every trial, and the dimensions in which trials differ."""

    fixed: tuple[str, ...]
    dimensions: tuple[Dimension, ...]

    def overrides(self, trial: BaseTrial) -> list[str]:
        """The overrides of the run that ``trial`` does."""
        return [*self.fixed, *(f"{d.key}={d.suggest(trial)}" for d in self.dimensions)]

    @property
    def corner(self) -> list[str]:
        """The overrides of one run of the space, always the same."""
        return [*self.fixed, *(f"{d.key}={d.samples[0]}" for d in self.dimensions)]

    def variants(self) -> Iterator[list[str]]:
        """The overrides of the runs that differ from the corner in one sample of one dimension."""
        for place, dimension in enumerate(self.dimensions, start=len(self.fixed)):
            yield from _variants(self.corner, place, dimension)

    def check(self, composer: Composer) -> None:
        """Compose runs at the ends of every dimension, and at each of its choices.

        Raises:
            UserError: one of them is no configuration, or a dimension does not change the run.
        """
        far = [*self.fixed, *(f"{d.key}={d.samples[-1]}" for d in self.dimensions)]
        for place, dimension in enumerate(self.dimensions, start=len(self.fixed)):
            if _differ(self.corner, place, dimension, composer):
                continue
            with suppress(UserError):  # the other ends together may be no configuration
                if _differ(far, place, dimension, composer):
                    continue
            raise UserError(
                f"{dimension.key} is no part of a run's name here, so that trials with "
                f"{' and '.join(dimension.samples)} would be one run: give it one value"
            )


def _variants(base: Sequence[str], place: int, dimension: Dimension) -> Iterator[list[str]]:
    """``base`` with each sample of ``dimension``, whose override stands at ``place``."""
    for value in dimension.samples:
        yield [*base[:place], f"{dimension.key}={value}", *base[place + 1 :]]


def _differ(base: Sequence[str], place: int, dimension: Dimension, composer: Composer) -> bool:
    """Whether runs that differ from ``base`` in nothing but ``dimension`` are different runs."""
    configs = [composer.config(overrides) for overrides in _variants(base, place, dimension)]
    found = [(identity(config, None), config["pretraining"]) for config in configs]
    return all(one not in found[:number] for number, one in enumerate(found))


def read_space(fixed: Sequence[str], overrides: Sequence[str]) -> Space:
    """The space of the ``fixed`` overrides and of ``overrides``, some of which are sweeps.

    Raises:
        UserError: a key does not exist or comes twice, a sweep is empty or does not change the
            run, or there is no sweep at all.
    """
    said, dimensions = list(fixed), list[Dimension]()
    keys = {parse(text).key_or_group for text in fixed}
    for text in overrides:
        check_override(text)
        override = parse(text)
        key = override.get_key_element()
        if override.key_or_group in keys:  # however it is written: +key, ++key, group@package
            raise UserError(f"{override.key_or_group} is said twice: once is enough")
        keys.add(override.key_or_group)
        if override.is_sweep_override():
            dimensions.append(_dimension(key, override, text))
        else:
            said.append(text)
    if not dimensions:
        raise UserError(
            "Nothing to search: give at least one sweep, e.g. "
            "'optimizer.lr=tag(log,interval(1e-4,1e-2))' or 'model.hidden_size=choice(64,100)'"
        )
    return Space(tuple(said), tuple(dimensions))


def read_file(path: Path) -> list[str]:
    """The overrides in a YAML file that maps keys to sweeps or values.

    Raises:
        UserError: it is not there, or holds something else; the message names the key at fault.
    """
    try:
        # Nodes, not values: only Hydra decides what is a number or a time.
        content = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}") from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, yaml.MappingNode):
        raise UserError(f"{path} must map keys to sweeps: optimizer.lr: interval(1e-4, 1e-2)")
    for key, value in content.value:
        if not isinstance(value, yaml.ScalarNode) or not value.value:
            raise UserError(
                f"{path}: {key.value} is no text or number: write a sweep as text, e.g. "
                f"{key.value}: choice(1, 2)"
            )
    return [f"{key.value}={value.value}" for key, value in content.value]


def _dimension(key: str, override: Override, text: str) -> Dimension:
    if is_place(key):
        raise UserError(
            f"{text}: {key} is no part of a run's name, so that all trials would be one run: give "
            "it one value"
        )
    plain = override.key_or_group
    if plain in _NO_DIMENSION or plain.split(".")[0].split("/")[0] in _NO_DIMENSION - {"data"}:
        raise UserError(
            f"{text}: {plain} cannot be searched, because trials that differ in it cannot be "
            "compared: give it one value"
        )
    value = override.value()
    tags = getattr(value, "tags", set[str]())
    interval = isinstance(value, IntervalSweep)
    if tags - ({"log"} if interval else set()):
        what = "an interval takes none but log" if interval else "only an interval takes a tag, log"
        raise UserError(f"{text}: unknown tag {sorted(tags)[0]!r}; {what}")
    if isinstance(value, IntervalSweep):
        return _interval(key, value, text)
    if isinstance(value, RangeSweep):
        return _range(key, value, text)
    if isinstance(value, ChoiceSweep):
        value.shuffle = False  # the same command must be the same search
    try:
        with hydra_ready():
            words = list(override.sweep_string_iterator())
    except HydraException as error:
        raise UserError(f"{text}: {error}") from error
    if not words:
        raise UserError(f"{text}: it is empty")
    return Choices(key, tuple(dict.fromkeys(words)))


def _range(key: str, value: RangeSweep, text: str) -> Steps:
    """The steps in decimals, as they are written: Hydra's sums of binary fractions reach the end.

    So ``range(0,0.8,0.1)`` would have 0.7000000000000001 and 0.8.
    """
    given = [number or 0 for number in (value.start, value.stop, value.step)]
    if not all(math.isfinite(number) for number in given):
        raise UserError(f"{text}: its ends and its step must be finite numbers")
    start, stop, step = (Decimal(repr(number)) for number in given)
    if not step:
        raise UserError(f"{text}: its step is 0")
    if (count := math.ceil((stop - start) / step)) > _MOST_STEPS:
        raise UserError(f"{text}: {count:,} values are too many; take an interval(low,high)")
    if count < 1:
        raise UserError(f"{text}: it is empty")
    kind = int if all(isinstance(number, int) for number in given) else float
    return Steps(key, tuple(sorted(kind(start + number * step) for number in range(count))))


def _interval(key: str, value: IntervalSweep, text: str) -> Interval:
    low, high, log = value.start, value.end, "log" in value.tags
    assert low is not None
    assert high is not None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"{text}: both ends must be finite numbers")
    if low >= high:
        raise UserError(f"{text}: it is empty: write the smaller end first")
    if log and low <= 0:
        raise UserError(f"{text}: on a logarithmic scale both ends must be above 0")
    return Interval(key, low, high, log)
