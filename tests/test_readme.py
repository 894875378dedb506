"""What the README and the pages of docs/ tell people to type is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eleatt_bench.cli import VERBS
from eleatt_bench.cli.data import ACTIONS
from eleatt_bench.cli.results import ACTIONS as RESULTS_ACTIONS
from eleatt_bench.cli.runs import ACTIONS as RUNS_ACTIONS
from eleatt_bench.cli.train import split
from eleatt_bench.config.overrides import check_override
from eleatt_bench.config.setup import hydra_ready, options
from eleatt_bench.data import catalog

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OTHERS = [page for page in (ROOT / "docs").glob("*.md") if not page.name.startswith("adding-")]
PAGES = [README, *(page.read_text(encoding="utf-8") for page in OTHERS)]
BLOCKS = [block for page in PAGES for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)]
LINES = [shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines()]
COMMANDS = sorted({tuple(line[1:]) for line in LINES if line and line[0] == "eleatt-bench"})


@pytest.fixture(scope="module")
def hydra_once() -> Iterator[None]:
    with hydra_ready():
        yield


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 30
    assert {line[0] for line in LINES if line} == {"eleatt-bench", "make"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_is_one_that_exists(command: tuple[str, ...], hydra_once: None) -> None:
    verb, *rest = command
    assert verb in VERBS
    if verb in {"train", "eval"}:
        _, overrides = split(rest)
        for override in overrides:
            check_override(override, verb)
    elif verb in {"reproduce", "table"}:
        assert rest[0] in options("table")
        for override in (o for o in rest[1:] if "=" in o):
            check_override(override)
    elif verb == "runs":
        assert rest[0] in RUNS_ACTIONS
    elif verb == "results":
        assert rest[0] in RESULTS_ACTIONS
    elif verb == "data":
        assert rest[0] in ACTIONS
        assert len(rest) == 1 or rest[1] in catalog.names()


@pytest.mark.parametrize("target", sorted({line[1] for line in LINES if line[:1] == ["make"]}))
def test_every_make_target_is_there_and_explained(target: str) -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(rf"^  make {target} +\S", shown.stdout, re.MULTILINE)


def test_the_python_examples_run(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run of the example is there already: `trained` has just done it in the same way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_RUNS", str(trained / "runs"))
    monkeypatch.setenv("ELEATT_DATA", str(trained / "data"))
    names: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(example, names)
    (run,) = (trained / "runs").glob("*/record.json")  # no other was done
    assert names["run"].path == run.parent  # type: ignore[attr-defined]
    assert tuple(names["output"].shape) == (8, 40, 100)  # type: ignore[attr-defined]
    assert len(names["attention"]) == 3  # type: ignore[arg-type]


def test_every_file_the_readme_shows_is_there() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        if not path.startswith("http"):
            assert (ROOT / path).exists(), path
