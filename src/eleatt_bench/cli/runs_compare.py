"""``eleatt-bench runs compare``: two runs side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.cli.offers import run_ids
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.common.nested import leaves
from eleatt_bench.common.text import columns, terminal_width
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.identity import tested_on, without_seed
from eleatt_bench.runs.record import all_runs, find_run
from eleatt_bench.runs.values import Run

_OF_A_RUN = ("epochs", "best_epoch", "parameters", "timing.seconds_per_epoch", "device")
_UNSAID = ("data_dir", "runs_dir", "force", "table")
"""Settings that say nothing about the run, not even where it was computed."""
_BUT_THE_SEED = (without_seed, partial(without_seed, follows=False))
"""An identity but for the seed, whether ``val_seed`` follows it or is fixed at the same number."""


def compare(arguments: Sequence[str]) -> None:
    """Print how two runs differ."""
    parser = Parser(
        "eleatt-bench runs compare",
        description="Two runs side by side: the settings in which they differ, what they came to, "
        "the paired difference on the test samples that both have predicted, and that over all "
        "seeds that are finished of both.",
    )
    for name in ("a", "b"):
        parser.add_argument(
            name, metavar=name.upper(), help="an id, or a beginning of it", offers=run_ids
        )
    given = parser.parse(arguments)
    a, b = (Run(find_run(runs_dir(), name)) for name in (given.a, given.b))
    for letter, run in (("A", a), ("B", b)):
        print(f"{letter}  {run.folder.run_id}  {run.values['status']}")
        if run.values["status"] == "damaged":
            print(f"   {run.values['error']}")
    width = terminal_width()
    settings = [[key, _text(x), _text(y)] for key, x, y in differences(a, b)]
    print("\nThey differ in:" if settings else "\nNo setting differs.")
    for line in columns(["", "A", "B"], settings, width) if settings else ():
        print(line)
    print()
    for line in columns(["", "A", "B", "A − B"], list(_metrics(a, b)), width):
        print(line)
    print(f"\n{_on_the_same_samples(a, b)}")
    if over_seeds := _over_seeds(a, b):
        print(f"\n{over_seeds}")


def differences(a: Run, b: Run) -> Iterator[tuple[str, Any, Any]]:
    """The settings in which two runs differ: first those in the run's name, then the others."""
    known = [dict(leaves(run.record.get("identity", {}))) for run in (a, b)]
    for key in dict.fromkeys(key for part in (*known, a.config, b.config) for key in part):
        if key.split(".")[0] not in _UNSAID and a.get(key) != b.get(key):
            yield key, a.get(key), b.get(key)


def _metrics(a: Run, b: Run) -> Iterator[list[str]]:
    named = [key for run in (a, b) for key in run.values if "/" in key]
    for key in dict.fromkeys((*named, *_OF_A_RUN)):
        x, y = a.get(key), b.get(key)
        share = "accuracy" in key
        difference = ""
        if isinstance(x, int | float) and isinstance(y, int | float):
            whole = isinstance(x, int) and isinstance(y, int)
            difference = f"{x - y:+,}" if whole else f"{x - y:+,.5g}"
            difference = f"{100 * (x - y):+.2f} points" if share else difference
        texts = (f"{v:.2%}" if share and isinstance(v, int | float) else _text(v) for v in (x, y))
        yield [key, *texts, difference]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict | None):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.5g}"


def _on_the_same_samples(a: Run, b: Run) -> str:
    """The paired difference on the test samples that both predicted, in a sentence or two."""
    import numpy as np

    from eleatt_bench.runs.predictions import read_predictions
    from eleatt_bench.tables.samples import paired

    if a.get("data.name") != b.get("data.name"):
        return "They were tested on different data sets."
    try:
        ours, theirs = (read_predictions(run.folder) for run in (a, b))
    except UserError as error:
        return f"There is no paired difference: {error}"
    if ours is None or theirs is None:
        lack = " and ".join(n for n, one in (("A", ours), ("B", theirs)) if one is None)
        return f"{lack} left no predictions, so there is no paired difference."
    _, first, second = np.intersect1d(ours.names, theirs.names, return_indices=True)
    if len(first) == 0:
        return "No test sample is in both."
    alike = np.array_equal(ours.labels[first], theirs.labels[second])
    if not alike or len(ours.class_names) != len(theirs.class_names):
        return (
            "They were tested on other labels of the same samples: there is no paired difference."
        )
    found = paired(ours.right[first].astype(np.int64) - theirs.right[second])
    return (
        f"On the same {len(first):,} test samples A is right alone on {found.only_first:,}, B "
        f"alone on {found.only_second:,}: A − B is {found.mean:+.2f} points, 95 % interval "
        f"{found.interval.low:+.2f} to {found.interval.high:+.2f} (paired bootstrap), "
        f"p = {found.p:.2g} (McNemar, exact)."
    )


def _over_seeds(a: Run, b: Run) -> str:
    """A − B over the seeds that both have finished, judged as a claim that no table declared.

    Empty if the runs differ in nothing but the seed; a refusal if they were tested on other data.
    """
    from eleatt_bench.report.numbers import signed
    from eleatt_bench.report.verdict_text import judgement_text
    from eleatt_bench.tables.judge import judge
    from eleatt_bench.tables.judgement import Design
    from eleatt_bench.tables.power import MOST_SEEDS

    known = [run.record["identity"] for run in (a, b) if "identity" in run.record]
    if len(known) < 2 or any(like(known[0]) == like(known[1]) for like in _BUT_THE_SEED):
        return ""
    if tested_on(known[0]) != tested_on(known[1]):
        return "No comparison over seeds: the runs differ in data, protocol, fold or limit."
    of_a, of_b = (_by_seed(one, a.folder.path.parent) for one in known)
    seeds = tuple(sorted(of_a.keys() & of_b.keys()))[:MOST_SEEDS]
    if not seeds:
        return "No comparison over seeds: no seed is finished in both."
    found = judge(of_a, of_b, Design(seeds, (len(seeds),)))
    found = replace(found, exploratory=True)
    assert found.mean is not None  # there is at least one seed
    text = f"Over {len(seeds)} seed{'s' * (len(seeds) > 1)} of both "
    text += f"({', '.join(map(str, seeds))}) A − B is {signed(found.mean)} points"
    if found.low is not None and found.high is not None:
        text += f", {100 * found.confidence:.0f} % interval {signed(found.low)} to "
        text += f"{signed(found.high)} (t)"
    return f"{text}: {judgement_text(found)}."


def _by_seed(identity: dict[str, Any], runs: Path) -> dict[int, float]:
    """Test accuracies (%) of the finished ``runs`` that differ from ``identity`` in the seed alone.

    They are by seed. Whether ``val_seed`` follows the seed, is as more of these runs have it.
    """
    records = [folder.read() for folder in all_runs(runs)]
    finished = [one for one in records if says_finished(one)]
    found = [
        {
            record["identity"]["seed"]: 100 * record["metrics"]["test"]["accuracy"]
            for record in finished
            if like(record["identity"]) == like(identity)
        }
        for like in _BUT_THE_SEED
    ]
    return max(found, key=len)
