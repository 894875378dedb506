"""What a person sees of a run: a bar in a terminal, elsewhere a line per epoch; and log.txt."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from eleatt_bench.launch.ranks import is_first


class Display:
    """The output of a run, made by `display`. Everything printed goes to the log as well."""

    def __init__(self, log: TextIO, *, echo: bool, bar: Progress | None = None) -> None:
        self._log, self._echo, self._bar = log, echo, bar
        self._task = bar.add_task("", summary="") if bar else None

    def say(self, line: str) -> None:
        """Print ``line``, whether or not there is a bar."""
        self.log(line)
        if self._echo:
            print(line, flush=True)

    def epoch(self, line: str) -> None:
        """Print the line of an epoch, or only log it if a bar shows the same."""
        if self._bar is None:
            self.say(line)
        else:
            self.log(line)

    def log(self, text: str) -> None:
        """Write ``text`` to the log alone, with the time in front."""
        print(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}", file=self._log, flush=True)

    def advance(self, epochs: float, total: int, metrics: dict[str, float]) -> None:
        """Show that ``epochs`` of ``total`` are done; ``metrics`` are the last whole epoch's."""
        if self._bar is None or self._task is None:
            return
        summary = f"epoch {min(int(epochs) + 1, total)}/{total}"
        if metrics:
            summary += f"  loss {metrics['train/loss']:.3f}  val {metrics['val/accuracy']:.1%}"
        self._bar.update(self._task, completed=epochs, total=total, summary=summary)


@contextmanager
def display(log: Path) -> Iterator[Display]:
    """A `Display` that appends to ``log``; a silent one, except on the first process of a run."""
    if not is_first():
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            yield Display(nowhere, echo=False)
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        if not sys.stdout.isatty():
            yield Display(file, echo=True)
            return
        bar = Progress(
            TextColumn("{task.fields[summary]}"),
            BarColumn(bar_width=None),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            transient=True,
        )
        with bar:
            yield Display(file, echo=True, bar=bar)
