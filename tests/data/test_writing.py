"""Writing stores: what goes in comes out, and nothing incomplete is ever seen."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import writing
from eleatt_bench.data.release import BadSample, SourceError
from eleatt_bench.data.store import Omission, Sample, SequenceStore
from eleatt_bench.data.writing import write_store

OPTIONS = {"name": "demo", "class_names": ["no", "yes"], "layout": {"kind": "x"}, "source": "-"}


def sample(name: str = "a", frames=((1.0, 2.0),), label: int = 0) -> Sample:
    return Sample(name, np.array(frames, dtype=np.float32), label, {"camera": 1})


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    width = draw(st.integers(1, 4))
    names = draw(st.lists(st.text("aö_7", min_size=1, max_size=5), min_size=1, unique=True))
    random = np.random.default_rng(draw(st.integers(0, 9)))
    return [
        Sample(
            name,
            random.normal(size=(draw(st.integers(1, 6)), width)).astype(np.float32),
            draw(st.integers(0, 1)),
            {"split": draw(st.integers(-(2**40), 2**40)), "camera": index},
        )
        for index, name in enumerate(names)
    ]


@settings(deadline=None)
@given(sample_lists(), st.booleans())
def test_round_trip(samples: list[Sample], origin_applied: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.h5"
        layout = {"kind": "skeleton", "joints": ["ü"], "bones": [[0, 0]]}
        store = write_store(
            path,
            **{**OPTIONS, "layout": layout},
            samples=iter(samples),
            origin_applied=origin_applied,
        )
        assert [p.name for p in Path(folder).iterdir()] == ["demo.h5"]
        assert (store.name, store.path, store.source) == ("demo", path, "-")
        assert (store.class_names, store.num_classes) == (("no", "yes"), 2)
        assert (store.layout, store.origin_applied) == (layout, origin_applied)
        assert store.names == tuple(s.name for s in samples)
        assert store.labels.tolist() == [s.label for s in samples]
        assert store.lengths.tolist() == [len(s.frames) for s in samples]
        assert {k: v.tolist() for k, v in store.metadata.items()} == {
            key: [s.metadata[key] for s in samples] for key in ("camera", "split")
        }
        assert store.input_size == samples[0].frames.shape[1]
        for index, expected in enumerate(samples):
            np.testing.assert_array_equal(store.sequence(index), expected.frames)
        store.verify()
        again = write_store(Path(folder) / "b.h5", **OPTIONS, samples=samples)
        assert again.content_digest == store.content_digest
        np.testing.assert_array_equal(again.sequence_digests, store.sequence_digests)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (sample("b", np.zeros((0, 2))), "has no frames"),
        (sample("b", np.zeros(3)), "has no frames"),
        (sample("b", [[1, 2], [3, np.nan]]), "in frame 1 that is not finite"),
        (sample("b", [[np.inf, 2]]), "in frame 0 that is not finite"),
        (sample("b", [[1, 2, 3]]), "has 3 values per frame, the first sample 2"),
        (sample("a"), "is there twice"),
    ],
)
def test_a_bad_sample_is_named_and_leaves_nothing(tmp_path: Path, bad: Sample, says: str) -> None:
    with pytest.raises(UserError, match=f"Sample '{bad.name}' of demo .*{says}"):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=[sample("a"), bad])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "bad", [sample("b", label=2), sample("b", label=-1), sample("b")._replace(metadata={})]
)
def test_a_reader_that_contradicts_itself_is_a_bug(tmp_path: Path, bad: Sample) -> None:
    with pytest.raises(ValueError, match="of b do not fit"):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=[sample("a"), bad])


def test_no_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no samples.*eleatt-bench data prepare demo"):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=[])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("problem", [KeyboardInterrupt, UserError("bad file")])
def test_an_interruption_keeps_the_old_store(tmp_path: Path, problem: BaseException) -> None:
    old = write_store(tmp_path / "demo.h5", **OPTIONS, samples=[sample("old")])

    def interrupted() -> Iterator[Sample]:
        yield sample("new")
        raise problem

    with pytest.raises(KeyboardInterrupt if problem is KeyboardInterrupt else UserError):
        write_store(old.path, **OPTIONS, samples=interrupted())
    assert [p.name for p in tmp_path.iterdir()] == ["demo.h5"]
    assert SequenceStore.open(old.path, name="demo").names == ("old",)


def test_a_store_that_does_not_read_back_is_not_put_in_place(tmp_path: Path, monkeypatch) -> None:
    old = write_store(tmp_path / "demo.h5", **OPTIONS, samples=[sample("old")])
    # A disk that loses what was written: the digests are of other frames than the file holds.
    monkeypatch.setattr("eleatt_bench.data.writing.sequence_digest", lambda frames: bytes(16))
    with pytest.raises(UserError, match="does not match its digest"):
        write_store(old.path, **OPTIONS, samples=[sample("new")])
    assert [p.name for p in tmp_path.iterdir()] == ["demo.h5"]
    assert SequenceStore.open(old.path).names == ("old",)


def test_a_killed_process_leaves_the_old_store_and_no_spool(tmp_path: Path) -> None:
    old = write_store(tmp_path / "demo.h5", **OPTIONS, samples=[sample("old")])
    code = (
        "import itertools, sys, numpy as np; from pathlib import Path;"
        "from eleatt_bench.data.store import Sample;"
        "from eleatt_bench.data.writing import write_store;"
        "samples = (Sample(str(i), np.ones((9, 9)), 0, {}) for i in itertools.count());"
        "write_store(Path(sys.argv[1]), name='demo', samples=samples, class_names='a', layout={},"
        "source='', progress=lambda done, total: print(done, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, old.path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as lines:
        while int(lines.readline()) < 100:
            pass
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == ["demo.h5"]
    assert SequenceStore.open(old.path).names == ("old",)


def test_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    samples = [sample("a"), sample("b")]
    write_store(
        tmp_path / "demo.h5",
        **OPTIONS,
        samples=samples,
        total=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_bad_samples_end_it_or_are_left_out(tmp_path: Path) -> None:
    bad = [BadSample("b", SourceError("b.txt is bad", "mend it")), sample("a"), sample("c")]
    with pytest.raises(UserError, match=r"^b.txt is bad: mend it, or leave .* with --skip-bad$"):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=bad)
    assert list(tmp_path.iterdir()) == []
    steps = []
    store = write_store(
        tmp_path / "demo.h5",
        **OPTIONS,
        samples=[*bad, sample("d", [[np.nan, 1]])],
        skip_bad=True,
        progress=lambda done, total: steps.append(done),
    )
    assert store.names == ("a", "c")
    assert store.omitted == (
        Omission("b", "b.txt is bad"),
        Omission("d", "Sample 'd' of demo has a value in frame 0 that is not finite"),
    )
    assert steps == [1, 2, 3, 4]
    twice = [*bad, sample("c")]  # nobody can tell which of the two is right
    with pytest.raises(UserError, match=r"^Sample 'c' of demo is there twice: take one of them"):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=twice, skip_bad=True)
    assert SequenceStore.open(tmp_path / "demo.h5").names == ("a", "c")


def test_nothing_but_bad_samples(tmp_path: Path) -> None:
    bad = [BadSample("b", SourceError("b.txt is bad", "mend it")), sample("a", [[np.nan, 1]])]
    says = r"has 2 samples and all are bad \(the first: b.txt is bad\): give another one"
    with pytest.raises(UserError, match=says):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=bad, skip_bad=True)
    assert list(tmp_path.iterdir()) == []


def test_samples_are_closed_whatever_happens(tmp_path: Path) -> None:
    ended = []

    def samples() -> Iterator[Sample | BadSample]:
        try:
            yield sample("a")
            yield BadSample("b", UserError("bad"))
            yield sample("c")
        finally:
            ended.append(True)

    stream = samples()
    with pytest.raises(UserError, match="bad"):
        write_store(tmp_path / "demo.h5", **OPTIONS, samples=stream)
    assert ended == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_hdf5_writes_ends_it_as_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    class Stopped(BaseException):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    write = writing._Disk.write

    def interrupted(disk: writing._Disk, data: memoryview) -> int:
        signal.raise_signal(number)
        return write(disk, data)

    monkeypatch.setattr(writing._Disk, "write", interrupted)
    before = signal.signal(number, stop)
    try:
        with pytest.raises(Stopped):
            write_store(tmp_path / "demo.h5", samples=[sample()], **OPTIONS)
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    assert list(tmp_path.iterdir()) == []
