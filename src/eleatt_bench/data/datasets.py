"""The data sets that this program knows: one entry says all that is known of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.data.release import Release
from eleatt_bench.data.rgb import jhmdb, ntu_rgb
from eleatt_bench.data.sources import dhg, digits, hand, mnist, ntu, nucla, shrec17, sysu
from eleatt_bench.data.store import Integers, SequenceStore

Sizes = tuple[int, int]
"""How many sequences are learnt from (validation included), and how many are tested."""


class Part(NamedTuple):
    """A data set in the store of the data set ``whole``: these ``columns`` of each frame."""

    whole: str
    columns: Integers


@dataclass(frozen=True)
class DataSet:
    """A data set; ``read`` takes the path of its source (None if the data set is embedded).

    ``frame`` is the layout of a skeleton, or else the number of values of a frame. ``published``
    is the number of sequences of the release that everybody uses, without those that its publishers
    say to leave out. ``sizes`` has for each protocol one pair for all folds, or a pair for each.
    """

    name: str
    title: str
    homepage: str
    where: str  # how one gets the source, as the end of a sentence
    published: int
    sizes: Mapping[str, tuple[Sizes, ...]]
    frame: Mapping[str, Any] | int
    classes: int
    read: Callable[[Any], Release] | None = None
    embedded: bool = False  # it ships inside an installed package and needs no source
    download: Callable[[Path], None] | None = None
    with_splits: Callable[[Path, Path], Release] | None = None  # as ``read``, with --splits
    part: Part | None = None
    made_by: str = ""  # the command, if it is not `data prepare`
    samples_of: str = ""  # the data set whose samples it has too, in the same protocols

    @property
    def of_videos(self) -> bool:
        """Whether a frame is what a backbone made of a picture."""
        return self.read is None and self.part is None

    @property
    def command(self) -> str:
        """The command line that makes its store, or the store that it is a part of."""
        name = self.part.whole if self.part else self.name
        source = "" if self.embedded else " --source PATH"
        return self.made_by or f"eleatt-bench data prepare {name}{source}"


def columns(joints: Sequence[str], whole: Mapping[str, Any]) -> Integers:
    """The columns of x, y, z of each of ``joints`` in a frame; of two bodies, of the first."""
    first = [3 * whole["joints"].index(joint) for joint in joints]
    return (np.array(first)[:, None] + np.arange(3)).ravel()


_RESNET_50 = 2048  # values of a frame's feature of the commands; another backbone makes others
_NTU = "https://rose1.ntu.edu.sg/dataset/actionRecognition/"
_NTU_SIZES = {"cross_subject": ((40_091, 16_487),), "cross_view": ((37_646, 18_932),)}
_HALVES = {"cross_subject": ((240, 240),), "same_subject": ((240, 240),)}

_DATA_SETS = (
    DataSet(
        name="digits",
        title="Handwritten digits, 8 × 8 pixels",
        homepage="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits",
        where="it ships inside scikit-learn",
        published=1797,
        sizes={"fixed": ((1438, 359),)},
        frame=8,
        classes=10,
        read=lambda source: digits.read(),
        embedded=True,
    ),
    DataSet(
        name="mnist",
        title="MNIST handwritten digits, 28 × 28 pixels",
        homepage="https://yann.lecun.com/exdb/mnist/",
        where="the four IDX files, in a folder or a zip archive; eleatt-bench data download mnist "
        "fetches them",
        published=70_000,
        sizes={"official": ((60_000, 10_000),)},
        frame=28,
        classes=10,
        read=mnist.read,
        download=mnist.download,
    ),
    DataSet(
        name="nucla",
        title="Northwestern-UCLA multiview skeletons, 20 joints",
        homepage="https://wangjiangb.github.io/my_data.html",
        where=f"all_sqe.zip from {nucla.ARCHIVE} or its unpacked folder",
        published=1484,
        sizes={"cross_view": ((1020, 464),), "cross_view_dev": ((516, 399),)},
        frame=nucla.LAYOUT,
        classes=len(nucla.CLASSES),
        read=nucla.read,
    ),
    DataSet(
        name="ntu",
        title="NTU RGB+D skeletons, 60 classes, two bodies of 25 joints",
        homepage=_NTU,
        where="nturgbd_skeletons_s001_to_s017.zip, handed out on request, or its unpacked folder",
        published=56_578,
        sizes=_NTU_SIZES,
        frame=ntu.LAYOUT,
        classes=ntu.NTU.actions,
        read=ntu.read,
    ),
    DataSet(
        name="ntu_v1",
        title="NTU RGB+D skeletons as of a Kinect v1, one body of 20 joints",
        homepage=_NTU,
        where="it is a part of ntu",
        published=56_578,
        sizes=_NTU_SIZES,
        frame=nucla.LAYOUT,
        classes=ntu.NTU.actions,
        part=Part("ntu", columns(nucla.JOINTS, ntu.LAYOUT)),
        samples_of="ntu",
    ),
    DataSet(
        name="ntu120",
        title="NTU RGB+D 120 skeletons, 120 classes, two bodies of 25 joints",
        homepage=_NTU,
        where="one folder with nturgbd_skeletons_s001_to_s017 and _s018_to_s032, unpacked; both "
        "are handed out on request",
        published=113_945,
        sizes={"cross_subject": ((63_026, 50_919),), "cross_setup": ((54_468, 59_477),)},
        frame=ntu.LAYOUT,
        classes=ntu.NTU_120.actions,
        read=ntu.read_120,
    ),
    DataSet(
        name="sysu",
        title="SYSU 3D HOI skeletons, 20 joints",
        homepage="https://www.isee-ai.cn/~hujianfang/ProjectJOULE.html",
        where="the folder 3DvideoNorm of the release, or a zip archive of it",
        published=480,
        sizes=_HALVES,
        frame=sysu.LAYOUT,
        classes=len(sysu.CLASSES),
        read=sysu.read,
        with_splits=sysu.read,
    ),
    DataSet(
        name="shrec17",
        title="SHREC'17 Track hand gestures, 22 joints",
        homepage="http://www-rech.telecom-lille.fr/shrec2017-hand/",
        where="HandGestureDataset_SHREC2017, as a folder or a zip archive",
        published=2800,
        sizes={"gestures_14": ((1960, 840),), "gestures_28": ((1960, 840),)},
        frame=hand.LAYOUT,
        classes=len(hand.GESTURES),
        read=shrec17.read,
    ),
    DataSet(
        name="dhg",
        title="DHG-14/28 hand gestures, 22 joints",
        homepage="http://www-rech.telecom-lille.fr/DHGdataset/",
        where="DHG2016, as a folder or a zip archive",
        published=2800,
        sizes={"gestures_14": ((2660, 140),), "gestures_28": ((2660, 140),)},
        frame=hand.LAYOUT,
        classes=len(hand.GESTURES),
        read=dhg.read,
    ),
    DataSet(
        name="jhmdb",
        title="JHMDB videos, 21 actions, as features of a backbone",
        homepage="http://jhmdb.is.tue.mpg.de/",
        where="JHMDB_video.zip and, for --splits, splits.zip, or their unpacked folders",
        published=928,
        sizes={"split": ((660, 268), (658, 270), (663, 265))},
        frame=_RESNET_50,
        classes=len(jhmdb.CLASSES),
        made_by=jhmdb.COMMAND,
    ),
    DataSet(
        name="ntu_rgb",
        title="NTU RGB+D videos, 60 classes, as features of a backbone",
        homepage=_NTU,
        where="the RGB videos, handed out on request, unpacked into one folder",
        published=56_578,
        sizes=_NTU_SIZES,
        frame=_RESNET_50,
        classes=ntu.NTU.actions,
        made_by=ntu_rgb.COMMAND,
        samples_of="ntu",
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


def whole_entry(name: str) -> DataSet:
    """The data set called ``name``, which must be no part of another one.

    Raises:
        UserError: there is none, or it is a part.
    """
    data_set = entry(name)
    if data_set.part:
        raise UserError(
            f"{name} is a part of {data_set.part.whole} and has no store of its own: "
            f"{data_set.command}"
        )
    return data_set


def prepare_command(name: str) -> str:
    """The command line that makes the store of data set ``name``."""
    return entry(name).command


def reader(name: str, source: Path | None, splits: Path | None) -> Callable[[], Release]:
    """The function that reads ``source`` (and ``splits``) of data set ``name``.

    Raises:
        UserError: the data set is unknown, is a part of another one, is made of videos, or takes
            other arguments.
    """
    data_set = whole_entry(name)
    if data_set.read is None:  # then it is `of_videos`
        raise UserError(f"{name} is made of videos, with a backbone: {data_set.command}")
    if data_set.embedded and source is not None:
        raise UserError(f"{name} takes no --source ({data_set.where}): {data_set.command}")
    if not data_set.embedded and source is None:
        raise UserError(
            f"data prepare {name} needs its source, {data_set.where}: {data_set.command}"
        )
    read, with_splits = data_set.read, data_set.with_splits
    if splits is None:
        return lambda: read(source)
    if with_splits is None or source is None:
        raise UserError(f"{name} has one way to be split, and takes no --splits: drop it")
    return lambda: with_splits(source, splits)


def part(whole: SequenceStore, name: str) -> SequenceStore:
    """The data set ``name``, which is ``whole`` or a part of it, without a copy of its frames."""
    chosen, frame = entry(name).part, entry(name).frame
    if chosen is None:
        return whole
    assert whole.name == chosen.whole
    assert not isinstance(frame, int)
    return replace(whole, name=name, layout=dict(frame), columns=chosen.columns)
