"""What makes two runs the same run: everything that can change a number, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

RECIPE_VERSION = 3
"""Raised whenever a change of the code can change a number: older runs are then other runs."""

PLACES = (
    "launcher",
    "logger",
    "table",
    "force",
    "data_dir",
    "runs_dir",
    "model.backend",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.num_threads",
    "trainer.profiler",
)
"""Sections and settings that say where and how a run is computed: no part of its identity."""
REDRAWN = {("sysu", "same_subject"): 2, ("nucla", "cross_view_dev"): 2}
"""How often the splits of a protocol have been drawn, by data set and protocol.

Runs on other splits are other runs.
"""

OMITTED = (
    ("data", "limit", None),
    ("data.transforms", "shift", 0),
    ("", "quick", False),
    ("", "loss", {"label_smoothing": 0.0}),
    ("trainer", "accumulate_grad_batches", 1),
)
"""Later settings: left out at the value that earlier runs had, so these keep their names."""


def identity(
    config: Mapping[str, Any],
    data_digest: str | None,
    pretraining: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The identity of the run of ``config`` (plain and resolved) on the data with ``data_digest``.

    Every setting that is not among `PLACES` belongs to it, so that no new setting is forgotten.
    ``data_digest`` is None on a machine without the data: such an identity has no `run_id`.
    ``pretraining`` is the identity of the run whose weights this run begins with. ``config`` is not
    changed; the identity shares with it the values that lie deeper than a section.
    """
    result = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in PLACES and key != "pretraining"
    }
    for section, _, key in (place.partition(".") for place in PLACES if "." in place):
        result[section].pop(key, None)
    result["model"]["gated_layers"] = gated_layers(result["model"])
    if not result["model"]["gated_layers"]:
        result["model"]["gate"] = None  # a gate on no layer is the network without one
    for section, key, default in OMITTED:
        within = result
        for name in section.split(".") if section else ():
            within[name] = dict(within[name])
            within = within[name]
        if within.get(key, default) == default:  # earlier runs lack this setting
            within.pop(key, None)
    if number := REDRAWN.get((result["data"]["name"], result["data"]["protocol"])):
        result["data"]["splits"] = number
    result["data"]["digest"] = data_digest
    result["recipe_version"] = RECIPE_VERSION
    if pretraining is not None:
        result["pretraining"] = deepcopy(dict(pretraining))
    return result


def is_place(key: str) -> bool:
    """Whether the setting ``key`` says where a run is computed, and not what it is."""
    parts = key.split(".")
    return any(".".join(parts[:depth]) in PLACES for depth in range(1, len(parts) + 1))


def gated_layers(model: Mapping[str, Any]) -> list[int]:
    """The 0-based indices of the gated layers: the same list for the same network."""
    if model["gate"] is None:
        return []
    if model["gated_layers"] is None:
        return list(range(model["num_layers"]))
    return sorted(set(model["gated_layers"]))


def without_digest(identity: Mapping[str, Any]) -> dict[str, Any]:
    """``identity`` without the digest of its data, and without that of its pre-training's data."""
    result = {**identity, "data": {**identity["data"], "digest": None}}
    if "pretraining" in result:
        result["pretraining"] = without_digest(result["pretraining"])
    return result


def without_seed(identity: Mapping[str, Any], *, follows: bool = True) -> dict[str, Any]:
    """``identity`` without its seed, and without the seed of its pre-training.

    A ``val_seed`` that equals the seed is left out as well, unless ``follows`` is false: then it is
    fixed at that number. That of a pre-training on other data always follows.
    """
    data = identity["data"]
    result = {**identity, "seed": None}
    if follows and data.get("val_seed") == identity["seed"]:
        result["data"] = {**data, "val_seed": None}
    if before := identity.get("pretraining"):
        elsewhere = before["data"]["name"] != data["name"]
        result["pretraining"] = without_seed(before, follows=follows or elsewhere)
    return result


