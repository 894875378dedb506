"""What a run shows in TensorBoard, epoch by epoch: curves, pictures, its settings and results."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary, SummaryMetadata
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.common.extras import is_installed
from eleatt_bench.runs.curves import logged
from eleatt_bench.training.board import pictures
from eleatt_bench.training.board.hparams import finals, session
from eleatt_bench.training.board.legend import meaning
from eleatt_bench.training.board.scalars import EpochScalars
from eleatt_bench.training.checkpoints import Checkpoints
from eleatt_bench.training.classifier import SequenceClassifier, classifier_of
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.loggers.past import LoggedRow

ATTENTION_EVERY = 10
"""Epochs between pictures of attention; a run of fewer epochs draws no picture at its end."""
_ATTENTION, _CONFUSION = "visual/attention", "visual/confusion"  # after all curves, by the alphabet
SHARE = 0.01
"""The share of the training time that pictures may take while training goes on."""
_FIRST_PICTURE = 0.2  # seconds that the first picture is expected to take


class TensorBoard(Callback):
    """Writes event files to ``folder``, on the first process of a run; a step is an epoch, from 1.

    ``config`` is the run's plain configuration. ``epochs_before`` is the number of epochs that
    earlier processes did; what they logged after these epochs is purged, and what ``past`` gives of
    these epochs is added where nothing was logged. The callback ``scalars`` must come before this
    one. Nothing here has an influence on any number of the training.

    A picture of a kind is drawn again only once the number of epochs has doubled. It then waits
    until drawing has taken at most `SHARE` of the training time, unless a newer one of its kind
    replaces it. Pictures that still wait at the end are drawn then, unless the run was short.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        data: SequenceDataModule,
        scalars: EpochScalars,
        checkpoints: Checkpoints,
        past: Callable[[], Sequence[LoggedRow]],
        epochs_before: int,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._config, self._data, self._scalars = folder, config, data, scalars
        self._checkpoints, self._epochs_before, self._say = checkpoints, epochs_before, say
        self._past = past
        self._epoch = epochs_before  # the last whole epoch
        # By tag: the epoch, and what draws the picture.
        self._waiting: dict[str, tuple[int, Callable[[], pictures.Pixels]]] = {}
        self._drawn_at: dict[str, int] = {}  # by tag, the epoch of the last picture
        self._trained = self._drawn = 0.0  # seconds
        self._cost = _FIRST_PICTURE  # seconds of the picture before

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        done = self._epochs_before
        there = max(logged(self._folder).get("train/loss", ()), default=0) if done else 0
        with _named_last(self._folder):
            # An interrupt within its queue may leave the writer's thread asleep until it flushes.
            self._writer = SummaryWriter(
                str(self._folder), purge_step=done + 1 if done else 0, flush_secs=1
            )
        if not there:
            self._writer.add_text("config", _as_code(self._config, self._folder.parent.name), 0)
        # Epochs that are not there had another logger, or were lost with the power.
        for row in self._past() if there < done else ():
            if row.epoch > there:
                _add(self._writer, _scalars(row.values, with_legend=True), row.epoch)
        self._can_draw = is_installed("matplotlib")
        if not self._can_draw:
            self._say(
                "TensorBoard gets no pictures, for want of matplotlib: "
                "pip install 'eleatt-bench[figures]'"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self._epoch = self._scalars.epoch
        self._trained += self._scalars.seconds
        classifier, attention = classifier_of(pl_module), self._scalars.attention
        first = self._epoch == self._epochs_before + 1
        _add(self._writer, _scalars(self._scalars.values, with_legend=first), self._epoch)
        if self._can_draw:
            if self._checkpoints.improved(classifier.epoch_metrics):
                self._wait_for_confusion(classifier)
            if self._epoch == 1 or self._epoch % ATTENTION_EVERY == 0:
                self._wait_for_attention(attention)
            for tag in self._due():
                if self._drawn + self._cost <= SHARE * self._trained:
                    self._draw(tag)
        self._writer.flush()  # out of this process before the epoch counts as done

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        if self._can_draw and self._epoch >= ATTENTION_EVERY and self._trained:
            if self._epoch % ATTENTION_EVERY:
                self._wait_for_attention(self._scalars.attention)
            for tag in list(self._waiting):
                self._draw(tag)
        self._writer.close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if trainer.is_global_zero and hasattr(self, "_writer"):
            with suppress(OSError):  # the error that ended the run matters more
                self._writer.close()

    def finish(self, metrics: Mapping[str, Mapping[str, float]], epoch: int) -> None:
        """Write the settings and the final ``metrics``, those of the weights after ``epoch``.

        They are for the HPARAMS page, and go to a file of their own, which replaces that of an
        earlier process.
        """
        for old in self._folder.glob("events.*.final"):
            old.unlink()
        with _named_last(self._folder):
            last = SummaryWriter(str(self._folder), filename_suffix=".final")
        with last as writer:
            for summary in session(self._config):
                _add(writer, summary, epoch)
            _add(writer, _scalars(finals(metrics), with_legend=True), epoch)

    def _wait_for_confusion(self, classifier: SequenceClassifier) -> None:
        counts = classifier.epoch_confusion.cpu().numpy()
        right = f"{np.trace(counts)} of {counts.sum()} right"
        title = f"Validation after epoch {self._epoch}: {right}"
        draw = partial(pictures.confusion, counts, self._data.store.class_names, title)
        self._waiting[f"{_CONFUSION}_validation"] = (self._epoch, draw)

    def _wait_for_attention(self, attention: Mapping[str, npt.NDArray[np.float32]]) -> None:
        for layer in list(attention)[:1]:
            panels = self._scalars.gates.panels(layer, attention[layer])
            softmax = self._config["model"]["gate"] == "softmax"
            means = "shares of 1" if softmax else "1 lets an element in, 0 keeps it out"
            title = f"Attention, {layer}, after epoch {self._epoch}\n{means}"
            draw = partial(pictures.attention, panels, title, None if softmax else 1.0)
            self._waiting[f"{_ATTENTION}_{layer}"] = (self._epoch, draw)

    def _due(self) -> list[str]:
        """The tags of pictures to be drawn now, the one that has waited longest first."""
        return [
            tag
            for tag, (epoch, _) in self._waiting.items()
            if epoch >= 2 * self._drawn_at.get(tag, 0)
        ]

    def _draw(self, tag: str) -> None:
        began = time.perf_counter()
        epoch, draw = self._waiting.pop(tag)
        self._drawn_at[tag] = epoch
        self._writer.add_image(tag, draw(), epoch, dataformats="HWC")
        self._cost = time.perf_counter() - began
        self._drawn += self._cost


def _add(writer: SummaryWriter, summary: Summary, epoch: int) -> None:
    file: Any = writer.file_writer  # torch declares it to be None
    file.add_summary(summary, epoch)


def _scalars(values: Mapping[str, float], *, with_legend: bool) -> Summary:
    """``values``, by tag, as one event, which costs a fraction of one event for each value."""
    summary = Summary()
    for tag, value in values.items():
        metadata = None
        if with_legend:
            metadata = SummaryMetadata(
                summary_description=meaning(tag),
                plugin_data={"plugin_name": "scalars"},
                data_class=DATA_CLASS_SCALAR,
            )
        summary.value.add(tag=tag, simple_value=value, metadata=metadata)
    return summary


def _as_code(config: Mapping[str, Any], run_id: str) -> str:
    """``config`` as a block of YAML in Markdown, under the command that shows its run."""
    yaml = OmegaConf.to_yaml(OmegaConf.create(dict(config)))
    lines = [f"    {line}" for line in yaml.splitlines()]
    return "\n".join([f"`eleatt-bench runs show {run_id}`", "", *lines])


@contextmanager
def _named_last(events: Path) -> Iterator[None]:
    """Let the name of an event file that is made in the body come after those in ``events``.

    TensorBoard reads event files in the order of their names, which begin with the time in seconds.
    If the clock was set back, it would read the new file too early and discard its epochs.
    """
    named = (re.match(r"events\.out\.tfevents\.(\d{10})\.", path.name) for path in events.glob("*"))
    second = max([int(time.time()), *(int(match[1]) + 1 for match in named if match)])
    event_file_writer.time = SimpleNamespace(time=lambda: float(second))
    try:
        yield
    finally:
        event_file_writer.time = time
