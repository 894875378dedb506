"""docs/settings.md is what the schema and its comments say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date_and_every_setting_has_a_meaning(
    user_environment: dict[str, str],
) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "settings_page.py"],
        capture_output=True, text=True, env=user_environment, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert done.stdout == page, "write it anew: python scripts/settings_page.py > docs/settings.md"
