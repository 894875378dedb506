"""Whether a run can begin: asked before the run of before is removed for it."""

from __future__ import annotations

import torch

from eleatt_bench.data.store import SequenceStore
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.checkpoints import begin_with
from eleatt_bench.training.fit import Config, as_user_errors, build, make_trainer


@as_user_errors()
def check_begins(
    config: Config, store: SequenceStore, folder: RunFolder, source: RunFolder | None
) -> None:
    """Begin the run of ``config`` as `fit` does, with one frame of zeros instead of its data.

    Nothing in ``folder`` is read or written. The run draws no other numbers for it: they begin
    anew with every network.

    Raises:
        UserError: the run cannot begin here, e.g. for want of a GPU.
    """
    data, classifier = build(config, store)
    trainer = make_trainer(config["trainer"], folder, [])
    if source is not None:
        begin_with(classifier, source)
    device = trainer.strategy.root_device
    classifier.to(device).configure_optimizers()
    with trainer.precision_plugin.forward_context():
        frame = torch.zeros(1, 1, data.input_size, device=device)
        classifier(frame, torch.ones(1, dtype=torch.int64, device=device))
