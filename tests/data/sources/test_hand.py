"""Skeleton files and lists of the two hand data sets, whole and broken."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources import hand
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.sources.hand import Trial

SOURCE = Source(Path("/release"), "the release", "prepare --source PATH")
COLUMNS = ("gesture", "finger", "subject")
LINE = " ".join(["0.5"] * 66)


def parse(content: bytes) -> np.ndarray:
    return hand.parse(SOURCE, "f.txt", content)


def member(path: str, content: bytes = b"") -> Member:
    return Member(PurePosixPath(path), path, lambda: content)


def in_line(position: int, word: str) -> str:
    words = LINE.split()
    words[position] = word
    return " ".join(words)


@settings(deadline=None)
@given(
    values=hnp.arrays(
        np.float64, st.tuples(st.integers(1, 4), st.just(66)), elements=st.floats(-100, 100)
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    form=st.sampled_from(["{!r}", "{:.6f}", "{:e}", "{:g}"]),
)
def test_frames_equal_a_slow_transcription(values, end: str, last: bool, form: str) -> None:
    text = end.join(" ".join(form.format(v) for v in row) for row in values.tolist())
    frames = parse((text + (end if last else "")).encode())
    assert frames.dtype == np.float32
    assert frames.shape == values.shape
    for index, line in enumerate(text.splitlines()):
        for joint in range(22):
            for axis in range(3):
                written = float(line.split(" ")[3 * joint + axis])
                assert frames[index, 3 * joint + axis] == np.float32(written)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f.txt is empty"),
        ("\r\n \n", "f.txt is empty"),
        (f"{LINE}\n{LINE} 0.5\n", "f.txt line 2 has 67 numbers, not 66"),
        (f"{LINE}\n{LINE[:40]}", "f.txt line 2 has 10 numbers, not 66"),
        (f"{LINE}\n\n{LINE}\n", "f.txt line 2 has 0 numbers, not 66"),
        (in_line(3, "nought"), "f.txt line 1 holds 'nought', which is not a number"),
        (in_line(65, "0,5"), "f.txt line 1 holds '0,5', which is not a number"),
        (in_line(0, "1_0"), "f.txt line 1 holds '1_0', which is not a number"),
        (in_line(0, "0x1"), "f.txt line 1 holds '0x1', which is not a number"),
        (in_line(0, "\x1b[2J"), r"line 1 holds '\\x1b\[2J', which is not a number"),
        (in_line(0, "\u0661"), "line 1 holds '\ufffd\ufffd', which is not a number"),
        (in_line(0, "9" * 99 + "x"), "line 1 holds '9{20}', which is not a number"),
        (f"{LINE}\n{in_line(9, 'nan')}", "f.txt line 2 holds a coordinate that is not a number wi"),
        (in_line(9, "-inf"), "line 1 holds a coordinate that is not a number within ±100 metres"),
        (in_line(9, "1e999"), "line 1 holds a coordinate that is not a number within ±100 metres"),
        (in_line(9, "100.1"), "line 1 holds a coordinate that is not a number within ±100 metres"),
    ],
)
def test_a_broken_file(one_sentence, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        parse(text.encode())
    one_sentence(caught.value, "prepare")


@settings(deadline=None)
@given(data=st.data())
def test_damage_is_refused_in_words(damaged, one_sentence, data) -> None:
    content = f"{LINE}\r\n{LINE}\n".encode()
    try:
        frames = parse(data.draw(damaged(content)))
    except UserError as error:
        one_sentence(error, "prepare")
    else:
        assert frames.shape[1] == 66
        assert (np.abs(frames) <= 100).all()


def test_rows() -> None:
    listed = hand.rows(SOURCE, member("l.txt", b"1 2 3\r\n04 5\t 6\n"), COLUMNS)
    assert listed == [("l.txt line 1", [1, 2, 3]), ("l.txt line 2", [4, 5, 6])]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\n", "l.txt is empty"),
        (b"1 2 3\n4 5\n", r"line 2 has 2 numbers, not 3 \(gesture finger subject\)"),
        (b"1 2 3\n\n4 5 6\n", "line 2 has 0 numbers"),
        (b"1 2 3 4", "line 1 has 4 numbers"),
        (b"1 2 three", "line 1 holds 'three', which is not a whole number"),
        (b"1 2 3.0", "line 1 holds '3.0', which is not a whole number"),
        (b"1 2 -3", "line 1 holds '-3', which is not a whole number"),
        (b"1 2 1_0", "line 1 holds '1_0', which is not a whole number"),
        (b"1 2 9999999999", "line 1 holds '9999999999', which is not a whole number"),
        (b"1 2 3\n" * (1 << 18), r"l.txt is too large for a list \(1,572,864 bytes\)"),
        ("1 2 3".encode("utf-16"), "l.txt is a text in UTF-16, not in UTF-8: save it as"),
    ],
)
def test_a_broken_list(one_sentence, text: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        hand.rows(SOURCE, member("l.txt", text), COLUMNS)
    one_sentence(caught.value, "prepare")


def test_trials_are_known_by_their_folders() -> None:
    paths = [
        "gesture_14/finger_2/subject_20/essai_5/s.txt",
        "x/gesture_1/finger_1/subject_2/essai_3/s.txt",
    ]
    found, misplaced = hand.files(SOURCE, map(member, paths), 20)
    assert misplaced == []
    assert {key: str(file.path) for key, file in found.items()} == {
        Trial(14, 2, 20, 5): paths[0],
        Trial(1, 1, 2, 3): paths[1],
    }


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("gesture_1/finger_1/subject_1/s.txt", "is not in a folder like gesture_1/finger_1"),
        ("gesture_1/finger_1/subject_1/essai_x/s.txt", "is not in a folder like"),
        ("gesture_1/finger_1/subject_1/essai_1/more/s.txt", "is not in a folder like"),
        ("gesture_15/finger_1/subject_1/essai_1/s.txt", "gesture 15, .* does not exist"),
        ("gesture_0/finger_1/subject_1/essai_1/s.txt", "gesture 0, .* does not exist"),
        ("gesture_1/finger_3/subject_1/essai_1/s.txt", "finger 3, .* does not exist"),
        ("gesture_1/finger_1/subject_21/essai_1/s.txt", "subject 21, .* does not exist"),
        ("gesture_1/finger_1/subject_1/essai_0/s.txt", "essai 0, which does not exist"),
    ],
)
def test_names_that_are_no_trial(one_sentence, path: str, says: str) -> None:
    found, (misplaced,) = hand.files(SOURCE, [member(path)], 20)
    assert found == {}
    assert misplaced.name == path
    assert re.search(says, str(misplaced.error))
    one_sentence(misplaced.error, "prepare")


def test_the_same_trial_twice() -> None:
    one, other = (
        f"{top}gesture_1/finger_1/subject_{s}/essai_1/s.txt" for top, s in (("", 1), ("x/", "01"))
    )
    with pytest.raises(UserError, match=f"^{other} is the same trial as {one}: keep one of them"):
        hand.files(SOURCE, map(member, (one, other)), 20)


def test_only() -> None:
    members = [member("a/l.txt"), member("b/l.txt"), member("c.txt")]
    assert hand.only(SOURCE, members, "c.txt") is members[2]
    with pytest.raises(UserError, match=r"/release has no d\.txt: fetch the release again"):
        hand.only(SOURCE, members, "d.txt")
    with pytest.raises(UserError, match=r"has 2 files called l\.txt .* a/l\.txt and b/l\.txt"):
        hand.only(SOURCE, members, "l.txt")


def test_labels() -> None:
    trials = [Trial(g, f, 1, 1) for g in range(1, 15) for f in (1, 2)]
    assert [trial.label_28 for trial in trials] == list(range(28))
    assert [trial.label_14 for trial in trials] == [i // 2 for i in range(28)]
    names = hand.classes_28(hand.GESTURES)
    assert len(set(names)) == 28
    assert names[Trial(2, 2, 1, 1).label_28] == "tap, whole hand"


def test_layout() -> None:
    assert len(hand.JOINTS) == len(set(hand.JOINTS)) == 22
    assert hand.JOINTS[hand.LAYOUT["origin"]] == "palm"
    assert len(hand.BONES) == 21
    reached = {0}
    for near, far in hand.BONES:  # a tree from the wrist: each bone begins where one has ended
        assert near in reached
        assert far not in reached
        reached.add(far)
    assert reached == set(range(22))
