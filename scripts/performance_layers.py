"""The sections of docs/performance.md on the layer alone, from the files of `bench_layer.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

Row = dict[str, str]

CPU_SHAPES = ("(100, 256, 150, 100)", "(100, 32, 60, 100)", "(784, 100, 1, 100)",
              "(28, 128, 28, 100)")  # fmt: skip
GPU_SHAPES = ("(100, 256, 150, 100) × 3", "(50, 32, 60, 100) × 3", "(784, 128, 1, 128)",
              "(300, 256, 150, 100) × 3, ragged")  # fmt: skip
GOAL_PRECISIONS = ("float32", "tf32", "ieee")
MEMORY_GOAL = 1.5


class Goals(NamedTuple):
    """Goals for the ratios of a backend in training, by cell and gate, at each of ``shapes``."""

    backend: str
    ratio: str  # the column: to torch's layer or to oneDNN's
    threads: tuple[str, ...] | None  # of the files that the goals apply to; None: all
    shapes: tuple[str, ...]
    limits: dict[tuple[str, str], tuple[float | None, ...]]


PLAIN_ONEDNN = (0.9, 0.9, 0.9, 0.9)
GOALS = (
    Goals("native", "ratio", ("2",), CPU_SHAPES, {
        ("GRU", "sigmoid"): (0.50, 0.18, 0.28, 0.33),
        ("LSTM", "sigmoid"): (1.0, 1.0, 1.0, 1.0),
        ("RNN", "sigmoid"): (1.0, 1.0, 1.0, 1.0),
        ("GRU", "none"): (0.8, 0.8, 0.8, 0.8),
        ("LSTM", "none"): (0.8, 0.8, 0.8, 0.8),
        ("RNN", "none"): (0.8, 0.8, 0.8, 0.8),
    }),
    Goals("native", "onednn_ratio", ("1", "2"), CPU_SHAPES, {
        ("GRU", "sigmoid"): (1.25, 0.95, 0.95, 0.95),
        ("LSTM", "sigmoid"): (1.25, 0.95, 0.95, 0.95),
        ("RNN", "sigmoid"): (1.7, None, None, None),
        ("GRU", "none"): PLAIN_ONEDNN,
        ("GRU reset_after", "none"): PLAIN_ONEDNN,
        ("LSTM", "none"): PLAIN_ONEDNN,
        ("RNN", "none"): PLAIN_ONEDNN,
    }),
    Goals("triton", "ratio", None, GPU_SHAPES, {
        ("GRU", "sigmoid"): (1.0, 0.7, 0.5, 0.5),
        ("LSTM", "sigmoid"): (1.0, 0.7, 0.5, 0.5),
    }),
)  # fmt: skip


def shape(row: Row) -> str:
    sizes = ", ".join(row[key] for key in "TBDH")
    layers = f" × {row['layers']}" if row["layers"] != "1" else ""
    return f"({sizes}){layers}" + (", ragged" if row["ragged"] == "True" else "")


def named(row: Row) -> str:
    if row["gate"] == "torch":
        return f"torch.nn.{row['cell']}"
    cell, _, form = row["cell"].partition(" ")
    if row["backend"] == "oneDNN":
        return f"oneDNN's {cell}" + (f", `{form}`" if form else "")
    name = f"EleAtt-{cell}" if row["gate"] != "none" else f"{cell}, `gate=None`"
    return name + (f", `{form}`" if form else "")


def table(heads: list[str], lines: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join(["---"] + ["---:"] * (len(heads) - 1)) + "|"
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def goals(rows: list[Row]) -> Iterator[str]:
    """The ratios of each backend in training, with their goals."""
    threads = rows[0]["threads"]
    for backend, column, of_threads, shapes, limits in GOALS:
        if of_threads is not None and threads not in of_threads:
            continue
        other = "torch's layers" if column == "ratio" else "oneDNN's, which have no gate"
        for precision in GOAL_PRECISIONS:
            found = {
                (r["cell"], r["gate"], shape(r)): round(float(r[f"{column}_median"]), 2)
                for r in rows
                if (r["mode"], r["backend"], r["precision"]) == ("train", backend, precision)
                and r.get(f"{column}_median")
            }
            if not found:
                continue
            yield (
                f"### Goals on {threads} thread{'s' * (threads != '1')}, and what was reached: "
                f"`{backend}` over {other} (train, {precision})\n"
            )
            yield "(T, B, D, H): steps, sequences, input size, hidden size. Goal in brackets.\n"
            lines = [
                [named({"cell": cell, "gate": gate, "backend": backend})]
                + [goal(found.get((cell, gate, at)), limit)
                   for at, limit in zip(shapes, limits[cell, gate], strict=True)]
                for cell, gate in limits
            ]  # fmt: skip
            yield from table(["", *shapes], lines)


def goal(reached: float | None, limit: float | None) -> str:
    if reached is None:
        return "–"
    if limit is None:
        return f"{reached:.2f}"
    return (f"{reached:.2f}" if reached <= limit else f"**{reached:.2f} missed**") + (
        f" (≤ {limit:.2f})"
    )


def memory(rows: list[Row]) -> Iterator[str]:
    """Peak memory of a training step, as a ratio to torch's own layer."""
    known = [r for r in rows if r["peak_bytes"] and r["mode"] == "train"]
    torch = {(r["cell"], shape(r)): float(r["peak_bytes"]) for r in known if r["gate"] == "torch"}
    backends = list(dict.fromkeys(r["backend"] for r in known if r["gate"] != "torch"))
    if not backends:
        return
    lines: dict[str, dict[str, list[float]]] = {}
    for row in known:
        if row["gate"] != "torch":
            over = float(row["peak_bytes"]) / torch[row["cell"], shape(row)]
            lines.setdefault(named(row), {}).setdefault(row["backend"], []).append(over)
    yield f"### Peak memory of a training step, over torch's (goal: ≤ {MEMORY_GOAL})\n"
    yield from at_shapes(known)
    body = [
        [name, *(span(of.get(each, []), MEMORY_GOAL) for each in backends)]
        for name, of in lines.items()
    ]
    yield from table(["", *(f"`{backend}`" for backend in backends)], body)


