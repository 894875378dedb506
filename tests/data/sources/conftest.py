"""What the tests of several sources share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import required


@pytest.fixture(scope="session")
def refused(
    one_sentence: Callable[[UserError, str], None],
) -> Callable[[ModuleType, Path, str], None]:
    """Check that a source reads no release in ``path``, and ``says`` why and what mends it."""

    def check(source: ModuleType, path: Path, says: str) -> None:
        with pytest.raises(UserError, match=says) as caught:
            [required(found) for found in source.read(path).samples]
        name = source.__name__.rpartition(".")[2]
        one_sentence(caught.value, f"eleatt-bench data prepare {name}")

    return check
