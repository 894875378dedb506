"""The videos of NTU RGB+D: a file ``SsssCcccPpppRrrrAaaa_rgb.avi`` per sample."""

from __future__ import annotations

from pathlib import Path

from eleatt_bench.data.rgb.clips import LARGEST, Clip, ClipSet, videos
from eleatt_bench.data.sources import ntu
from eleatt_bench.data.sources.archive import Source
from eleatt_bench.data.sources.ntu.names import CLASSES

COMMAND = "eleatt-bench data features ntu_rgb --source VIDEOS --backbone resnet50"
_ENDING = "_RGB"


def clips(path: Path) -> ClipSet:
    """The clips of NTU RGB+D at ``path``, a folder or a zip archive, by name.

    As in `ntu.read`, the 302 samples that the publishers list as having missing skeletons are left
    out, so that both stores hold the same samples. Clips that only NTU RGB+D 120 has are left out,
    too. A clip is named by its sample, as the skeleton is: the file's name without its ending. The
    metadata has ``subject``, ``camera``, ``setup`` and ``replication``.

    Raises:
        UserError: no such path, a damaged archive, a name that no sample can have, the same name
            twice, or no clip of this data set.
    """
    source = Source(path, "the RGB videos of NTU RGB+D", COMMAND, LARGEST)
    chosen, missing, others = [], 0, 0
    for stem, member in videos(source, "S001C001P001R001A001_rgb.avi").items():
        name = stem.upper().removesuffix(_ENDING)
        code = ntu.code(name) if stem.upper().endswith(_ENDING) else None
        if code is None:
            raise source.wrong(member.where, "is not called like S001C001P001R001A001_rgb.avi")
        if not ntu.NTU.has(code):
            others += 1
        elif name in ntu.missing():
            missing += 1
        else:
            chosen.append(Clip(name, member.where, member.load, code.action - 1, code.metadata))
    if not chosen:
        raise source.wrong(
            path, f"has {missing + others:,} videos, but none that NTU RGB+D has and keeps"
        )
    description = f"NTU RGB+D, {len(chosen):,} videos"
    if missing:
        description += f"; {missing:,} listed as missing skeletons left out"
    if others:
        description += f"; {others:,} of other setups or actions left out"
    clips = sorted(chosen, key=lambda clip: clip.name)
    return ClipSet(description, CLASSES[: ntu.NTU.actions], tuple(clips), source.left_out.lines())
