"""What a verb needs beyond the core is asked for before the work, with what installs it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from eleatt_bench.cli import main
from eleatt_bench.common.extras import LIBRARIES

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize(
    ("verb", "library", "extra"),
    [
        (["attention", "run=no-such-run"], "matplotlib", "figures"),
        (["report", "figures", "digits"], "matplotlib", "figures"),
        (["report"], "jinja2", "report"),
        (["report"], "plotly", "report"),
        (["search", "digits", "optimizer.lr=choice(1,2)", "--trials", "1"], "optuna", "search"),
        (["train", "logger=mlflow"], "mlflow", "mlflow"),
        (["train", "logger=wandb"], "wandb", "wandb"),
        (["train", "-m", "launcher=ray", "seed=0,1"], "ray", "ray"),
        (["results", "add", "digits", "--weights", "GRU"], "safetensors", "weights"),
    ],
)
@pytest.mark.few(4)
def test_a_library_that_lacks_is_named_before_anything_is_done(
    verb: list[str],
    library: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    assert main(verb) == 1
    said = capsys.readouterr()
    assert f"needs {library}, which is not installed" in said.err
    assert f"pip install 'eleatt-bench[{extra}]'" in said.err
    assert said.out == ""


def test_the_extras_are_those_of_the_package() -> None:
    extras = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    for extra, libraries in LIBRARIES.items():
        wanted = {re.match(r"[a-z0-9]+", line.lower())[0] for line in extras[extra]}  # type: ignore[index]
        assert set(libraries) == wanted
