"""NTU RGB+D and NTU RGB+D 120: a ``.skeleton`` file per sample, in a folder or a zip archive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from eleatt_bench.common import parallel
from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import BadSample, Release, SourceError, read_each
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.sources.ntu import text as ntu_text
from eleatt_bench.data.sources.ntu.bodies import UnusableError, select
from eleatt_bench.data.sources.ntu.names import BONES, CLASSES, JOINTS
from eleatt_bench.data.store import Sample

LAYOUT = {
    "kind": "skeleton",
    "joints": [*JOINTS, *JOINTS],  # of actor 1, then of actor 2
    "bones": [[a + first, b + first] for first in (0, len(JOINTS)) for a, b in BONES],
    "units": "metres",
    "origin": JOINTS.index("spine"),
}

_FILES = re.compile(r"(?:.*/)?[^/]+\.skeleton")
_NAME = re.compile(r"S([0-9]{3})C([0-9]{3})P([0-9]{3})R([0-9]{3})A([0-9]{3})")
_LIMITS = (32, 3, 106, 2, 120)  # setups, cameras, subjects, replications, actions; all from 1
_BATCH = 32  # files; some megabytes of text
_BATCH_BYTES = 1 << 24  # of files that are already in memory


class Code(NamedTuple):
    """What the name of a sample says."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int

    @property
    def metadata(self) -> dict[str, int]:
        """All of it except the action, which is the label."""
        said = self._asdict()
        return {key: said[key] for key in ("subject", "camera", "setup", "replication")}


@dataclass(frozen=True)
class Edition:
    """One of the two data sets: the samples of NTU RGB+D 120 up to some setup and action."""

    name: str
    title: str
    setups: int
    actions: int
    package: str

    def has(self, code: Code) -> bool:
        return code.setup <= self.setups and code.action <= self.actions

    @property
    def command(self) -> str:
        return f"eleatt-bench data prepare {self.name} --source PATH"


NTU = Edition("ntu", "NTU RGB+D", 17, 60, "nturgbd_skeletons_s001_to_s017.zip")
NTU_120 = Edition(
    "ntu120",
    "NTU RGB+D 120",
    32,
    120,
    "nturgbd_skeletons_s001_to_s017.zip and nturgbd_skeletons_s018_to_s032.zip",
)


def read(path: Path, edition: Edition = NTU, *, processes: int | None = None) -> Release:
    """The samples of ``edition`` at ``path``, a folder or a zip archive, by name.

    A file is called ``SsssCcccPpppRrrrAaaa.skeleton`` (setup, camera, subject, replication,
    action) and lies in any folder below ``path``. `ntu_text.parse` reads it, and `select` turns it
    into frames of 150 coordinates in metres: x y z by joint, actor 1, then actor 2 or zeros, with
    the origin already moved. The samples that the publishers list as having missing skeletons are
    left out, and so are the files that only the other edition has; the description says how many.

    ``processes`` processes parse the files, by default at most one per core. A script that calls
    this needs ``if __name__ == "__main__"``.

    Raises:
        UserError: no such path, a damaged archive, the same name twice, or no file of the edition.
            A sample is bad if its name is none that a sample can have, or if its file holds
            something else or has no body left.
    """
    source = Source(path, edition.package, edition.command, ntu_text.LARGEST)
    members, misnamed = _by_code(source)
    ours = {name: found for name, found in members.items() if edition.has(found[0])}
    chosen = {name: found for name, found in sorted(ours.items()) if name not in missing()}
    if not chosen and not misnamed:
        raise UserError(
            f"{path} has {len(members):,} skeleton files, but none that belongs to {edition.title} "
            f"and is not listed as missing: give {edition.package} to {edition.command}"
        )
    description = f"{edition.title}, {len(chosen):,} skeleton files"
    if len(ours) > len(chosen):
        description += f"; {len(ours) - len(chosen):,} listed as missing skeletons left out"
    if len(members) > len(ours):
        description += f"; {len(members) - len(ours):,} of other setups or actions left out"
    return Release(
        description=description,
        class_names=CLASSES[: edition.actions],
        layout=LAYOUT,
        count=len(misnamed) + len(chosen),
        samples=_samples(source, misnamed, chosen, processes),
        origin_applied=True,
        left_out=source.left_out.lines(),
    )


