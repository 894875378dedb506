"""Extraction: the features of every frame, each clip decoded once, nothing left out in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from eleatt_bench.common import parallel
from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.prepared import DataSets
from eleatt_bench.data.rgb import video
from eleatt_bench.data.rgb.backbones.contract import Backbone
from eleatt_bench.data.rgb.clips import Clip, ClipSet
from eleatt_bench.data.rgb.features import Extracted, extract
from eleatt_bench.data.store import SequenceStore

NAMES = [f"clip {i}" for i in range(6)]
LENGTHS = [3, 1, 5, 2, 7, 4]

Extract = Callable[..., tuple[SequenceStore, Extracted]]


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name: random.integers(0, 256, (length, 16, 24, 3), dtype=np.uint8)
        for name, length in zip(NAMES, LENGTHS, strict=True)
    }


@pytest.fixture
def contents(pictures: dict[str, np.ndarray], encoded) -> dict[str, bytes]:
    return {name: encoded(video) for name, video in pictures.items()}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded during a test."""
    seen: list[bytes] = []
    original = video.decode

    def spy(content: bytes):
        seen.append(content)
        return original(content)

    monkeypatch.setattr(video, "decode", spy)
    return seen


def backbone(scale: float = 1.0, digest: str = "one", **changes) -> Backbone:
    """The mean of each colour and their difference, of frames as they are."""

    def network(frames: torch.Tensor) -> torch.Tensor:
        mean = frames.mean((2, 3))
        return scale * torch.cat([mean, mean[:, :1] - mean[:, 1:2]], dim=1)

    given = {
        "name": "mean colour",
        "weights": "random",
        "weights_digest": digest,
        "preprocessing": "none",
        "size": 4,
        "device": torch.device("cpu"),
        "prepare": torch.Tensor.float,
        "network": network,
    }
    return Backbone(**(given | changes))


def clip_set(contents: dict[str, bytes]) -> ClipSet:
    clips = [
        Clip(name, f"videos/{name}.avi", partial(bytes, content), i % 2, {"split_1": i % 2})
        for i, (name, content) in enumerate(contents.items())
    ]
    return ClipSet(f"A test, {len(clips)} clips", ("no", "yes"), tuple(clips))


@pytest.fixture
def run(tmp_path: Path) -> Extract:
    def run(contents: dict[str, bytes], net: Backbone | None = None, **options):
        options = {
            "batch_size": 2, "skip_bad": False, "report": [].append, "progress": lambda *_: None,
        } | options  # fmt: skip
        return extract(tmp_path, "jhmdb", clip_set(contents), net or backbone(), **options)

    return run


def test_every_frame_has_its_features(run: Extract, pictures, contents) -> None:
    seen = []
    store, done = run(contents, progress=lambda count, total: seen.append((count, total)))
    assert store.names == tuple(NAMES)
    assert store.lengths.tolist() == LENGTHS
    for index, name in enumerate(NAMES):
        mean = pictures[name].astype(np.float64).mean((1, 2))
        expected = np.concatenate([mean, mean[:, :1] - mean[:, 1:2]], axis=1)
        np.testing.assert_allclose(store.sequence(index), expected, rtol=1e-5, atol=1e-4)
    assert store.labels.tolist() == store.metadata["split_1"].tolist() == [0, 1, 0, 1, 0, 1]
    assert store.class_names == ("no", "yes")
    assert store.layout == {
        "kind": "features",
        "backbone": "mean colour",
        "weights": "random",
        "weights_digest": "one",
        "preprocessing": "none",
    }
    assert store.source == "A test, 6 clips; features of mean colour, weights: random"
    assert seen == [(count, 6) for count in range(1, 7)]
    assert (done.done_before, done.broken) == (0, {})


def test_the_batch_size_changes_nothing(run: Extract, contents) -> None:
    digests = {run(contents, batch_size=size)[0].content_digest for size in (1, 3, 100)}
    assert len(digests) == 1