def without_recipe(identity: Mapping[str, Any]) -> dict[str, Any]:
    """``identity`` without its recipe, and without that of its pre-training."""
    result = {**identity, "recipe_version": None}
    if "pretraining" in result:
        result["pretraining"] = without_recipe(result["pretraining"])
    return result


def is_named(identity: Mapping[str, Any]) -> bool:
    """Whether all data that the run needs are known by their digests, so that it has a name."""
    before = identity.get("pretraining")
    return identity["data"]["digest"] is not None and (before is None or is_named(before))


def with_seed(identity: Mapping[str, Any], seed: Any, keys: Iterable[str]) -> dict[str, Any]:
    """``identity`` with ``seed`` as the value of ``keys``, such as ``data.val_seed``."""
    result = dict(identity)
    for key in keys:
        section, _, name = key.rpartition(".")
        if section:
            result[section] = {**result[section], name: seed}
        else:
            result[name] = seed
    return result


def run_id(identity: Mapping[str, Any]) -> str:
    """The run's name: a readable beginning, then the hash that decides.

    Both come from ``identity`` alone, so two machines agree on the name.
    """
    (name,) = run_ids(identity, [identity["seed"]], ["seed"])
    return name


_PLACEHOLDER = "\0seed"


def run_ids(
    identity: Mapping[str, Any], seeds: Iterable[int], keys: Sequence[str]
) -> Iterator[str]:
    """The names of the runs of ``identity`` with each of ``seeds`` as the value of ``keys``.

    Raises:
        ValueError: the identity lacks the digest of data.
    """
    if not is_named(identity):
        raise ValueError("without the data's digest a run has no name")
    # JSON is made once, because that takes longer than all the rest.
    parts = _canonical(with_seed(identity, _PLACEHOLDER, keys)).split(_canonical(_PLACEHOLDER))
    kind = f"{'quick-' if identity.get('quick') else ''}{identity['data']['name']}"
    for seed in seeds:
        digest = hashlib.sha256(str(seed).join(parts).encode()).hexdigest()  # str: as JSON has it
        yield f"{kind}-{model_name(identity)}-seed{seed}-{digest[:12]}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content(identity: Mapping[str, Any]) -> str:
    """A digest of ``identity`` without the digest of its data."""
    return _digest(without_digest(identity))


def tested_on(identity: Mapping[str, Any]) -> list[Any]:
    """What decides which samples a run is tested on, and what their labels are."""
    data = identity["data"]
    return [data.get(key) for key in ("name", "digest", "protocol", "fold", "limit")]


def data_of(identity: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Name and digest of the data of a run, and of those of its pre-training; None: not here."""
    before = data_of(identity["pretraining"]) if "pretraining" in identity else []
    return [*before, (identity["data"]["name"], identity["data"]["digest"])]


def likeness(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What tells whether other runs are like the run of ``identity``.

    The digests `content` and `but_numbers`; its `data_of`; ``kind``, which names data set, sequence
    and cell; ``limit``; and whether the run is ``quick``.
    """
    data = identity["data"]
    return {
        "content": content(identity),
        "but_numbers": but_numbers(identity),
        "data": list(map(list, data_of(identity))),  # as JSON has it
        "kind": f"{data['name']} {data['sequence']} {model_name(identity)}",
        "limit": data.get("limit"),
        "quick": bool(identity.get("quick")),
    }


def but_numbers(identity: Mapping[str, Any]) -> str:
    """A digest of ``identity`` without seed, fold, recipe and the digest of its data."""
    return _digest(_without_fold(without_recipe(without_seed(without_digest(identity)))))


def _without_fold(identity: Mapping[str, Any]) -> dict[str, Any]:
    """``identity`` without its fold, and without that of its pre-training, which follows it."""
    result = {**identity, "data": {**identity["data"], "fold": None}}
    if "pretraining" in result:
        result["pretraining"] = _without_fold(result["pretraining"])
    return result


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def model_name(identity: Mapping[str, Any]) -> str:
    """``gru`` or ``eleatt_gru``: the cell, and whether any layer is gated."""
    gated = bool(identity["model"]["gated_layers"])
    return ("eleatt_" if gated else "") + str(identity["model"]["cell"])
