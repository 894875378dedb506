"""The description of each curve, which TensorBoard shows at the sign beside its name."""

from __future__ import annotations

from eleatt_bench.training.board.gates import CLOSED, WATCHED

_OF_GATE = f"of the gate's attention a_t to {WATCHED} validation samples, after the epoch"
_SELECTED = ", by the selected weights, which are of this epoch"

LEGEND = {
    "train/loss": "Cross-entropy, mean over the epoch's samples as they were trained on",
    "train/accuracy": "Share of right predictions to the epoch's samples as they were trained on",
    "val/loss": "Cross-entropy, mean over the validation samples, after the epoch",
    "val/accuracy": "Share of right predictions to the validation samples, after the epoch",
    "optimizer/lr": "Learning rate of the epoch",
    "optimizer/grad_norm": "Norm of all gradients before clipping, mean of the epoch's finite ones",
    "optimizer/grad_norm_max": "Norm of all gradients before clipping, largest of the epoch",
    "time/seconds_per_step": "From one batch to the next while training, mean over the epoch",
    "gate/mean": f"Mean {_OF_GATE}: 1 lets everything in, 0 nothing",
    "gate/std": f"Standard deviation {_OF_GATE}, over elements and frames",
    "gate/closed": f"Share of nearly closed elements, below {CLOSED} ({CLOSED} / D for a softmax "
    f"over D), {_OF_GATE}",
    "result/test_accuracy": f"Share of right predictions to the test set{_SELECTED}",
    "result/test_accuracy_clean": "The same without the test samples that repeat training ones",
    "result/test_loss": f"Cross-entropy, mean over the test set{_SELECTED}",
    "result/val_accuracy": f"Share of right predictions to the validation samples{_SELECTED}",
}


def meaning(tag: str) -> str:
    """The description of the curve ``tag``, whatever layer the end of the tag names."""
    return LEGEND[tag.split("_layer")[0]]
