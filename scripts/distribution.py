"""Build a wheel and a source distribution for a package index, where the README's pictures show.

An index shows the README alone, so its links and pictures must be full addresses in the repository,
at the tag of this version. Push the tag before you upload anything.

python scripts/distribution.py https://github.com/OWNER/eleatt-bench [--outdir dist]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from eleatt_bench import __version__

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?!https?://|#)([^)\s]+)\)")


def of_index(readme: str, repository: str, tag: str) -> str:
    """``readme`` with its links and pictures as full addresses in ``repository`` at ``tag``."""

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}[{link[2]}]({repository}/{kind}/{tag}/{link[3]})"

    return _LINK.sub(absolute, readme)


def urls(repository: str, tag: str) -> str:
    """The section of pyproject.toml with the project's addresses."""
    places = {
        "Repository": repository,
        "Documentation": f"{repository}/blob/{tag}/docs/README.md",
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    return "\n[project.urls]\n" + "".join(f'{key} = "{url}"\n' for key, url in places.items())


def build(repository: str, outdir: Path) -> None:
    """Build the last commit into ``outdir``; the working tree is left alone."""
    tag = f"v{__version__}"
    with tempfile.TemporaryDirectory() as folder:
        tree, packed = Path(folder, "tree"), Path(folder, "tree.tar")
        subprocess.run(["git", "-C", ROOT, "archive", f"--output={packed}", "HEAD"], check=True)
        with tarfile.open(packed) as archive:
            archive.extractall(tree, filter="data")
        readme, project = tree / "README.md", tree / "pyproject.toml"
        readme.write_text(of_index(readme.read_text("utf-8"), repository, tag), "utf-8")
        with project.open("a", encoding="utf-8") as file:
            file.write(urls(repository, tag))
        made = [sys.executable, "-m", "build", "--outdir", str(outdir.absolute()), str(tree)]
        subprocess.run(made, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("repository", help="https://HOST/OWNER/NAME, where the tag is pushed to")
    parser.add_argument("--outdir", type=Path, default=ROOT / "dist")
    given = parser.parse_args()
    repository = given.repository.rstrip("/").removesuffix(".git")
    if re.fullmatch(r"https://[^/\s]+(?:/[\w.-]+){2,}", repository) is None:
        parser.error(f"{given.repository!r} is no address such as https://github.com/OWNER/NAME")
    build(repository, given.outdir)


if __name__ == "__main__":
    main()
