"""Videos into a store of feature sequences; an interruption loses no clip that is done."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eleatt_bench.common import parallel
from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.release import BadSample, Release
from eleatt_bench.data.rgb import video
from eleatt_bench.data.rgb.cache import FeatureCache
from eleatt_bench.data.rgb.clips import Clip, ClipSet
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.writing import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from eleatt_bench.data.rgb.backbones.contract import Backbone

Report = Callable[[str], None]
"""Called with what is wrong with a clip, as soon as it is known."""

_NAMED = 3  # broken clips in one sentence


@dataclass
class Extracted:
    """What `extract` has done and found so far."""

    folder: Path  # where the features of single clips stay
    digests: dict[str, str] = field(default_factory=dict)  # of the contents of clips that are done
    broken: dict[str, str] = field(default_factory=dict)  # what is wrong with the others
    done_before: int = 0  # clips whose features were there already


def extract(
    data_dir: Path,
    name: str,
    clips: ClipSet,
    backbone: Backbone,
    *,
    batch_size: int | None,
    skip_bad: bool,
    report: Report,
    progress: Progress,
) -> tuple[SequenceStore, Extracted]:
    """Make the store of data set ``name`` from what ``backbone`` gives for each frame of ``clips``.

    The features of each clip are kept below ``data_dir/features`` as soon as they are known. They
    are not computed again as long as weights, preprocessing and the clip's content stay the same.
    On a CPU each core, up to eight, works on a clip of its own in one thread, so that the number of
    cores changes no digit. If ``batch_size`` is None, `Backbone.batch_size` chooses it. ``report``
    is called for a clip that cannot be decoded. With ``skip_bad`` the store is written without such
    clips and lists them, else there is no store.

    Raises:
        UserError: broken clips (told when all others are done), no clip that is not broken, PyAV
            is missing, features that are not finite, out of memory, or a folder that cannot be
            written.
    """
    video.pyav()
    folder = data_dir / "features" / f"{name}-{backbone.digest[:12]}"
    cache, done = FeatureCache(folder, backbone.size), Extracted(folder)
    with cache.held():
        with closing(_loaded(clips.clips, cache, backbone, batch_size)) as loaded:
            for count, loading in enumerate(loaded, start=1):
                _finish(loading, cache, backbone, batch_size, done)
                if loading[0].name in done.broken:
                    report(done.broken[loading[0].name])
                progress(count, len(clips.clips))
        if done.broken and not (skip_bad and done.digests):
            raise _broken(done, len(clips.clips))
        release = _release(clips, backbone, _samples(clips.clips, cache, done))
        return catalog.write(data_dir, name, release, skip_bad=skip_bad), done


def _release(clips: ClipSet, backbone: Backbone, samples: Iterable[Sample | BadSample]) -> Release:
    return Release(
        description=(
            f"{clips.description}; features of {backbone.name}, weights: {backbone.weights}"
        ),
        class_names=clips.class_names,
        layout={
            "kind": "features",
            "backbone": backbone.name,
            "weights": backbone.weights,
            "weights_digest": backbone.weights_digest,
            "preprocessing": backbone.preprocessing,
        },
        count=len(clips.clips),
        samples=samples,
        left_out=clips.left_out,
    )


class _Loaded(NamedTuple):
    """The digest of a clip's content and, unless the clip was done before, what `_finish` needs.

    That is prepared frames (T, 3, h, w) for another device, or features (T, D) to be kept.
    """

    digest: str
    frames: Tensor | None = None
    features: Tensor | None = None


_Loading = tuple[Clip, "Future[_Loaded | str]"]
"""A clip, and in time its content or what is wrong with it."""


def _load(
    clip: Clip, cache: FeatureCache, backbone: Backbone, batch_size: int | None, stopped: Event
) -> _Loaded | str:
    import torch

    frames: list[Tensor] = []
    unfinished = f"{clip.where} was not decoded to its end"  # if `_loaded` was stopped
    try:
        content = clip.load()
        digest = hashlib.sha256(content).hexdigest()
        if cache.read(clip.name, digest) is not None:
            return _Loaded(digest)
        for picture in video.decode(content):
            if stopped.is_set():
                return unfinished
            frames.append(backbone.prepare(torch.from_numpy(picture).permute(2, 0, 1)))
    except UserError as error:  # it cannot be read
        return str(error)
    except video.BrokenVideoError as error:
        return f"{clip.where} {error}"
    prepared = torch.stack(frames)
    if backbone.device.type != "cpu":
        return _Loaded(digest, frames=prepared)
    size = batch_size or backbone.batch_size(prepared)
    parts: list[Tensor] = []
    for part in torch.split(prepared, size):
        if stopped.is_set():
            return unfinished
        parts.append(backbone.features(part, size))
    return _Loaded(digest, features=torch.cat(parts))


def _loaded(
    clips: Iterable[Clip], cache: FeatureCache, backbone: Backbone, batch_size: int | None
) -> Generator[_Loading, None, None]:
    """Every clip, in order; the next ones are loaded while the caller finishes this one."""
    import torch

    threads = parallel.cores()
    pool = ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1))
    pending: deque[_Loading] = deque()
    stopped = Event()
    try:
        for clip in clips:
            pending.append((clip, pool.submit(_load, clip, cache, backbone, batch_size, stopped)))
            if len(pending) > threads:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _finish(
    loading: _Loading,
    cache: FeatureCache,
    backbone: Backbone,
    batch_size: int | None,
    done: Extracted,
) -> None:
    """Finish one clip: keep its features, or note what is wrong with it."""
    from eleatt_bench.data.rgb.backbones.contract import enough_memory

    clip, future = loading
    with enough_memory():
        loaded = future.result()
    if isinstance(loaded, str):
        done.broken[clip.name] = loaded
        return
    found = loaded.features
    if loaded.frames is not None:
        found = backbone.features(loaded.frames, batch_size or backbone.batch_size(loaded.frames))
    if found is None:
        done.done_before += 1
    else:
        features = found.numpy()
        if not np.isfinite(features).all():
            raise UserError(
                f"{backbone.name} gives values that are not finite for {clip.where}: give other "
                "weights"
            )
        cache.write(clip.name, loaded.digest, features)
    done.digests[clip.name] = loaded.digest


def _samples(
    clips: Iterable[Clip], cache: FeatureCache, done: Extracted
) -> Iterator[Sample | BadSample]:
    for clip in clips:
        if clip.name in done.broken:
            yield BadSample(clip.name, UserError(done.broken[clip.name]))
            continue
        features = cache.read(clip.name, done.digests[clip.name])
        if features is None:  # it was there a moment ago
            raise UserError(
                f"The features of {clip.name} in {cache.folder} were changed by something "
                "else: run the same command again"
            )
        yield Sample(clip.name, features, clip.label, clip.metadata)


def _broken(done: Extracted, total: int) -> UserError:
    said = [*done.broken.values()]
    named = "; ".join(said[:_NAMED]) + (
        f"; and {len(said) - _NAMED:,} more" if len(said) > _NAMED else ""
    )
    remedy = "add --skip-bad to leave them out; all others are done and stay so"
    return UserError(
        f"{len(said):,} of {total:,} clips cannot be decoded ({named}): fetch them again"
        + (f", or {remedy}" if done.digests else "")
    )
