"""What an index is given: its README leads and shows everything from wherever it is read."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from eleatt_bench import __version__

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from distribution import of_index  # noqa: E402

URL = "https://example.org/somebody/eleatt-bench"


def links(text: str) -> list[tuple[str, str]]:
    """Of each link, or picture, its mark and where it leads."""
    return re.findall(r"(!?)\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^)\s]+)\)", text)


def test_every_link_and_picture_of_the_readme_is_whole() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    before, after = links(readme), links(of_index(readme, URL, "v1"))
    assert len(before) == len(after) > 20
    assert sum(mark == "!" for mark, _ in before) >= 3
    for (mark, path), (_, whole) in zip(before, after, strict=True):
        kind = "raw" if mark else "blob"
        kept = path.startswith(("https://", "#"))
        assert whole == (path if kept else f"{URL}/{kind}/v1/{path}")
        assert kept or (ROOT / path.partition("#")[0]).exists()


def test_the_rest_of_a_page_stays() -> None:
    text = "[a](b.md) `x[0](y)` ![c [d] e](f/g.png) [h](#i) [j](https://k) (l)[m] n(o)\n"
    made = of_index(text, URL, "v1")
    assert made.startswith(f"[a]({URL}/blob/v1/b.md) ")
    assert f"![c [d] e]({URL}/raw/v1/f/g.png) [h](#i) [j](https://k) (l)[m] n(o)\n" in made


@pytest.mark.parametrize("address", ["eleatt-bench", "https://example.org", "git@host:a/b.git"])
def test_what_is_no_address_is_refused(address: str) -> None:
    command = [sys.executable, str(ROOT / "scripts/distribution.py"), address]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is no address such as" in done.stderr


@pytest.mark.slow
def test_wheel_and_source_carry_it(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/distribution.py"), f"{URL}.git"]
    subprocess.run([*command, "--outdir", str(tmp_path)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("dist-info/METADATA"))
        metadata = file.read(name).decode()
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        (name,) = (name for name in archive.getnames() if name.endswith("/PKG-INFO"))
        packed = archive.extractfile(name)
        assert packed is not None
        others = packed.read().decode()
    for said in (metadata, others):
        assert f"Project-URL: Repository, {URL}\n" in said
        assert f"]({URL}/raw/v{__version__}/results/nucla.svg)" in said
        assert not [path for _, path in links(said) if not path.startswith(("https://", "#"))]
