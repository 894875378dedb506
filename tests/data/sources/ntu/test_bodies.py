"""Body selection: the published steps, transcribed one by one, against the fast ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.data.sources.ntu.bodies import Body, Recording, UnusableError, select

Tracked = list[dict[str, np.ndarray]]
"""For each frame of a recording, the joints (25, 3) in float32 of every body ID."""

UPRIGHT = np.zeros((25, 3), np.float32)
UPRIGHT[:, 1] = np.linspace(-1, 1, 25)
UPRIGHT[:, 0] = np.linspace(-0.2, 0.2, 25)
UPRIGHT[:, 2] = 3
LYING = UPRIGHT[:, [1, 0, 2]]


def recorded(tracked: Tracked) -> Recording:
    """What the parser makes of it: frames without a body gone, a body's frames together."""
    full = [frame for frame in tracked if frame]
    bodies = {}
    for number, frame in enumerate(full):
        for body, joints in frame.items():
            bodies.setdefault(body, (number, []))[1].append(joints)
    return Recording(
        len(full), [Body(start, np.stack(joints)) for start, joints in bodies.values()]
    )


def by_the_book(tracked: Tracked) -> np.ndarray | None:
    """The steps of the published preprocessing, in words turned into loops; None if none is left.

    Times are the numbers of the first and the last frame. As their authors' NumPy did, 0.8 times
    a float32 number is a float64 number.
    """
    frames = [frame for frame in tracked if len(frame) > 0]
    joints, times = {}, {}
    for number, frame in enumerate(frames):
        for body in frame:
            if body not in joints:
                joints[body], times[body] = [], [number, number - 1]
            joints[body].append(frame[body])
            times[body][1] += 1
    if not joints:
        return None
    if len(joints) == 1:
        (body,) = joints
        rows = [joint.reshape(75) for joint in joints[body]]
        return moved(np.stack([np.concatenate([row, np.zeros(75, "f4")]) for row in rows]), True)

    motion = {body: variance(joints[body]) for body in joints}
    order = list(joints)
    for body in list(order):
        if len(joints[body]) <= 11:
            order.remove(body)
    if len(order) > 1:
        for body in list(order):
            if len(order) == 1:
                break
            clean = [points for points in joints[body] if not noisy(points)]
            bad = len(joints[body]) - len(clean)
            if bad == 0:
                continue
            if bad / len(joints[body]) >= 0.69754:
                order.remove(body)
            else:
                motion[body] = min(motion[body], variance(clean))
    if not order:
        return None
    for place in range(len(order)):  # by motion, the earlier first where they are equal
        for other in range(len(order) - 1, place, -1):
            if motion[order[other]] > motion[order[other - 1]]:
                order[other - 1], order[other] = order[other], order[other - 1]

    rows = np.zeros((len(frames), 150), np.float32)
    put(rows, 0, times[order[0]], joints[order[0]])
    covered = [list(times[order[0]]), [0, 0]]
    for body in order[1:]:
        start, end = times[body]
        for actor in (0, 1):
            if min(covered[actor][1], end) - max(covered[actor][0], start) <= 0:
                put(rows, 75 * actor, times[body], joints[body])
                covered[actor] = [min(covered[actor][0], start), max(covered[actor][1], end)]
                break
    kept = [row for row in rows if not all(value == 0 for value in row)]
    return moved(np.stack(kept), False)


def variance(points: list[np.ndarray]) -> np.float32:
    return np.sum(np.var(np.concatenate(points), axis=0))


def noisy(points: np.ndarray) -> bool:
    x, y = points[:, 0], points[:, 1]
    return bool(np.float64(max(x) - min(x)) > np.float64(0.8) * np.float64(max(y) - min(y)))


def put(rows: np.ndarray, column: int, time: list[int], joints: list[np.ndarray]) -> None:
    for number, points in zip(range(time[0], time[1] + 1), joints, strict=True):
        rows[number, column : column + 75] = points.reshape(75)


