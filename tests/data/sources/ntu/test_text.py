"""One skeleton file: read as a plain reader reads it, and never half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources.archive import Source
from eleatt_bench.data.sources.ntu import text as ntu_text
from eleatt_bench.data.sources.ntu.bodies import Recording, UnusableError, select

NAME = "S001C001P001R001A001.skeleton"
SOURCE = Source(Path("there"), "the archive", "eleatt-bench data prepare ntu --source PATH")
BODY = "72057594037931101"


def body(random: np.random.Generator, number: int = 0) -> list[str]:
    """The 27 lines of a body in a frame, as Kinect's recorder wrote them."""
    lines = [f"{int(BODY) + number} 0 1 1 0 1 0 -0.0173 {random.normal():.7g} 2", "25"]
    for _ in range(25):
        used = [*random.normal(size=3), *random.uniform(0, 1900, size=4)]
        fields = [*used, *random.uniform(-1, 1, size=4)]
        lines.append(" ".join(f"{field:.7g}" for field in fields) + " 2")
    return lines


def content(bodies: list[int], seed: int = 0, end: str = "\r\n") -> str:
    """A file with ``bodies[t]`` bodies in frame t."""
    random = np.random.default_rng(seed)
    lines = [str(len(bodies))]
    for count in bodies:
        lines.append(str(count))
        for number in range(count):
            lines += body(random, number)
    return end.join(lines) + end


def parse(text: str | bytes) -> Recording:
    return ntu_text.parse(SOURCE, NAME, text if isinstance(text, bytes) else text.encode())


def line_by_line(text: str) -> dict[str, tuple[int, np.ndarray]]:
    """The first frame and the joints of each body, read without any haste."""
    lines = iter(text.splitlines())
    full, found = 0, {}
    for _ in range(int(next(lines))):
        count = int(next(lines))
        for _ in range(count):
            joints = found.setdefault(next(lines).split()[0], (full, []))[1]
            joints.append([next(lines).split()[:3] for _ in range(int(next(lines)))])
        full += count > 0
    return {
        key: (start, np.array(joints, dtype=np.float32)) for key, (start, joints) in found.items()
    }


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bodies", [[1], [0, 1, 1], [1, 2, 0, 3, 1], [2] * 20])
def test_as_a_plain_reader_reads_it(bodies: list[int], end: str) -> None:
    text = content(bodies, end=end)
    expected = line_by_line(text)
    for given_text in (text, text.rstrip(), text + end):
        recording = parse(given_text)
        assert recording.frames == sum(count > 0 for count in bodies)
        assert len(recording.bodies) == len(expected)
        for found, (start, joints) in zip(recording.bodies, expected.values(), strict=True):
            assert found.start == start
            assert found.joints.dtype == np.float32
            np.testing.assert_array_equal(found.joints, joints)


def test_numbers_are_rounded_once_to_float64_and_once_to_float32_as_numpy_does() -> None:
    numbers = ["1.0000000596046447753906251", "-0", "6.1e-05", "3E1", "16.777217", "0.1", "+.5"]
    lines = content([1]).splitlines()
    for line, number in enumerate(numbers, start=4):
        lines[line] = " ".join([number, *lines[line].split()[1:]])
    (found,) = parse("\n".join(lines)).bodies
    read = found.joints[0, : len(numbers), 0]
    np.testing.assert_array_equal(read, np.array(numbers, dtype=np.float32))
    assert np.signbit(read[1])


def test_a_recording_without_a_body() -> None:
    for text in ("0", "3\n0\n0\n0\n"):
        assert parse(text) == Recording(0, [])
        with pytest.raises(UnusableError, match="has no body in any frame"):
            select(parse(text))


@pytest.mark.parametrize("word", ["NaN", "-NaN", "Infinity", "-inf", "-1.#IND", "1.#QNAN0"])
def test_words_for_unknown_numbers_in_fields_that_are_not_used(word: str) -> None:
    text = content([1])
    lines = text.splitlines()
    lines[7] = " ".join([*lines[7].split()[:5], word, *lines[7].split()[6:]])
    np.testing.assert_array_equal(
        parse("\n".join(lines)).bodies[0].joints, parse(text).bodies[0].joints
    )


def changed(line: int, field: int | None, new: str) -> str:
    """A file of three frames, one body in each, with a field of a line, or the line, replaced."""
    lines = content([1, 1, 1]).splitlines()
    fields = lines[line - 1].split()
    if field is not None:
        fields[field] = new
    lines[line - 1] = new if field is None else " ".join(fields)
    return "\r\n".join(lines)


