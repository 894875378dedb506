"""What the numbers of a frame belong to."""

from __future__ import annotations

from itertools import permutations

from eleatt_bench.data.layout import step_size, vector_names
from eleatt_bench.data.sources import ntu, nucla


def test_every_vector_of_a_step_has_a_name_of_its_own() -> None:
    for layout in (nucla.LAYOUT, ntu.LAYOUT):
        for streams in permutations(["joints", "bones", "velocities"]):
            names = vector_names(layout, streams)
            assert 3 * len(names) == step_size(layout, streams)
            assert len(set(names)) == len(names)


def test_names_come_in_the_order_of_the_streams() -> None:
    assert vector_names(nucla.LAYOUT, ["joints"]) == list(nucla.JOINTS)
    both = vector_names(nucla.LAYOUT, ["bones", "velocities"])
    assert both[0] == "hip centre – spine"
    assert both[len(nucla.BONES)] == "hip centre, velocity"


def test_the_second_body_is_told_from_the_first() -> None:
    names = vector_names(ntu.LAYOUT, ["joints"])
    assert names[25:] == [f"{name} (2)" for name in names[:25]]