def at_shapes(rows: list[Row]) -> Iterator[str]:
    shapes = dict.fromkeys(shape(row).removesuffix(", ragged") for row in rows)
    yield f"Smallest and largest of the ratios at {', '.join(shapes)}.\n"


def span(ratios: list[float], limit: float = math.inf) -> str:
    least, most = (f"{end(ratios):.2f}" if ratios else "–" for end in (min, max))
    missed = " **missed**" * (max(ratios, default=0.0) > limit)
    return (least if least == most else f"{least}–{most}") + missed


def over_torch(rows: list[Row]) -> Iterator[str]:
    """All layers and backends, full batches first: the ratios of the best and the worst shape."""
    modes = list(dict.fromkeys(r["mode"] for r in rows))
    tables: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda r: r["ragged"]):
        if row["gate"] != "torch":
            tables.setdefault((row["ragged"], row["precision"]), []).append(row)
    for (ragged, precision), here in tables.items():
        yield f"### Over torch's, {'ragged' if ragged == 'True' else 'full'} batches, {precision}\n"
        yield from at_shapes(here)
        lines: dict[tuple[str, str], list[Row]] = {}
        for row in here:
            lines.setdefault((named(row), row["backend"]), []).append(row)
        body = [
            [*line,
             *(span([float(r["ratio_median"]) for r in of if r["mode"] == m]) for m in modes),
             f"{max(float(r['error']) for r in of):.0e}"]
            for line, of in lines.items()
        ]  # fmt: skip
        yield from table(["layer", "backend", *modes, "error"], body)


def layers(rows: list[Row]) -> Iterator[str]:
    """What `scripts/bench_layer.py` measured."""
    yield from goals(rows)
    yield from memory(rows)
    yield from over_torch(rows)