def read_120(path: Path) -> Release:
    """The samples of NTU RGB+D 120 at ``path``: `read` of `NTU_120`."""
    return read(path, NTU_120)


@cache
def missing() -> frozenset[str]:
    """The 535 samples that the publishers list as having missing skeletons, 302 in NTU RGB+D."""
    package = resources.files("eleatt_bench.data.sources.ntu")
    return frozenset((package / "missing.txt").read_text("ascii").split())


def code(name: str) -> Code | None:
    """What ``name`` says; None if no sample can have that name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    found = Code(*map(int, match.groups()))
    exists = all(1 <= number <= limit for number, limit in zip(found, _LIMITS, strict=True))
    return found if exists else None


_Found = tuple[Code, Member]


def _by_code(source: Source) -> tuple[dict[str, _Found], list[BadSample]]:
    """The files by the names of their samples, and the files whose name no sample can have."""
    found: dict[str, _Found] = {}
    misnamed: list[BadSample] = []
    for member in source.find(_FILES, "S001C001P001R001A001.skeleton"):
        name = member.path.stem.upper()
        means = code(name)
        if means is None:
            error = SourceError(
                f"{member.where} is not called like S001C001P001R001A001.skeleton, within the "
                "setups, cameras, subjects, replications and actions of NTU RGB+D 120",
                f"remove or rename it, then {source.command}",
            )
            misnamed.append(BadSample(member.shown, error))
            continue
        if name in found:
            raise source.twice("sample", member, found[name][1])
        found[name] = (means, member)
    return found, misnamed


class _File(NamedTuple):
    name: str
    code: Code
    where: str
    content: Callable[[], bytes] | bytes | UserError


class _Batch(NamedTuple):
    source: Source
    files: list[_File]


def _samples(
    source: Source, misnamed: list[BadSample], found: dict[str, _Found], processes: int | None
) -> Iterator[Sample | BadSample]:
    yield from misnamed
    if processes is None:
        # A process takes a second to start, so each must have a few seconds of reading to do.
        processes = min(parallel.cores(), 1 + len(found) // (16 * _BATCH))
    for results in parallel.in_order(_read_batch, _batches(source, found), processes):
        yield from results


def _batches(source: Source, found: dict[str, _Found]) -> Iterator[_Batch]:
    in_folder = source.path.is_dir()
    files: list[_File] = []
    size = 0
    for name, (means, member) in found.items():
        # Another process can open a file, but an open archive cannot be handed to it.
        load = partial(source.text, member)
        content = load if in_folder else _loaded(load)
        files.append(_File(name, means, member.where, content))
        size += len(content) if isinstance(content, bytes) else 0
        if len(files) == _BATCH or size > _BATCH_BYTES:
            yield _Batch(source, files)
            files, size = [], 0
    if files:
        yield _Batch(source, files)


def _loaded(load: Callable[[], bytes]) -> bytes | UserError:
    try:
        return load()
    except UserError as error:  # raised when its turn comes
        return error


def _read_batch(batch: _Batch) -> list[Sample | BadSample]:
    named = ((file.name, file) for file in batch.files)
    return list(read_each(partial(_sample, batch.source), named))


def _sample(source: Source, file: _File) -> Sample:
    content = file.content
    if isinstance(content, UserError):
        raise content
    recording = ntu_text.parse(
        source, file.where, content if isinstance(content, bytes) else content()
    )
    try:
        frames = select(recording)
    except UnusableError as error:
        raise source.wrong(file.where, str(error)) from error
    return Sample(file.name, frames, file.code.action - 1, file.code.metadata)