def test_what_is_done_is_not_decoded_again(run: Extract, contents, decoded) -> None:
    first, _ = run(contents)
    assert sorted(decoded) == sorted(contents.values())
    decoded.clear()
    again, done = run(contents)
    assert (decoded, done.done_before) == ([], 6)
    assert again.content_digest == first.content_digest


def test_an_interrupted_extraction_continues(run: Extract, contents, decoded) -> None:
    def stop(count: int, total: int | None) -> None:
        if count == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(contents, progress=stop)
    decoded.clear()
    resumed, done = run(contents)
    assert done.done_before == 4
    assert sorted(decoded) == sorted(contents[name] for name in NAMES[4:])
    fresh, _ = run(contents, backbone(digest="another name for the same"))
    assert resumed.content_digest == fresh.content_digest


@pytest.mark.parametrize("what", ["weights_digest", "preprocessing"])
def test_another_backbone_begins_anew(run: Extract, contents, decoded, what: str) -> None:
    run(contents)
    decoded.clear()
    _, done = run(contents, backbone(scale=2.0, **{what: "another"}))
    assert (len(decoded), done.done_before) == (6, 0)
    _, done = run(contents, backbone(name="called otherwise"))
    assert done.done_before == 6


def test_a_clip_that_has_changed_is_decoded_again(
    run, pictures, contents, encoded, decoded
) -> None:
    run(contents)
    decoded.clear()
    contents["clip 2"] = encoded(pictures["clip 2"][::-1])
    store, done = run(contents)
    assert (decoded, done.done_before) == ([contents["clip 2"]], 5)
    mean = pictures["clip 2"][::-1].astype(np.float64).mean((1, 2))
    np.testing.assert_allclose(store.sequence(2)[:, :3], mean, rtol=1e-5)


def test_features_that_were_damaged_are_computed_again(run, contents, decoded) -> None:
    first, done = run(contents)
    path = done.folder / "clip 4.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    decoded.clear()
    again, done = run(contents)
    assert (decoded, done.done_before) == ([contents["clip 4"]], 5)
    assert again.content_digest == first.content_digest


def test_trained_weights_are_told_from_random_ones(run: Extract, contents, tmp_path: Path) -> None:
    for weights, untrained in (("random", True), ("those in random", False)):
        run(contents, backbone(weights=weights))
        found = DataSets(tmp_path).of("jhmdb")
        assert found is not None
        assert found.untrained == untrained


def test_what_the_file_of_the_weights_is_called_is_not_what_a_run_sees(
    run: Extract, contents
) -> None:
    first, _ = run(contents, backbone(name="a.pt2", weights="those in a.pt2"))
    then, _ = run(contents, backbone(name="b.pt2", weights="those in b.pt2", digest="two"))
    assert then.content_digest == first.content_digest
    assert then.inputs_digest == first.inputs_digest
    for record in ({"inputs_digest": first.inputs_digest}, {"attributes_digest": "0" * 64}):
        assert then.was_seen_by(record)


@pytest.fixture
def broken(contents: dict[str, bytes]) -> dict[str, bytes]:
    return contents | {"clip 1": contents["clip 1"][:99], "clip 3": b"text"}


def test_broken_clips_are_an_error_after_all_others(run: Extract, broken, tmp_path: Path) -> None:
    reports: list[str] = []
    with pytest.raises(UserError) as caught:
        run(broken, report=reports.append)
    assert len(reports) == 2
    assert reports[0].startswith("videos/clip 1.avi is cut short: 99 of ")
    assert reports[1] == "videos/clip 3.avi is not an AVI file"
    text = str(caught.value)
    assert text.startswith("2 of 6 clips cannot be decoded (videos/clip 1.avi is cut short: 99 of")
    assert text.endswith(
        "; videos/clip 3.avi is not an AVI file): fetch them again, or add --skip-bad to leave "
        "them out; all others are done and stay so"
    )
    assert not catalog.store_path(tmp_path, "jhmdb").exists()


