"""The known data sets: where their stores lie, and how they come to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eleatt_bench.data.protocols import PROTOCOLS, repeats, split
from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import dhg, digits, mnist, ntu, nucla, shrec17, sysu
from eleatt_bench.data.store import EMBEDDED, SequenceStore, prepare_command, read_digest
from eleatt_bench.data.writing import Progress, write_store
from eleatt_bench.errors import UserError, unknown


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


def _from_videos(name: str) -> Callable[[Path | None], Release]:
    """For a data set that `features.extract` makes: it needs more than a source."""

    def refuse(source: Path | None) -> Release:
        raise UserError(f"{name} is made of videos, with a backbone: {prepare_command(name)}")

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
        read=_from_videos("jhmdb"),
    ),
    DataSet(
        name="ntu_rgb",
        title="NTU RGB+D videos, 60 classes, as features of a backbone",
        homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
        where="the RGB videos, handed out on request, unpacked into one folder",
        read=_from_videos("ntu_rgb"),
    ),
)
CATALOG = {entry.name: entry for entry in _DATA_SETS}


@dataclass(frozen=True)
class Report:
    """What `verify` found; as a string, for a person."""

    name: str
    content_digest: str
    sequences: int
    frames: int
    frame_size: int
    classes: int
    counts: dict[str, tuple[int, int]]  # protocol: (train and validation, test)
    repeats: dict[str, int]  # protocol: test sequences that are identical to training ones

    def __str__(self) -> str:
        lines = [
            f"{self.name} is sound: {self.sequences:,} sequences of {self.classes} classes",
            f"{self.frames:,} frames of {self.frame_size} values",
            f"content digest {self.content_digest}",
        ]
        for protocol, (learn, test) in self.counts.items():
            lines.append(
                f"{protocol}: {learn:,} to train and validate, {test:,} to test; "
                f"{self.repeats[protocol]:,} test sequences are identical to training ones"
            )
        return "\n".join(lines)


def names() -> tuple[str, ...]:
    """The names of all known data sets."""
    return tuple(CATALOG)


def entry(name: str) -> DataSet:
    """The data set called ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in CATALOG:
        raise unknown("data set", name, CATALOG)
    return CATALOG[name]


def store_path(data_dir: Path, name: str) -> Path:
    """Where the store of data set ``name`` lies, or will lie."""
    return data_dir / "prepared" / f"{entry(name).name}.h5"


def open_store(data_dir: Path, name: str) -> SequenceStore:
    """The store of data set ``name``; an embedded one is prepared at first use.

    Raises:
        UserError: it is not prepared, or damaged.
    """
    path = _existing(data_dir, name)
    if path is None:
        raise _not_prepared(data_dir, name)
    return SequenceStore.open(path, name=name)


def data_digest(data_dir: Path, name: str) -> str | None:
    """The content digest of a store, None if it is not prepared; embedded ones are prepared.

    Raises:
        UserError: the store is damaged.
    """
    path = _existing(data_dir, name)
    return None if path is None else read_digest(path, name=name)


def prepare(
    data_dir: Path, name: str, source: Path | None, progress: Progress | None = None
) -> SequenceStore:
    """Make the store of data set ``name`` from the published files at ``source``, anew.

    The old store, if any, stays until the new one is complete and verified.

    Raises:
        UserError: no source, a source that is missing, damaged or of something else, or a
            folder that cannot be written.
    """
    data_set = entry(name)
    if data_set.embedded and source is not None:
        raise UserError(f"{name} takes no --source ({data_set.where}): {prepare_command(name)}")
    if not data_set.embedded and source is None:
        raise UserError(
            f"data prepare {name} needs its source, {data_set.where}: {prepare_command(name)}"
        )
    with _alone(data_dir, name) as path:
        return _write(path, name, data_set.read(source), progress)


def write(
    data_dir: Path, name: str, release: Release, progress: Progress | None = None
) -> SequenceStore:
    """Make the store of data set ``name`` from ``release``, anew; the rest is as for `prepare`."""
    with _alone(data_dir, entry(name).name) as path:
        return _write(path, name, release, progress)


def download(data_dir: Path, name: str) -> Path:
    """Fetch the published files of data set ``name``; the folder they are in.

    Raises:
        UserError: it cannot be fetched by a program, or not now.
    """
    data_set = entry(name)
    if data_set.embedded:
        raise UserError(f"{name} needs no download ({data_set.where}): {prepare_command(name)}")
    if data_set.download is None:
        raise UserError(
            f"{name} must be fetched by hand: get {data_set.where}, then {prepare_command(name)}"
        )
    folder = data_dir / "raw" / name
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    data_set.download(folder)
    return folder


def verify(data_dir: Path, name: str) -> Report:
    """Read the whole store of ``name`` and compare it with its digests.

    Raises:
        UserError: it is not prepared, or damaged.
    """
    store = open_store(data_dir, name)
    store.verify()
    splits = {protocol: split(store, protocol) for protocol in entry(name).protocols}
    return Report(
        name=name,
        content_digest=store.content_digest,
        sequences=len(store.labels),
        frames=len(store.frames),
        frame_size=store.input_size,
        classes=store.num_classes,
        counts={p: (len(s.train) + len(s.val), len(s.test)) for p, s in splits.items()},
        repeats={protocol: repeats(store, protocol) for protocol in splits},
    )


def status(data_dir: Path, name: str) -> str:
    """``ready``, ``not prepared`` or ``damaged`` in a line that also says what to type."""
    path = store_path(data_dir, name)
    if not path.exists():
        if entry(name).embedded:
            return "not prepared: will be at its first use"
        return f"not prepared: {prepare_command(name)} ({entry(name).where})"
    try:
        store = SequenceStore.open(path, name=name)
    except UserError as error:
        return f"damaged: {error}"
    return f"ready ({len(store.labels):,} sequences)"


def _existing(data_dir: Path, name: str) -> Path | None:
    """The path of the store, which an embedded data set gets now if it has none."""
    path = store_path(data_dir, name)
    if path.exists():
        return path
    if not entry(name).embedded:
        return None
    with _alone(data_dir, name):
        if not path.exists():  # another process may have made it while this one waited
            _write(path, name, entry(name).read(None), None)
    return path


def _write(path: Path, name: str, release: Release, progress: Progress | None) -> SequenceStore:
    return write_store(
        path,
        name=name,
        samples=release.samples,
        class_names=release.class_names,
        layout=release.layout,
        source=release.description,
        origin_applied=release.origin_applied,
        total=release.count,
        progress=progress,
    )


@contextmanager
def _alone(data_dir: Path, name: str) -> Iterator[Path]:
    """The store's path, with the right to write it; waits while another process has it."""
    from filelock import FileLock

    path = store_path(data_dir, name)
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{name}.lock")):
            for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # of a killed process
                leftover.unlink()
            yield path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the operating system's
            raise
        raise UserError(
            f"Cannot write to {folder} ({error}): mend that, or choose another folder with "
            "ELEATT_DATA=FOLDER"
        ) from error


def _not_prepared(data_dir: Path, name: str) -> UserError:
    return UserError(
        f"Data set {name!r} is not prepared: {store_path(data_dir, name)} is missing. Make it with "
        f"{prepare_command(name)} (the source is {entry(name).where})"
    )
