"""The refusal of transforms that the frames of a store do not allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.layout import KINDS
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.transforms.geometry import JOINTS

_OF_SKELETONS = {"origin": "null", "view": "null", "scaling": "0", "streams": "[joints]"} | {
    f"{name}.{axis}": "0" for name in ("rotation", "axis_scaling") for axis in "xyz"
}
"""The transforms for skeletons only, each with the value that turns it off."""

_OF_IMAGES = {"shift": "0"}
"""The transforms for images only, in the same way."""


def check(config: Mapping[str, Any], store: SequenceStore) -> None:
    """Refuse transforms in ``config``, the section ``data.transforms``, that ``store`` forbids.

    Raises:
        UserError: geometry without skeletons, a shift without images or not less than their side,
            the origin of a store whose frames have been moved there already, the view of a skeleton
            without one of its `JOINTS`, or bones where there are none.
    """
    layout = store.layout
    for kind, settings in (("skeleton", _OF_SKELETONS), ("image", _OF_IMAGES)):
        for name, off in settings.items():
            if layout["kind"] != kind and _is_on(config, name):
                raise UserError(
                    f"data.transforms.{name} is for {KINDS[kind]}; {store.name} holds "
                    f"{KINDS[layout['kind']]}: set data.transforms.{name}={off}"
                )
    if layout["kind"] == "image":
        smaller = min(layout["height"], layout["width"])
        if config["shift"] >= smaller:
            raise UserError(
                f"data.transforms.shift is {config['shift']}; it must be less than {smaller}, the "
                f"pixels along a side of the images of {store.name}"
            )
    if layout["kind"] != "skeleton":
        return
    if config["origin"] == "sequence" and store.origin_applied:
        raise UserError(
            f"{store.path} already has its origin moved: set data.transforms.origin=null"
        )
    if config["view"]:
        missing = [joint for joint in JOINTS if joint not in layout["joints"]]
        if missing:
            raise UserError(
                f"data.transforms.view needs the joints {', '.join(JOINTS)}; the skeletons of "
                f"{store.name} have no {missing[0]}: set data.transforms.view=null"
            )
    if "bones" in config["streams"] and not layout.get("bones"):
        raise UserError(
            f"data.transforms.streams has bones; the skeletons of {store.name} have none: set "
            "data.transforms.streams=[joints]"
        )


def _is_on(config: Mapping[str, Any], name: str) -> bool:
    section, _, axis = name.partition(".")
    value = config[section][axis] if axis else config[section]
    return bool(value) and value != ["joints"]