def test_broken_clips_are_left_out_only_if_told_so(run: Extract, broken, contents, decoded) -> None:
    with pytest.raises(UserError):
        run(broken)
    decoded.clear()
    store, done = run(broken, skip_bad=True)
    assert done.done_before == 4
    assert len(decoded) == 2  # the broken ones: they may have been mended
    assert store.names == tuple(name for name in NAMES if name not in {"clip 1", "clip 3"})
    assert [omission.name for omission in store.omitted] == ["clip 1", "clip 3"]
    assert [omission.reason for omission in store.omitted] == [*done.broken.values()]
    whole, done = run(contents)
    assert (len(whole.names), done.done_before, done.broken) == (6, 4, {})


def test_the_old_store_stays_when_clips_are_broken(run: Extract, contents, broken) -> None:
    before, _ = run(contents)
    with pytest.raises(UserError):
        run(broken)
    assert SequenceStore.open(before.path).content_digest == before.content_digest


def test_nothing_but_broken_clips(run: Extract) -> None:
    with pytest.raises(UserError, match=r"5 of 5 clips .*; and 2 more\): fetch them again$"):
        run({f"c{i}": b"" for i in range(5)}, skip_bad=True)


def test_a_clip_that_cannot_be_read_is_broken(contents, tmp_path: Path) -> None:
    def unreadable() -> bytes:
        raise UserError("x.avi cannot be read (Permission denied): mend its permissions")

    clips = clip_set(contents)
    one = clips.clips[0]._replace(load=unreadable)
    reports: list[str] = []
    with pytest.raises(UserError, match=r"1 of 2 clips cannot be decoded .x.avi cannot be read"):
        extract(
            tmp_path, "jhmdb", ClipSet("-", ("no", "yes"), (one, clips.clips[1])), backbone(),
            batch_size=2, skip_bad=False, report=reports.append, progress=lambda *_: None,
        )  # fmt: skip
    assert reports == ["x.avi cannot be read (Permission denied): mend its permissions"]


def test_features_that_are_not_finite(run: Extract, contents) -> None:
    with pytest.raises(
        UserError, match=r"mean colour gives values that are not finite for .*clip 0"
    ):
        run(contents, backbone(scale=float("inf")))


def test_out_of_memory(run: Extract, contents, monkeypatch: pytest.MonkeyPatch) -> None:
    def network(frames: torch.Tensor) -> torch.Tensor:
        return frames.new_empty(1 << 60)

    with pytest.raises(UserError, match="Out of memory: try a smaller --batch-size"):
        run(contents, backbone(network=network))
    monkeypatch.setattr(video, "decode", lambda content: [np.empty(1 << 60, dtype=np.uint8)])
    with pytest.raises(UserError, match="Out of memory: try a smaller --batch-size"):
        run(contents, backbone(digest="not done"))


def test_any_number_of_cores_gives_the_same(run: Extract, contents, monkeypatch, decoded) -> None:
    digests = set()
    for count in (1, 3):
        monkeypatch.setattr(parallel, "cores", lambda count=count: count)
        found, done = run(contents, backbone(digest=f"by {count}"))
        digests.add(found.content_digest)
        assert (len(decoded), done.done_before) == (6, 0)
        decoded.clear()
    assert len(digests) == 1


def test_a_batch_on_a_cpu_is_as_large_as_its_blocks_allow() -> None:
    """32 MB of 96 channels at half the size are 6.9 pictures of 224 × 224."""
    of = backbone().batch_size
    assert of(torch.empty(9, 3, 224, 224)) == 6
    assert of(torch.empty(9, 3, 2000, 2000)) == 1
    on_gpu = dataclasses.replace(backbone(), device=torch.device("cuda"))
    assert on_gpu.batch_size(torch.empty(9, 3, 224, 224)) == 64
