"""Predictions on exactly the test set, and the numbers that follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from pytorch_lightning import Trainer

from eleatt_bench.runs.predictions import Predictions
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule


def predict(
    trainer: Trainer, classifier: SequenceClassifier, data: SequenceDataModule
) -> np.ndarray:
    """Logits (N, classes) of the N test samples, in the order of ``data.split.test``.

    Every sample is there once, on any number of devices: each rank predicts its own share and
    all of them exchange the results.
    """
    outputs = trainer.predict(classifier, datamodule=data) or []
    own = [(logits.cpu().numpy(), indices) for logits, indices in outputs]
    if trainer.world_size > 1:
        shares: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(shares, own)
        own = [batch for share in shares for batch in share]
    logits = np.concatenate([batch[0] for batch in own])
    indices = np.concatenate([batch[1] for batch in own])
    order = np.argsort(indices, kind="stable")
    if not np.array_equal(indices[order], data.split.test):
        raise RuntimeError("the predictions are not of exactly the test set")
    return logits[order]


def measure(logits: np.ndarray, data: SequenceDataModule) -> dict[str, float]:
    """Loss and accuracy over the test set, and ``accuracy_clean`` without repeated sequences.

    ``accuracy_clean`` is left out if the protocol tells no repeated sequences, or if all are such.
    """
    labels = torch.from_numpy(data.store.labels[data.split.test])
    scores = torch.from_numpy(logits).double()
    correct = (scores.argmax(1) == labels).double().numpy()
    metrics = {"loss": float(F.cross_entropy(scores, labels)), "accuracy": float(correct.mean())}
    clean = data.split.clean
    if clean is not None and clean.any():
        metrics["accuracy_clean"] = float(correct[clean].mean())
    return metrics


def predictions(logits: np.ndarray, data: SequenceDataModule) -> Predictions:
    """``logits`` (N, classes) with the labels and names of the N test samples."""
    test = data.split.test
    return Predictions(
        names=np.array([data.store.names[i].encode() for i in test]),
        labels=data.store.labels[test],
        logits=logits.astype(np.float32),
        class_names=data.store.class_names,
        clean=data.split.clean,
    )
