"""What the readers' tests share: zip archives, damage, and what a refusal must look like."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from eleatt_bench.errors import UserError


@pytest.fixture(scope="session")
def zipped() -> Callable[[Path], Path]:
    """Put a folder into a zip archive beside it, in an order that is not the sorted one."""

    def zip_it(folder: Path) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(folder.parent))
        return path

    return zip_it


def _apply(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, new in edits:
        at = int(where * len(content))
        if kind == "cut":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "overwrite":
            content = content[:at] + new + content[at + len(new) :]
        else:
            content = content[:at] + content[at + len(new) :]
    return content


@pytest.fixture(scope="session")
def damaged() -> Callable[[bytes], st.SearchStrategy[bytes]]:
    """A strategy: the given content after a few cuts, flips, insertions and deletions."""
    pieces = st.binary(min_size=1, max_size=6) | st.sampled_from(
        [b"\n", b"\r\n", b" ", b"-", b".", b"nan", b"inf", b"1e9", b"1_0", b"x", b"\x00", b"\xff"]
    )
    kinds = st.sampled_from(["cut", "insert", "overwrite", "delete"])
    edits = st.lists(
        st.tuples(kinds, st.floats(0, 1, exclude_max=True), pieces), min_size=1, max_size=3
    )
    return lambda content: edits.map(lambda chosen: _apply(content, chosen))


@pytest.fixture(scope="session")
def one_sentence() -> Callable[[UserError, str], None]:
    """Check that an error is one sentence that ends with the command that mends it."""

    def check(error: UserError, command: str) -> None:
        text = str(error)
        assert text.endswith(f"{command} --source PATH"), text
        assert text.isprintable(), text
        assert ". " not in text, text

    return check
