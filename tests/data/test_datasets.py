"""Parts of a store: the 20 joints of a Kinect v1 in what a Kinect v2 recorded."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from eleatt_bench.cli import main
from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog
from eleatt_bench.data.batches import Positions, SequenceDataset
from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import ntu, nucla, sysu
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.summary import summary
from eleatt_bench.data.verification import verify
from eleatt_bench.training.folder import wanted_run

# The enumerations of the two SDKs: JointType of Kinect v2, NUI_SKELETON_POSITION_INDEX of v1.
V2 = (
    "SpineBase", "SpineMid", "Neck", "Head",
    "ShoulderLeft", "ElbowLeft", "WristLeft", "HandLeft",
    "ShoulderRight", "ElbowRight", "WristRight", "HandRight",
    "HipLeft", "KneeLeft", "AnkleLeft", "FootLeft",
    "HipRight", "KneeRight", "AnkleRight", "FootRight",
    "SpineShoulder", "HandTipLeft", "ThumbLeft", "HandTipRight", "ThumbRight",
)  # fmt: skip
V1 = ("HipCenter", "Spine", "ShoulderCenter", *V2[3:20])
SAME = {"HipCenter": "SpineBase", "Spine": "SpineMid", "ShoulderCenter": "SpineShoulder"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of ntu; in the third sequence actor 1 is not there from the second frame on."""
    folder = tmp_path_factory.mktemp("parts")
    samples = []
    for number in range(1, 9):
        frames = np.random.default_rng(number).normal(size=(number, 150)).astype(np.float32)
        frames[1:, :75] *= number != 3
        metadata = {"subject": number, "camera": 1 + number % 3}
        samples.append(Sample(f"s{number}", frames, number % 2, metadata))
    release = Release("a test", ("no", "yes"), ntu.LAYOUT, 8, samples, origin_applied=True)
    catalog.write(folder, "ntu", release)
    return folder


@pytest.fixture
def whole(data_dir: Path) -> SequenceStore:
    return catalog.open_store(data_dir, "ntu")


@pytest.fixture
def part(data_dir: Path) -> SequenceStore:
    return catalog.open_store(data_dir, "ntu_v1")


def test_every_joint_is_the_one_of_that_name(whole: SequenceStore, part: SequenceStore) -> None:
    assert part.input_size == 60
    assert part.lengths.tolist() == whole.lengths.tolist()
    for index in range(8):
        actor = whole.sequence(index).reshape(-1, 50, 3)[:, :25]
        found = part.sequence(index).reshape(-1, 20, 3)
        for number, joint in enumerate(V1):
            expected = actor[:, V2.index(SAME.get(joint, joint))]
            np.testing.assert_array_equal(found[:, number], expected)


def test_the_layout_is_that_of_nucla_and_of_sysu(part: SequenceStore) -> None:
    assert part.layout == nucla.LAYOUT == sysu.LAYOUT
    for ours, sdk in zip(nucla.JOINTS, V1, strict=True):
        words = [
            word.lower() for word in re.findall("[A-Z][a-z]+", sdk.replace("Center", "Centre"))
        ]
        assert set(ours.split()) == set(words)  # "left hip", HipLeft
    assert part.layout["joints"][part.layout["origin"]] == "spine"
    assert part.origin_applied


def test_frames_without_the_actor_stay(part: SequenceStore) -> None:
    absent = part.sequence(2)
    assert absent.shape == (3, 60)
    assert absent[0].all()
    assert not absent[1:].any()


def test_it_is_the_same_file(data_dir: Path, whole: SequenceStore, part: SequenceStore) -> None:
    assert part.path == whole.path
    assert isinstance(part.frames, np.memmap)
    assert part.content_digest == whole.content_digest == catalog.data_digest(data_dir, "ntu_v1")
    assert [path.name for path in part.path.parent.glob("*.h5")] == ["ntu.h5"]
    said = "ready (8 of 56,578: incomplete, not comparable)"
    assert catalog.status(data_dir, "ntu_v1") == catalog.status(data_dir, "ntu") == said
    assert catalog.read_layout(data_dir, "ntu_v1") == part.layout
    assert catalog.read_layout(data_dir, "ntu") == whole.layout


def test_batches_and_summaries_are_of_its_columns(part: SequenceStore) -> None:
    chosen = np.array([4, 1, 7])
    batch = SequenceDataset(part, chosen)[Positions(np.arange(3), 3, 0)]
    assert batch.inputs.shape == (3, 8, 60)
    for row, index in zip(batch.inputs, chosen, strict=True):
        length = part.lengths[index]
        np.testing.assert_array_equal(row[:length], part.sequence(int(index)))
        assert not torch.any(row[length:])
    everything = np.concatenate([part.sequence(i) for i in range(8)]).reshape(-1, 3)
    for axis, values in zip(summary(part).ranges, everything.T, strict=True):
        assert (axis.lowest, axis.highest) == (values.min(), values.max())


def test_verify_reads_all_of_the_file(data_dir: Path, tmp_path: Path) -> None:
    report = verify(data_dir, "ntu_v1")
    assert set(report.protocols) == {"cross_subject", "cross_view"}
    assert report.store.name == "ntu_v1"


def test_copies_of_a_part_are_told_by_the_whole_frames(data_dir: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ELEATT_DATA", str(data_dir))
    for name, told in (("ntu_v1", True), ("ntu", False)):
        assert main(["data", "verify", name]) == 0
        said = capsys.readouterr().out
        assert "are identical to training ones" in said
        assert ("identical to training ones, by the whole frames of ntu\n" in said) == told


def test_networks_for_nucla_can_begin_with_it(data_dir: Path, publish, tmp_path: Path) -> None:
    catalog.prepare(data_dir, "nucla", publish("nucla", tmp_path).source)
    composer = Composer()
    config = composer.config(
        ["experiment=nucla", "pretraining=ntu_v1", f"data_dir={data_dir}", f"runs_dir={tmp_path}"]
    )
    _, this = wanted_run([], config, composer)
    assert this.before is not None
    assert this.before.identity["data"]["name"] == "ntu_v1"
    assert this.before.identity["data"]["digest"] == catalog.data_digest(data_dir, "ntu")