BROKEN = [
    ("", f"{NAME} is empty:"),
    (" \r\n\n", f"{NAME} is empty:"),
    (changed(1, 0, "x"), "line 1 holds 'x', which is not a number"),
    (changed(1, 0, "3.0"), "line 1 holds '3.0', not the number of frames"),
    (changed(1, 0, "-3"), "line 1 holds '-3', not the number of frames"),
    (changed(1, 0, "9" * 12), "line 1 holds '999999999999', not the number of frames"),
    (changed(1, None, ""), "line 1 is empty, not the number of frames"),
    (changed(1, None, "3 3"), "line 1 has 2 fields, not the number of frames alone"),
    (changed(1, 0, "2"), "line 58 comes after the last of 2 frames"),
    (changed(1, 0, "4"), "cut short: after line 85, the number of bodies in frame 4 of 4 is"),
    (changed(30, 0, "2"), "line 58 has 1 fields, not the 10 of a body in frame 2 of 3"),
    (changed(30, 0, "0"), "line 31 has 10 fields, not the number of bodies in frame 3 of 3 alone"),
    (changed(58, 0, "2"), "after line 85, a body in frame 3 of 3 is missing"),
    (changed(31, 0, "1.5"), "line 31 holds '1.5', not the ID of a body in frame 2 of 3"),
    (changed(31, 9, ""), "line 31 has 9 fields, not the 10 of a body in frame 2 of 3"),
    (changed(32, 0, "24"), "line 32 does not say that a body of frame 2 of 3 has 25 joints"),
    (changed(32, None, ""), "line 32 is empty, not the number of joints in frame 2 of 3"),
    (changed(33, 11, ""), "line 33 has 11 fields, not the 12 of joint 1 in frame 2 of 3"),
    (changed(57, 11, "2 2"), "line 57 has 13 fields, not the 12 of joint 25 in frame 2 of 3"),
    (changed(40, 0, "head"), "line 40 holds 'head', which is not a number"),
    (changed(40, 9, "up"), "line 40 holds 'up', which is not a number"),
    (changed(40, 1, "NaN"), "line 40 holds 'NaN' for a coordinate, not a number within"),
    (changed(40, 1, "-Infinity"), "line 40 holds '-Infinity' for a coordinate"),
    (changed(40, 2, "100.5"), "line 40 holds '100.5' for a coordinate"),
    (changed(40, 2, "1e300"), "line 40 holds '1e300' for a coordinate"),
    (changed(40, 2, "1.2.3"), "line 40 holds '1.2.3' for a coordinate"),
    (changed(40, 2, "1_0"), "line 40 holds '1_0', which is not a number"),
    (content([1]) + "7\n", "line 30 comes after the last of 1 frames"),
    (content([1]) + "\x1a", "line 30 holds a control character"),
    (content([1]).replace(" ", "\x00", 1), "line 3 holds a control character"),
    (content([1]).replace("\r\n", "\r"), "line 1 has 313 fields, not the number of frames alone"),
    (content([1]).encode("utf-16"), "line 1 holds a control character"),
    (b"\x93NUMPY\x01\x00" + bytes(100), r"line 1 holds"),
    (b"\xff\xfe\xfa", r"line 1 holds '\\xff\\xfe\\xfa', which is not a number"),
    (b"PK\x03\x04" * 9, "line 1 holds"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), BROKEN)
def test_a_broken_file(text: str | bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        parse(text)
    one_sentence(str(raised.value))


@given(st.sets(st.integers(0, 111), min_size=1, max_size=3))
def test_of_several_wrong_lines_the_first_is_named(numbers: set[int]) -> None:
    lines = content([1, 0, 2, 1]).splitlines()
    assert len(lines) == 1 + 4 + 4 * 27
    for number in numbers:
        lines[number] = "1 2"  # no line has two fields
    with pytest.raises(UserError, match=rf" line {1 + min(numbers)} has 2 fields"):
        parse("\n".join(lines))


def test_a_file_that_is_too_large() -> None:
    with pytest.raises(UserError, match=r"too large for a recording \(33,554,433 bytes\)"):
        parse(bytes((1 << 25) + 1))


def one_sentence(message: str) -> None:
    assert message.startswith(NAME)
    assert message.endswith(f": fetch the archive again, then {SOURCE.command}")
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.slow
def test_a_file_cut_anywhere_is_refused() -> None:
    whole = content([1, 2, 0, 1]).encode()
    last = len(whole.rstrip())
    for kept in range(last):
        with pytest.raises(UserError) as raised:
            parse(whole[:kept])
        one_sentence(str(raised.value))
    assert parse(whole[:last]).frames == 3


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file after a few accidents."""
    data = bytearray(content(draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))).encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data)))
        accident = draw(st.sampled_from(["cut", "flip", "insert", "remove", "repeat", "swap"]))
        if accident == "cut":
            del data[place:]
        elif accident == "flip" and place < len(data):
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif accident == "insert":
            data[place:place] = draw(
                st.binary(max_size=6) | st.sampled_from([b"\n", b" ", b"25\n", b"-", b"9", b"e9"])
            )
        elif accident == "remove":
            del data[place : place + draw(st.integers(1, 300))]
        else:
            lines = data.splitlines(keepends=True)
            first, second = (draw(st.integers(0, len(lines))) for _ in range(2))
            if accident == "repeat":
                lines[first:first] = lines[second : second + draw(st.integers(1, 28))]
            else:
                lines[first : first + 1], lines[second : second + 1] = (
                    lines[second : second + 1],
                    lines[first : first + 1],
                )
            data = bytearray(b"".join(lines))
    return bytes(data)


def survives(data: bytes) -> None:
    try:
        frames = select(parse(data))
    except UserError as error:
        one_sentence(str(error))
    except UnusableError as error:
        one_sentence(str(SOURCE.wrong(NAME, str(error))))
    else:
        assert frames.dtype == np.float32
        assert frames.shape[1:] == (150,)
        assert len(frames) > 0
        assert np.isfinite(frames).all()


@settings(deadline=None)
@given(damaged() | st.binary(max_size=80))
def test_any_damage_gives_a_sample_or_one_sentence(data: bytes) -> None:
    survives(data)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(damaged() | st.binary(max_size=200))
def test_much_damage_gives_a_sample_or_one_sentence(data: bytes) -> None:
    survives(data)
