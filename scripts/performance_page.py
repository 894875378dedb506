"""Write docs/performance.md from the files of the scripts bench_*.py.

    .venv/bin/python scripts/performance_page.py docs/performance/*.csv > docs/performance.md

No number in the page's tables is typed by hand. docs/performance/notes.md is; it comes last.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from performance_layers import Row, layers, table

HEAD = """\
# How fast the layer is

`scripts/performance_page.py` makes this page from `docs/performance/`, where `scripts/bench_*.py`
(`make bench` for layers) put every measurement with quartiles and seconds.

A ratio is the time of a layer divided by that of a reference layer of the same cell and sizes:
the median over rounds, in turns in one process. **Below 1 is faster.** References have no attention
gate; layers with the gate do up to 2.5 times their arithmetic.

- **torch's**: `torch.nn.GRU`, `nn.LSTM` and `nn.RNN`. On a CPU only `nn.LSTM` calls the recurrent
  primitives of oneDNN; the others multiply and apply their functions step by step.
- **oneDNN's**: these primitives themselves (`scripts/onednn/rnn.cpp`); of the GRUs the vanilla one
  is the paper's, linear-before-reset is `reset_after`. Weights are reordered at every call, as in
  a framework; memory is allocated once. They read no lengths, so no ragged batch.
- *train*: forward and backward; the input needs a gradient, as inside a network. *train, first
  layer*: it needs none (oneDNN computes it all the same). *inference*: forward in `inference_mode`.
- *ragged*: sequences have a fifth to all of the longest one's frames; torch's layers get them
  packed.
- *error*: the largest relative error against the equations in float64, on a piece of the batch.

