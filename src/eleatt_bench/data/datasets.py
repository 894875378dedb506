"""The data sets that this program knows: where they come from, and which reader reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import dhg, digits, mnist, ntu, nucla, shrec17, sysu
from eleatt_bench.data.store import EMBEDDED, PART_OF, Integers, SequenceStore, prepare_command


@dataclass(frozen=True)
class DataSet:
    """``read`` takes the source's path (None for an embedded set) and gives the samples."""

    name: str
    title: str
    homepage: str
    where: str  # how one gets the source, as the end of a sentence
    read: Callable[[Path | None], Release]
    download: Callable[[Path], None] | None = None

    @property
    def embedded(self) -> bool:
        """Whether it ships inside an installed package, so that it needs no source."""
        return self.name in EMBEDDED

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(PROTOCOLS[self.name])


def _otherwise(name: str, how: str) -> Callable[[Path | None], Release]:
    """For a data set that no reader makes from a source alone."""

    def refuse(source: Path | None) -> Release:
        raise UserError(f"{name} is {how}: {prepare_command(name)}")

    return refuse


def _with_path(read: Callable[[Path], Release]) -> Callable[[Path | None], Release]:
    def reader(source: Path | None) -> Release:
        assert source is not None  # `prepare` sees to it
        return read(source)

    return reader


_DATA_SETS = (
    DataSet(
        name="digits",
        title="Handwritten digits, 8 × 8 pixels",
        homepage="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits",
        where="it ships inside scikit-learn",
        read=lambda source: digits.read(),
    ),
    DataSet(
        name="mnist",
        title="MNIST handwritten digits, 28 × 28 pixels",
        homepage="https://yann.lecun.com/exdb/mnist/",
        where="the folder with the four IDX files, which eleatt-bench data download mnist fetches",
        read=_with_path(mnist.read),
        download=mnist.download,
    ),
    DataSet(
        name="nucla",
        title="Northwestern-UCLA multiview skeletons, 20 joints",
        homepage="https://wangjiangb.github.io/my_data.html",
        where="all_sqe.zip from https://www.dropbox.com/s/10pcm4pksjy6mkq/all_sqe.zip?dl=1 "
        "or its unpacked folder",
        read=_with_path(nucla.read),
    ),
    DataSet(
        name="ntu",
        title="NTU RGB+D skeletons, 60 classes, two bodies of 25 joints",
        homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
        where="nturgbd_skeletons_s001_to_s017.zip, handed out on request, or its unpacked folder",
        read=_with_path(ntu.read),
    ),
    DataSet(
        name="ntu_v1",
        title="NTU RGB+D skeletons as of a Kinect v1, one body of 20 joints",
        homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
        where="it is a part of ntu",
        read=_otherwise("ntu_v1", "a part of ntu and has no store of its own"),
    ),
    DataSet(
        name="ntu120",
        title="NTU RGB+D 120 skeletons, 120 classes, two bodies of 25 joints",
        homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
        where="one folder with nturgbd_skeletons_s001_to_s017 and _s018_to_s032, unpacked; both "
        "are handed out on request",
        read=_with_path(ntu.read_120),
    ),
    DataSet(
        name="sysu",
        title="SYSU 3D HOI skeletons, 20 joints",
        homepage="https://www.isee-ai.cn/~hujianfang/ProjectJOULE.html",
        where="the folder 3DvideoNorm of the release, or a zip archive of it",
        read=_with_path(sysu.read),
    ),
    DataSet(
        name="shrec17",
        title="SHREC'17 Track hand gestures, 22 joints",
        homepage="http://www-rech.telecom-lille.fr/shrec2017-hand/",
        where="HandGestureDataset_SHREC2017, as a folder or a zip archive",
        read=_with_path(shrec17.read),
    ),
    DataSet(
        name="dhg",
        title="DHG-14/28 hand gestures, 22 joints",
        homepage="http://www-rech.telecom-lille.fr/DHGdataset/",
        where="DHG2016, as a folder or a zip archive",
        read=_with_path(dhg.read),
    ),
    DataSet(
        name="jhmdb",
        title="JHMDB videos, 21 actions, as features of a backbone",
        homepage="http://jhmdb.is.tue.mpg.de/",
        where="JHMDB_video.zip and, for --splits, splits.zip, or their unpacked folders",
        read=_otherwise("jhmdb", "made of videos, with a backbone"),
    ),
    DataSet(
        name="ntu_rgb",
        title="NTU RGB+D videos, 60 classes, as features of a backbone",
        homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
        where="the RGB videos, handed out on request, unpacked into one folder",
        read=_otherwise("ntu_rgb", "made of videos, with a backbone"),
    ),
)
_BY_NAME = {entry.name: entry for entry in _DATA_SETS}


def names() -> tuple[str, ...]:
    """The names of all known data sets."""
    return tuple(_BY_NAME)


def entry(name: str) -> DataSet:
    """The data set called ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in _BY_NAME:
        raise unknown("data set", name, _BY_NAME)
    return _BY_NAME[name]


class Part(NamedTuple):
    """What remains of each frame."""

    layout: dict[str, Any]
    columns: Integers


def columns(joints: Sequence[str], whole: Mapping[str, Any]) -> Integers:
    """Where x, y, z of each of ``joints`` stand in a frame; of two bodies, of the first."""
    first = [3 * whole["joints"].index(joint) for joint in joints]
    return (np.array(first)[:, None] + np.arange(3)).ravel()


PARTS = {"ntu_v1": Part(nucla.LAYOUT, columns(nucla.JOINTS, ntu.LAYOUT))}


def part(whole: SequenceStore, name: str) -> SequenceStore:
    """The part ``name`` of the store ``whole``: the same file, nothing is copied."""
    assert whole.name == PART_OF[name]
    chosen = PARTS[name]
    return replace(whole, name=name, layout=chosen.layout, columns=chosen.columns)