def moved(rows: np.ndarray, alone: bool) -> np.ndarray:
    origin = next(row[3:6].copy() for row in rows if any(row[:75] != 0))
    result = np.zeros_like(rows)
    for number, row in enumerate(rows):
        for joint in range(25 if alone else 50):
            actor = row[:75] if joint < 25 else row[75:]
            if alone or any(actor != 0):
                result[number, 3 * joint : 3 * joint + 3] = row[3 * joint : 3 * joint + 3] - origin
    return result


@st.composite
def recordings(draw: st.DrawFn) -> Tracked:
    """Up to four bodies that come and go, stand and lie, still or moving."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    length = draw(st.integers(1, 60))
    tracked: Tracked = [{} for _ in range(length)]
    for body in range(draw(st.integers(1, 4))):
        present = np.zeros(length, bool)
        for _ in range(draw(st.integers(1, 2))):
            start = draw(st.integers(0, length - 1))
            present[start : start + draw(st.sampled_from([1, 6, 11, 12, 13, 30, 60]))] = True
        lying = draw(st.sampled_from([0.0, 0.1, 0.6, 0.69, 0.7, 1.0]))
        unrest = draw(st.sampled_from([0.0, 0.01, 0.3]))
        place = np.float32(draw(st.sampled_from([0, 0.5])))
        for number in np.flatnonzero(present):
            pose = LYING if random.random() < lying else UPRIGHT
            joints = pose + place + random.normal(scale=unrest, size=(25, 3))
            tracked[number][f"{body}"] = joints.astype(np.float32)
    return tracked


@settings(deadline=None)
@given(recordings())
def test_as_published(tracked: Tracked) -> None:
    expected = by_the_book(tracked)
    if expected is None:
        with pytest.raises(UnusableError):
            select(recorded(tracked))
        return
    frames = select(recorded(tracked))
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, expected)


def over(frames: range, joints: np.ndarray, wave: float = 0.0) -> dict[int, np.ndarray]:
    """One body in ``frames``; with ``wave`` it goes back and forth in z."""
    return {n: (joints + np.float32([0, 0, wave * (n % 2)])).astype(np.float32) for n in frames}


def scene(*bodies: dict[int, np.ndarray]) -> Tracked:
    length = 1 + max(itertools.chain(*bodies))
    return [{f"{i}": b[n] for i, b in enumerate(bodies) if n in b} for n in range(length)]


def depth(tracked: Tracked, actor: int) -> np.ndarray:
    """z of the actor's first joint, before the origin was moved from z = 3; NaN where absent."""
    frames = select(recorded(tracked))
    np.testing.assert_array_equal(frames, by_the_book(tracked))
    there = (frames[:, 75 * actor : 75 * actor + 75] != 0).any(axis=1)
    return np.where(there, frames[:, 75 * actor + 2], np.nan)


def at(z: float, base: np.ndarray = UPRIGHT) -> np.ndarray:
    return base + np.float32([0, 0, z])


def test_a_single_body_is_kept_however_short_and_flat() -> None:
    assert select(recorded(scene(over(range(1), LYING)))).shape == (1, 150)


def test_the_origin_is_the_spine_in_the_first_frame() -> None:
    frames = select(recorded(scene(over(range(3), at(1), wave=0.5)))).reshape(3, 50, 3)
    np.testing.assert_allclose(frames[:, 1], [[0, 0, 0], [0, 0, 0.5], [0, 0, 0]])
    assert not frames[:, 25:].any()


@pytest.mark.parametrize(("length", "kept"), [(11, False), (12, True)])
def test_what_is_seen_for_a_moment_is_dropped(length: int, kept: bool) -> None:
    second = depth(scene(over(range(30), UPRIGHT, wave=1), over(range(5, 5 + length), at(2))), 1)
    assert bool((~np.isnan(second)).any()) == kept


def test_only_moments() -> None:
    tracked = scene(over(range(11), UPRIGHT), over(range(5, 16), UPRIGHT))
    assert by_the_book(tracked) is None
    with pytest.raises(UnusableError, match="has 2 bodies, none of them in more than 11 frames"):
        select(recorded(tracked))


