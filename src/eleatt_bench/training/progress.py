"""What a person sees of a run: a bar in a terminal, elsewhere a line per epoch; log.txt."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """Made by `display`; `say` takes the lines, `advance` moves the bar."""

    def __init__(self, log: TextIO, bar: Progress | None, total: int) -> None:
        self._log, self._bar = log, bar
        self._task = bar.add_task("", total=total, summary="") if bar else None

    def say(self, line: str) -> None:
        """Write ``line`` to the log, and to the output unless a bar stands there."""
        self.log(line)
        if self._bar is None:
            print(line, flush=True)

    def log(self, text: str) -> None:
        """Write ``text`` to the log alone, with the time in front."""
        print(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}", file=self._log, flush=True)

    def advance(self, epochs: float, total: int, metrics: dict[str, float]) -> None:
        """``epochs`` of ``total`` are done; ``metrics`` are the last whole epoch's."""
        if self._bar is None or self._task is None:
            return
        summary = f"epoch {min(int(epochs) + 1, total)}/{total}"
        if metrics:
            summary += f"  loss {metrics['train/loss']:.3f}  val {metrics['val/accuracy']:.1%}"
        self._bar.update(self._task, completed=epochs, summary=summary)


@contextmanager
def display(log: Path, total: int) -> Iterator[Display]:
    """A `Display` that appends to ``log``; ``total`` is the number of epochs."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        if not sys.stdout.isatty():
            yield Display(file, None, total)
            return
        bar = Progress(
            TextColumn("{task.fields[summary]}"),
            BarColumn(bar_width=None),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=Console(),
            transient=True,
        )
        with bar:
            yield Display(file, bar, total)