malloc keeps freed memory, as in every command ([below](#memory-that-is-used-again)). Otherwise all
arrays of more than 32 MB, those of torch's LSTM among them, would be mapped and cleared anew.
"""

PATH_GOAL, OPENING_GOAL = 10, 0.2  # times what the network consumes; seconds
PREPARE_GOALS = (150, 1000, 1.0)  # MB/s at least; MB in memory and seconds to a batch, at most
LAUNCH_GOAL = 0.5  # seconds
SHOWING_GOALS = {  # (runs, seconds): the goal for so many runs or fewer
    "table": ((2_000, 1.0), (20_000, 3.0)),
    "runs list": ((20_000, 2.0),),
}
SHOWING_MEMORY = 500  # MB
EPOCH_GOALS = {"gated": 0.29, "ungated": 0.25}  # ratios for N-UCLA on one thread
BUSY = 1.1  # a thread whose wall time is more than this times its CPU time shares its core


def loading(rows: list[Row]) -> Iterator[str]:
    """What `scripts/bench_data.py` measured: the data path against the network."""
    yield (
        "`scripts/bench_data.py`: the data path loads a batch of training samples (shuffles, "
        "gathers, pads) and transforms it (augmentation); the network of three layers takes a "
        "training step on it, in turns on the same cores. The ratio is the time of the step "
        "divided by that of the data path: median over the batches, quartiles. Goals: "
        f"{PATH_GOAL} or more; {OPENING_GOAL} s or less to open a store, which is mapped into "
        "memory, not read.\n"
    )
    heads = ["store, experiment, model", "opens in", "first batch after", "load", "transform",
             "training step", "ratio"]  # fmt: skip
    lines = []
    for row in rows:
        opening, middle = float(row["open_seconds"]), float(row["ratio_median"])
        values = [f"{1e3 * opening:.1f} ms" + (" **missed**" if opening > OPENING_GOAL else "")]
        values.append(f"{1e3 * (opening + float(row['startup_seconds'])):.0f} ms")
        for part in ("load", "transform", "step"):
            values.append(f"{1e3 * float(row[f'{part}_seconds']):.1f} ms")
        low, high = float(row["ratio_q1"]), float(row["ratio_q3"])
        values.append(
            f"{middle:.1f} ({low:.1f}–{high:.1f})" + (" **missed**" if middle < PATH_GOAL else "")
        )
        size = f"{int(row['sequences']):,} sequences, {int(row['store_bytes']) / 1e6:,.0f} MB"
        lines.append([f"{row['store']} ({size}), {row['experiment']}, {row['model']}", *values])
    yield from table(heads, lines)


def preparing(rows: list[Row]) -> Iterator[str]:
    """What `scripts/bench_prepare.py` measured: the way from a data set's files to a batch."""
    speed_goal, memory_goal, batch_goal = PREPARE_GOALS
    yield (
        "`scripts/bench_prepare.py`: `eleatt-bench data prepare ntu` on as many generated skeleton "
        "files as NTU RGB+D has. MB/s are those of the uncompressed text. *In memory* is the most "
        "that all processes hold together. *First batch*: to open the store and to load, pad and "
        "rotate 256 training samples, with everything imported. Goals: "
        f"{speed_goal} MB/s, {memory_goal:,} MB and {batch_goal:g} s.\n"
    )
    lines = []
    for row in rows:
        seconds, size = float(row["seconds"]), int(row["source_bytes"])
        speed, peak = size / seconds / 1e6, int(row["peak_bytes"]) / 1e6
        batch = float(row["first_batch_seconds"])
        lines.append(
            [f"{row['prepared_from']}, {int(row['files']):,} files, {size / 1e9:.1f} GB",
             f"{seconds:.0f} s", f"{speed:.0f} MB/s" + (" **missed**" * (speed < speed_goal)),
             f"{peak:.0f} MB" + (" **missed**" * (peak > memory_goal)),
             f"{int(row['store_bytes']) / 1e9:.1f} GB",
             f"{batch:.2f} s" + (" **missed**" * (batch > batch_goal))]
        )  # fmt: skip
    heads = ["prepared from", "in", "speed", "in memory", "store", "first batch"]
    yield from table(heads, lines)


def launching(rows: list[Row]) -> Iterator[str]:
    """What `scripts/bench_launcher.py` measured: the cost of starting a job of a sweep."""
    yield (
        "`scripts/bench_launcher.py`: one-epoch networks on the digits, one job after the other. "
        "Starting and ending a job is its time in the launcher minus the training and testing in "
        "its record. Warm jobs are forked from a process that has everything imported (its start "
        "is in the total), cold ones are processes of their own. Goal for a warm job: "
        f"{LAUNCH_GOAL} s or less.\n"
    )
    lines = []
    for row in rows:
        cost = float(row["cost_median"])
        missed = " **missed**" if row["start"] == "warm" and cost > LAUNCH_GOAL else ""
        lines.append(
            [f"{row['start']}, {row['jobs']} jobs", f"{float(row['total_seconds']):.0f} s",
             f"{float(row['own_seconds']):.2f} s", f"{cost:.2f} s{missed}",
             f"{float(row['cost_max']):.2f} s"]
        )  # fmt: skip
    heads = ["", "all jobs", "a job's own work", "starting and ending it", "at most"]
    yield from table(heads, lines)


def showing(rows: list[Row]) -> Iterator[str]:
    """What `scripts/bench_table.py` measured: the time it takes to show a table, or all runs."""
    goals = ", ".join(
        f"{goal:g} s for `{name}` of {most:,} runs"
        for name, steps in SHOWING_GOALS.items()
        for most, goal in steps
    )
    yield (
        "`scripts/bench_table.py`: whole commands, from the start of Python to its end, on a "
        f"folder of {int(rows[0]['run_folders']):,} runs of the digits. The first time, Hydra "
        "composes and all records and predictions are read; the answers are kept in "
        f"`~/.cache/eleatt-bench`. Goals for the median of later times: {goals} or fewer; "
        f"{SHOWING_MEMORY} MB at most.\n"
    )
    lines = []
    for row in rows:
        median, low, high = (float(row[f"seconds_{name}"]) for name in ("median", "min", "max"))
        steps, runs = SHOWING_GOALS[row["command"]], int(row["runs"])
        goal = next((goal for most, goal in steps if runs <= most), steps[-1][1])
        missed = " **missed**" if median > goal else ""
        peak, first = int(row["peak_bytes"]) / 1e6, float(row["seconds_first"])
        lines.append(
            [f"`{row['command']}`, {runs:,} runs", f"{first:.2f} s",
             f"{median:.2f} s ({low:.2f}–{high:.2f}){missed}",
             f"{peak:.0f} MB" + (" **missed**" if peak > SHOWING_MEMORY else "")]
        )  # fmt: skip
    yield from table(["", "the first time", "later (fastest–slowest)", "in memory"], lines)


def epochs(rows: list[Row]) -> Iterator[str]:
    """What `scripts/bench_epoch.py` measured: an epoch of ours against a plain loop's."""
    alone = [row for row in rows if row["num_threads"] == "1"]
    busy = any(
        float(row["torch_seconds"]) > BUSY * float(row["torch_cpu_seconds"]) for row in alone
    )
    yield (
        "`scripts/bench_epoch.py` (`make bench-epoch`): an epoch of `eleatt-bench train`, with "
        "data path, validation, metrics, curves, events and checkpoints, over an epoch of a plain "
        "loop around `torch.nn.GRU`. Each is a process of its own, in turns, epoch by epoch. A "
        f"ratio is the median of {rows[0]['rounds']} rounds, the smallest in brackets. *Wall* is "
        "what you wait for, *CPU* the user and system time of all threads. `nucla` is N-UCLA; "
        "`mnist` and `ntu` are generated: images as large as MNIST's, sequences as long and wide "
        "as those of NTU RGB+D. Goals for `nucla` on one thread: "
        f"{EPOCH_GOALS['gated']} with the gate, {EPOCH_GOALS['ungated']} without.\n\n"
        "The plain loop (`scripts/bench_plain_loop.py`) has the same batches, classifier, loss "
        "and optimizer, and all data in memory. It packs or pads, whichever is faster, and writes "
        "nothing. The libraries set its threads and memory, so a waiting thread counts as "
        "computing.\n"
    )
    if busy:
        yield "**The machine was busy with other work: the ratios of CPU time count.**\n"
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        case = (row["epoch_of"], row["num_threads"], row["dropout"])
        seconds = (float(row[f"torch_{kind}"]) for kind in ("seconds", "cpu_seconds"))
        line = lines.setdefault(case, ["{:.1f} s, {:.1f} s".format(*seconds)])
        for kind in ("ratio", "cpu_ratio"):
            middle, least = (float(row[f"{kind}_{which}"]) for which in ("median", "min"))
            counts = case[:2] == ("nucla", "1") and (kind == "cpu_ratio") is busy
            missed = counts and round(middle, 2) > EPOCH_GOALS[row["gate"]]
            line.append(f"{middle:.2f} ({least:.2f})" + (" **missed**" if missed else ""))
    heads = ["data, threads, dropout", "torch's: wall, CPU", "gate: wall", "gate: CPU",
             "no gate: wall", "no gate: CPU"]  # fmt: skip
    yield from table(heads, [[", ".join(case), *line] for case, line in lines.items()])


KINDS = (  # the first column of a file, what it is about, and its section
    ("", "", layers),
    ("store", "How fast samples come: ", loading),
    ("prepared_from", "How fast a data set is prepared: ", preparing),
    ("start", "What a job of a sweep costs: ", launching),
    ("command", "How long it takes to show a table: ", showing),
    ("epoch_of", "How long an epoch takes: ", epochs),
)


def kind(rows: list[Row]) -> str:
    first = next(iter(rows[0]))
    return first if first in [column for column, _, _ in KINDS] else ""


def _short(commit: str) -> str:
    """The beginning of ``commit``, and whether files differed from it."""
    return commit[:12] + ", with changes" * commit.endswith("+changes")


def page(files: list[tuple[str, list[Row]]], notes: str) -> Iterator[str]:
    yield HEAD
    for column, what, section in KINDS:
        for name, rows in files:
            if kind(rows) != column:
                continue
            about = rows[0]
            threads = f"{about['threads']} thread{'s' * (about['threads'] != '1')}"
            yield f"## {what}{about['device']}, {threads}\n"
            gpu = f"Triton {about['triton']}, driver {about['driver']}, " if about["driver"] else ""
            yield (
                f"{about['cores']} cores, torch {about['torch']}, {gpu}Python {about['python']}, "
                f"{about['date']}, commit {_short(about['commit'])}: `{name}`\n"
            )
            yield from section(rows)
    yield notes


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]]
    if not files:
        sys.exit("usage: performance_page.py FILE.csv ... > docs/performance.md")
    read = []
    for path in files:
        with path.open(newline="") as file:
            read.append((path.name, list(csv.DictReader(file))))
    notes = files[0].parent / "notes.md"
    text = "\n".join(page(read, notes.read_text() if notes.exists() else ""))
    print(text.rstrip())


if __name__ == "__main__":
    main()