def test_flat_bodies_are_dropped_in_order_of_appearance_but_never_the_last() -> None:
    still, moving = over(range(20), at(1, LYING)), over(range(20), at(2, LYING), wave=3)
    for bodies in ((still, moving), (moving, still)):
        tracked = scene(*bodies)
        assert np.isnan(depth(tracked, 1)).all()  # the first to come is the first to go
        np.testing.assert_array_equal(
            np.ptp(select(recorded(tracked))[:, 2]) > 0, bodies[1] is moving
        )


def test_the_limit_of_flatness_is_reckoned_in_float64() -> None:
    """x reaches as far as float32's 0.8, just above 0.8 of y's reach 1; float32 would say equal."""
    border = UPRIGHT.copy()
    border[:, 0], border[:, 1] = np.linspace(0, np.float32(0.8), 25), np.linspace(0, 1, 25)
    assert noisy(border)
    tracked = scene(over(range(20), border, wave=1), over(range(20), at(1)))
    assert np.isnan(depth(tracked, 1)).all()


@pytest.mark.parametrize(("flat", "dropped"), [(69, False), (70, True)])
def test_the_share_of_flat_frames(flat: int, dropped: bool) -> None:
    body = {n: LYING if n < flat else UPRIGHT for n in range(100)}
    tracked = scene(body, over(range(100), at(1), wave=1))
    assert bool(np.isnan(depth(tracked, 1)).all()) == dropped


def test_motion_counts_on_clean_frames_only() -> None:
    jumping = {n: at(9, LYING) if n % 2 else at(2) for n in range(40)}
    swaying = over(range(40), UPRIGHT, wave=0.2)
    assert depth(scene(jumping, swaying), 0)[1] == pytest.approx(0.2)


def test_of_equal_motion_the_earlier_is_actor_one() -> None:
    tracked = scene(over(range(20), UPRIGHT, wave=2), over(range(20), at(4), wave=2))
    assert depth(tracked, 0)[0] == 0
    assert depth(tracked, 1)[0] == 4


def test_a_body_goes_to_the_first_actor_who_is_away() -> None:
    first, later = over(range(20), UPRIGHT, wave=2), over(range(19, 40), at(4), wave=1)
    both = over(range(40), at(8))
    tracked = scene(first, later, both)
    assert depth(tracked, 0)[18:21].tolist() == [0, 5, 4]  # one common frame: the later one's
    np.testing.assert_array_equal(depth(tracked, 1), np.full(40, 8))
    nobody = scene(first, over(range(40), at(4), wave=1), both)  # actor two is taken as well
    np.testing.assert_array_equal(depth(nobody, 1), 4 + np.arange(40) % 2)


def test_actor_two_covers_the_time_from_the_first_frame_on() -> None:
    main = over(range(60), UPRIGHT, wave=2)
    late, early = over(range(30, 60), at(4), wave=1), over(range(1, 30), at(8))
    assert np.isnan(depth(scene(main, late, early), 1)[:30]).all()  # early is dropped


def test_frames_in_which_nobody_is_left_vanish() -> None:
    tracked = scene(over(range(20), UPRIGHT, wave=1), over(range(15, 25), at(3)))
    assert len(select(recorded(tracked))) == 20


def test_frames_without_a_body_vanish_and_gaps_close() -> None:
    tracked = scene(over(range(14), UPRIGHT), {n: at(2) for n in (*range(3, 10), *range(12, 30))})
    tracked[1:1] = [{}, {}, {}]
    frames = select(recorded(tracked))
    np.testing.assert_array_equal(frames, by_the_book(tracked))
    assert len(frames) == 28


@pytest.mark.parametrize("bodies", [[], [Body(0, np.zeros((1, 25, 3), np.float32))]])
def test_no_body_or_nothing_but_zeros(bodies: list[Body]) -> None:
    with pytest.raises(UnusableError):
        select(Recording(len(bodies), bodies))


def test_a_body_that_is_in_one_frame_twice() -> None:
    with pytest.raises(UnusableError, match="in one frame twice"):
        select(Recording(2, [Body(0, np.stack([UPRIGHT] * 3))]))
