"""The network of the paper as a Lightning module: recurrent layers, dropout, one linear layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.targets import resolve_target
from eleatt_bench.data.batches import Batch
from eleatt_bench.data.store import Integers
from eleatt_bench.data.transforms import Transforms
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn.stack import Stack
from eleatt_bench.training.dropout import SampleDropout
from eleatt_bench.training.seeding import seed_everything

LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
_MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


class SequenceClassifier(LightningModule):
    """Classify padded sequences by the mean of per-frame logits, or by the last frame's.

    ``config`` is the run's plain configuration (`eleatt_bench.config.schema.TrainConfig` as dicts);
    ``transforms`` are applied to every batch on the device.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        input_size: int,
        num_classes: int,
        transforms: Transforms,
    ) -> None:
        super().__init__()
        self.config = config
        self.transforms = transforms
        model = config["model"]
        self.readout: str = model["readout"]
        self._last_layer: int = model["num_layers"] - 1
        self.recurrent = build_layers(model, input_size)
        self.dropout = SampleDropout(model["dropout"], config["seed"])
        self.recurrent.drop_by(self.dropout)
        features = model["hidden_size"] * (2 if model["bidirectional"] else 1)
        self.classifier = nn.Linear(features, num_classes)
        self._reset_parameters()
        if config["trainer"]["precision"] == "64-true":
            self.double()  # Lightning does so only in training, too late for weights to be read

        # "disable": the mean with a NaN is NaN; by default torchmetrics would leave it out.
        self.train_loss = MeanMetric(nan_strategy="disable")
        self.val_loss = MeanMetric(nan_strategy="disable")
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.val_confusion = MulticlassConfusionMatrix(num_classes)
        self.steps = 0  # of the optimizer, in this epoch
        self.lost_steps = 0  # in the last whole epoch: steps whose gradient had no finite norm
        self._grad_norms = torch.empty(0)  # of the steps of this epoch, before clipping
        self.epoch_metrics: dict[str, float] = {}  # of the epoch that just ended
        self.epoch_confusion = torch.empty(0)  # of its validation: (actual, predicted) class
        self.scheduler: Any = None

    def _reset_parameters(self) -> None:
        # Weights are drawn from the seed alone, and those of gates last, so that under one seed a
        # gated network begins with the cells and the classifier of the plain one.
        seed_everything(self.config["seed"])
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        try:
            self.recurrent.reset_parameters(**self.config["model"]["init"])
        except ValueError as error:
            raise UserError(f"model.init: {error}") from error

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, classes) of ``inputs`` (B, T, D), transformed, with ``lengths`` (B,)."""
        output, _ = self.recurrent(inputs.to(self.classifier.weight.dtype), lengths=lengths)
        if self.readout == "last":
            last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, output.shape[2])
            features = self.dropout.of_last(output.gather(1, last).squeeze(1), self._last_layer)
        else:
            # The mean of the frames' logits is the logits of the mean frame; the padding is zero.
            kept = self.dropout(output.transpose(0, 1), self._last_layer)
            features = kept.sum(0) / lengths[:, None]
        logits: Tensor = self.classifier(features)
        return logits

    def classify(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, classes) of ``frames`` (B, T, D) with ``lengths`` (B,), as they are tested.

        Frames are as in a prepared data set, zero-padded, on the network's device. A network that
        reads pixels takes whole images, too, and puts their pixels in its order. The frames go
        through the run's transforms, even in training mode without augmentation, and then through
        the network, in the run's precision.
        """
        inputs, lengths = self.transforms.steps(frames, lengths)
        labels, indices = torch.zeros_like(lengths), np.arange(len(frames))
        return self._classified(Batch(inputs, lengths, labels, indices, len(frames), epoch=0))

    def _classified(self, batch: Batch) -> Tensor:
        with self.autocast():
            batch = self.transforms(batch, training=False)
            logits: Tensor = self(batch.inputs, batch.lengths)
        return logits

    def autocast(self) -> torch.autocast:
        """A context of the run's precision: autocast if it is a mixed one, else no autocast."""
        dtype = _MIXED.get(self.config["trainer"]["precision"])
        kind = self.classifier.weight.device.type
        return torch.autocast(kind, dtype=dtype, enabled=dtype is not None)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self.transforms(batch, training=True)
        self.dropout.draw_for(batch)
        losses = self._observe(batch, "train")
        self.dropout.forget()
        # Lightning averages gradients over the processes, and over the batches of a step as if all
        # were whole. Dividing by the number of all samples of the step makes the step independent
        # of how the samples are divided.
        shares = self.trainer.world_size * self.trainer.accumulate_grad_batches
        return losses.sum() * shares / batch.batch_size_global

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._observe(self.transforms(batch, training=False), "val")

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Integers]:
        """Logits (B, classes) and the store's indices (B,) of the samples they belong to."""
        return self._classified(batch).float(), batch.indices

    def _observe(self, batch: Batch, stage: str) -> Tensor:
        logits = self(batch.inputs, batch.lengths)
        smoothing = self.config["loss"]["label_smoothing"] if stage == "train" else 0.0
        losses = F.cross_entropy(logits, batch.labels, reduction="none", label_smoothing=smoothing)
        if len(batch.labels):
            loss, accuracy = self._metrics(stage)
            loss.update(losses.detach())
            accuracy.update(logits.detach(), batch.labels)
            if stage == "val":
                self.val_confusion.update(logits.detach(), batch.labels)
        return losses

    def on_train_epoch_start(self) -> None:
        seed_everything(self.config["seed"], self.current_epoch)
        # One array for all norms: small ones that stay while the arrays of the steps come and go
        # would lie between those, and glibc would find no room there for the next arrays. In a
        # training of 784 frames, memory grew by 12 MB a step, to 20 GB in an epoch.
        batches, together = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        self._grad_norms = torch.empty(math.ceil(batches / together), device=self.device)
        self.steps = 0

    def on_validation_epoch_end(self) -> None:
        # Validation closes the epoch, so the training metrics are complete here as well.
        norms = self._grad_norms[: self.steps]  # the same on all processes
        finite = norms.isfinite()
        # The scaler of 16-mixed raises its scale until gradients overflow, and skips such steps.
        scaled = self.config["trainer"]["precision"] == "16-mixed"
        self.lost_steps = 0 if scaled else int((~finite).sum())
        self.epoch_metrics = {
            "lr": self.trainer.optimizers[0].param_groups[0]["lr"],
            "grad_norm": float(norms[finite].mean()),
            "grad_norm_max": float(norms.max()),
        }
        metrics: dict[str, Metric] = {}
        for stage in ("train", "val"):
            metrics[f"{stage}/loss"], metrics[f"{stage}/accuracy"] = self._metrics(stage)
        for name, metric in metrics.items():
            self.epoch_metrics[name] = float(metric.compute())
            metric.reset()
        self.epoch_confusion = self.val_confusion.compute()
        self.val_confusion.reset()

    def _metrics(self, stage: str) -> tuple[MeanMetric, MulticlassAccuracy]:
        if stage == "train":
            return self.train_loss, self.train_accuracy
        return self.val_loss, self.val_accuracy

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer; the scheduler is kept here and stepped by `callbacks.Schedule`."""
        optimizer_config, scheduler = self.config["optimizer"], self.config["scheduler"]
        optimizer: torch.optim.Optimizer = _instantiate(
            optimizer_config["_target_"],
            self.parameters(),
            lr=optimizer_config["lr"],
            weight_decay=optimizer_config["weight_decay"],
            **optimizer_config["options"],
        )
        self._check_steps(optimizer)
        if scheduler["_target_"] is not None:
            self.scheduler = _instantiate(scheduler["_target_"], optimizer, **scheduler["options"])
        return optimizer

    def _check_steps(self, optimizer: torch.optim.Optimizer) -> None:
        """Raise a `UserError` for options of torch's optimizers that training here cannot use."""
        if optimizer.defaults.get("fused") and self.config["trainer"]["precision"] == "16-mixed":
            # A fused optimizer divides by the scale only after the gradients are clipped.
            raise UserError(
                "optimizer.options: fused=true steps with gradients that are still scaled, which "
                "trainer.precision=16-mixed cannot clip: leave it out, or use bf16-mixed"
            )
        for name, what in (("capturable", "CUDA graphs"), ("differentiable", "its derivative")):
            if optimizer.defaults.get(name):
                raise UserError(
                    f"optimizer.options: {name}=true makes a step for {what}, which a training "
                    "here has no use for and cannot be continued with: leave it out"
                )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the global norm, and note it; a gradient without a finite norm becomes zero.

        A gradient can overflow on its way through hundreds of frames. Its norm is infinite then.
        Clipping would make its finite elements zero and the others NaN, so that a single such step
        would end the run.
        """
        limit = self.config["trainer"]["gradient_clip_val"]
        norm = nn.utils.clip_grad_norm_(self.parameters(), float("inf") if limit is None else limit)
        self._grad_norms[self.steps] = norm
        self.steps += 1
        lost = ~norm.isfinite()  # stays a tensor: to read it here would wait for a GPU
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad.masked_fill_(lost, 0)


def classifier_of(module: LightningModule) -> SequenceClassifier:
    """``module``, which is the classifier that this package gives to the trainer."""
    assert isinstance(module, SequenceClassifier)
    return module


def build_layers(model: Mapping[str, Any], input_size: int) -> Stack:
    """The recurrent layers that the ``model`` section of a config describes."""
    options: dict[str, Any] = {}
    if model["cell"] == "gru":
        options["reset_after"] = model["reset_after"]
    elif model["reset_after"]:
        raise UserError(f"model.reset_after is for the GRU; model.cell is {model['cell']}")
    try:
        layers = LAYERS[model["cell"]](
            input_size,
            model["hidden_size"],
            model["num_layers"],
            batch_first=True,
            bidirectional=model["bidirectional"],
            gate=model["gate"],
            gated_layers=model["gated_layers"],
            backend=model["backend"],
            **options,
        )
    except ValueError as error:
        raise UserError(f"model: {error}") from error
    layers.dropout = float(model["dropout"])  # set here: ``__init__`` warns if there is one layer
    return layers


def _instantiate(target: str, *args: Any, **kwargs: Any) -> Any:
    try:
        return resolve_target(target)(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise UserError(f"{target} does not take what the config gives it: {error}") from error
