"""Features of single clips on disk: whole and of that clip, or not there."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb.cache import FeatureCache

FEATURES = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)

HOLD = (
    "import sys; from pathlib import Path\n"
    "from eleatt_bench.data.rgb.cache import FeatureCache\n"
    "with FeatureCache(Path(sys.argv[1]), 3).held(): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "features", 3)


def test_what_goes_in_comes_out(cache: FeatureCache) -> None:
    assert cache.read("a (1)!", "digest") is None
    cache.write("a (1)!", "digest", FEATURES)
    found = cache.read("a (1)!", "digest")
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, FEATURES)
    assert [path.name for path in cache.folder.iterdir()] == ["a (1)!.npz"]


def test_features_of_another_clip_or_backbone_are_of_no_use(cache: FeatureCache) -> None:
    cache.write("a", "digest", FEATURES)
    assert cache.read("a", "another digest") is None
    assert cache.read("b", "digest") is None
    assert FeatureCache(cache.folder, 4).read("a", "digest") is None
    np.savez(cache.folder / "a.npz", clip="digest", features=FEATURES.astype(float))
    assert cache.read("a", "digest") is None
    np.savez(cache.folder / "a.npz", clip="digest", features=FEATURES[:0])
    assert cache.read("a", "digest") is None
    np.savez(cache.folder / "a.npz", clip="digest", features=np.array([object()]))
    assert cache.read("a", "digest") is None


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, bytes]:
    cache = FeatureCache(tmp_path_factory.mktemp("kept"), 3)
    cache.write("a", "digest", FEATURES)
    return cache, (cache.folder / "a.npz").read_bytes()


@given(data=st.data())
@settings(deadline=None)
def test_damage_is_never_taken_for_features(kept: tuple[FeatureCache, bytes], data) -> None:
    cache, whole = kept
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
    damaged = whole[:at] + (flip + whole[at + 1 :] if data.draw(st.booleans()) else b"")
    (cache.folder / "a.npz").write_bytes(damaged)
    found = cache.read("a", "digest")
    # Some bytes of a zip archive (dates, flags of other systems) do not bear on its content.
    assert found is None or np.array_equal(found, FEATURES)


def test_one_process_at_a_time(cache: FeatureCache) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cache.folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    says = r"Another process is writing features to .*: wait until"
    with pytest.raises(UserError, match=says), cache.held():
        pass
    holder.kill()
    holder.communicate()
    leftover = cache.folder / ".a.npz.77.tmp"
    leftover.write_bytes(b"half")
    with cache.held():  # a dead process holds nothing
        assert not leftover.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file, where the folder should be")
    cache = FeatureCache(tmp_path / "features", 3)
    says = r"Cannot write to .*features \(.*\): .*ELEATT_DATA=FOLDER"
    with pytest.raises(UserError, match=says), cache.held():
        pass
    with pytest.raises(UserError, match=says):
        cache.write("a", "digest", FEATURES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk")
def test_a_full_disk(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.folder.mkdir()
    (cache.folder / f".a.npz.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device"):
        cache.write("a", "digest", FEATURES)
    assert list(cache.folder.iterdir()) == []


@pytest.mark.slow
def test_threads_that_read_at_once_find_what_is_there(cache: FeatureCache) -> None:
    """Python 3.11 counts how deep all threads together are in `ast`, by which NumPy reads.

    So a thread fails if another one is there too while rubbish is collected, here all the time.
    """
    cache.write("a", "digest", FEATURES)

    def watch(phase: str, info: dict[str, int]) -> None:
        sum(range(200))  # long enough for another thread to go on; Hypothesis watches as well

    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(watch)
    gc.set_threshold(1)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: cache.read("a", "digest"), range(400)))
    finally:
        gc.callbacks.remove(watch)
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)
    assert all(one is not None for one in found)
