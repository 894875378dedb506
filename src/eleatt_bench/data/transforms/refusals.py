"""What the frames of a store do not allow to be done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.layout import KINDS
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.transforms.geometry import JOINTS

_OFF = {"origin": "null", "view": "null", "scaling": "0", "streams": "[joints]"} | {
    f"{name}.{axis}": "0" for name in ("rotation", "axis_scaling") for axis in "xyz"
}
"""What is for skeletons only, each with the value that turns it off."""


def check(config: Mapping[str, Any], store: SequenceStore) -> None:
    """Refuse what ``config``, the section ``data.transforms``, asks of a ``store`` without it.

    Raises:
        UserError: geometry of what is no skeleton, the origin of a store whose frames have been
            moved there already, the view of a skeleton without shoulders, bones where there are
            none.
    """
    layout = store.layout
    if layout["kind"] != "skeleton":
        for name, off in _OFF.items():
            if _is_on(config, name):
                raise UserError(
                    f"data.transforms.{name} is for skeletons; {store.name} holds "
                    f"{KINDS[layout['kind']]}: set data.transforms.{name}={off}"
                )
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
