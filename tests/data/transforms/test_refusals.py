"""What a store does not allow is said in one sentence with what mends it."""

from __future__ import annotations

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources import hand

NO_BONES = {"kind": "skeleton", "joints": ["a", "b"], "bones": [], "origin": 0}


def test_the_origin_cannot_be_moved_twice(transforms, make_skeletons) -> None:
    there_already = make_skeletons(origin_applied=True)
    with pytest.raises(UserError, match=r"already has its origin moved.*origin=null$"):
        transforms(there_already, origin="sequence")
    transforms(there_already, origin="frame")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"origin": "sequence"}, "origin is for skeletons; digits holds images: .*origin=null$"),
        ({"origin": "frame"}, "origin is for skeletons"),
        ({"view": "sequence"}, "view is for skeletons; digits holds images: .*view=null$"),
        ({"rotation": (0, 1, 0)}, r"rotation.y is for skeletons; .*rotation\.y=0$"),
        ({"scaling": 0.1}, "scaling is for skeletons; .*scaling=0$"),
        ({"axis_scaling": (0, 0, 0.1)}, r"axis_scaling.z is for .*axis_scaling\.z=0$"),
        ({"streams": ["velocities"]}, r"streams is for skeletons; .*streams=\[joints\]$"),
        ({"streams": ["joints", "bones"]}, "streams is for skeletons"),
    ],
)
def test_geometry_is_for_skeletons(transforms, digits, changes: dict, says: str) -> None:
    with pytest.raises(UserError, match=rf"data\.transforms\.{says}"):
        transforms(digits, **changes)


def test_a_shift_is_for_images_that_are_larger(transforms, digits, make_store) -> None:
    says = r"shift is for images; nucla holds skeletons: set data\.transforms\.shift=0$"
    with pytest.raises(UserError, match=rf"data\.transforms\.{says}"):
        transforms(shift=1)
    features = make_store([2], name="jhmdb", layout={"kind": "features"})
    with pytest.raises(UserError, match="shift is for images; jhmdb holds features"):
        transforms(features, shift=1)
    transforms(digits, shift=7)
    with pytest.raises(UserError, match=r"shift is 8; it must be less than 8, .* of digits$"):
        transforms(digits, shift=8)


def test_features_are_called_features(transforms, make_store) -> None:
    store = make_store([2], name="jhmdb", layout={"kind": "features"})
    with pytest.raises(UserError, match="is for skeletons; jhmdb holds features: set"):
        transforms(store, rotation=(1, 1, 1))


def test_what_needs_no_skeleton_is_allowed(transforms, digits) -> None:
    transforms(digits, noise=0.1, time_warp=0.2, resample=5)


def test_a_view_needs_shoulders(transforms, make_store) -> None:
    store = make_store([2], name="shrec17", width=66, layout=hand.LAYOUT)
    says = r"view needs the joints hip centre, .*; the skeletons of shrec17 have no hip centre: .*"
    with pytest.raises(UserError, match=says + r"view=null$"):
        transforms(store, view="frame")


def test_bones_need_bones(transforms, make_store) -> None:
    store = make_store([2], layout=NO_BONES)
    says = r"streams has bones; the skeletons of nucla have none: set .*streams=\[joints\]$"
    with pytest.raises(UserError, match=says):
        transforms(store, streams=["joints", "bones"])
    transforms(store, streams=["joints", "velocities"])
