"""The curves of a run, from its event files."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.runs.record import RunFolder

Curve = dict[int, float]
"""A value for every epoch, from 1 on."""


def read_curves(folder: RunFolder, tags: Sequence[str]) -> dict[str, Curve]:
    """What the run logged under each of ``tags``; an empty curve where it logged nothing.

    Where a run was continued, an epoch that was trained twice has the values of the second time.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sizes = {"scalars": 0, "images": 1, "tensors": 1}  # all scalars, and no more than need be
    events = EventAccumulator(str(folder.tensorboard), size_guidance=sizes).Reload()
    known = events.Tags()["scalars"]
    return {
        tag: {event.step: event.value for event in events.Scalars(tag)} if tag in known else {}
        for tag in tags
    }
