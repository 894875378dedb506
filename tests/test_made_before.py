"""What an earlier version left is still read, and still called the same."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.cli import main
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.runs.identity import is_place
from eleatt_bench.runs.wanted import WantedRun, wanted
from eleatt_bench.tables.facts import DataFacts
from eleatt_bench.tables.plan import plan

LEFT = Path(__file__).parent / "made_before"
NAMES: dict[str, str] = json.loads((LEFT / "run_names.json").read_text(encoding="utf-8"))
DIGEST = "0" * 64
OF_TABLES = sorted({name.split(" | ")[0] for name in NAMES if "|" in name})
OF_EXPERIMENTS = [name for name in NAMES if "|" not in name]
FEW = [name for name in OF_EXPERIMENTS if name.endswith("model=eleatt_gru")]


def run_of(overrides: list[str], composer: Composer) -> WantedRun:
    config = composer.config(overrides)
    source = source_of(config, composer, is_place)
    before = None if source is None else wanted(source.overrides, source.config, DIGEST)
    return wanted(overrides, config, DIGEST, before)


@pytest.mark.parametrize("said", FEW)
def test_runs_of_experiments_keep_their_names(said: str, composer: Composer) -> None:
    assert run_of(said.split(), composer).run_id == NAMES[said]


@pytest.mark.slow
def test_all_runs_of_experiments_keep_their_names(composer: Composer) -> None:
    found = {said: run_of(said.split(), composer).run_id for said in OF_EXPERIMENTS}
    assert found == {said: NAMES[said] for said in OF_EXPERIMENTS}


@pytest.mark.parametrize("table", OF_TABLES)
@pytest.mark.few(2)
def test_runs_of_tables_keep_their_names(
    table: str, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataFacts, "digest", lambda self, name: DIGEST)
    monkeypatch.setattr(DataFacts, "is_untrained", lambda self, name: False)
    found = {
        f"{table} | {run.section} | {run.row} | {run.column} | {run.seed} | {run.fold}": run.run_id
        for run in plan(table, (), composer).runs
    }
    known = {said: name for said, name in NAMES.items() if said.startswith(f"{table} | ")}
    assert {said: found.get(said) for said in known} == known


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> Typed:
    """Type a command where an archive, unpacked, holds one's runs: status, output and errors."""
    monkeypatch.chdir(tmp_path)
    for variable in ("ELEATT_DATA", "ELEATT_CONFIGS"):
        monkeypatch.delenv(variable, raising=False)

    def command(name: str, *words: str) -> tuple[int, str, str]:
        if not (tmp_path / name).exists():
            with zipfile.ZipFile(LEFT / name) as archive:
                archive.extractall(tmp_path / name)
        monkeypatch.setenv("ELEATT_RUNS", str(tmp_path / name))
        capsys.readouterr()
        return main(words), *capsys.readouterr()

    return command


def test_the_table_of_earlier_runs_is_the_same(typed: Typed, tmp_path: Path) -> None:
    status, shown, errors = typed("runs.zip", "table", "digits", "quick=true", "--format", "json")
    assert status == 0, errors
    written = tmp_path / "runs.zip" / "tables" / "digits-quick.json"
    (now,), (then,) = json.loads(shown), json.loads(written.read_text(encoding="utf-8"))
    for claim in then["claims"]:  # two seeds had intervals
        claim |= {"low": None, "high": None, "crossed": None}
    assert now == then


def test_earlier_runs_are_listed_and_tested_again(typed: Typed) -> None:
    runs = listed("runs.zip", typed)
    assert len(runs) == 12
    (gru,) = (run for run in runs if run["run"].startswith("quick-digits-gru-seed0"))
    status, again, errors = typed("runs.zip", "eval", f"run={gru['run']}")
    assert status == 0, errors
    assert f"accuracy {gru['test/accuracy']:.2%}" in again


def listed(archive: str, typed: Typed) -> list[dict[str, Any]]:
    status, shown, errors = typed(archive, "runs", "list", "status=finished", "--format", "json")
    assert status == 0, errors
    runs: list[dict[str, Any]] = json.loads(shown)
    return runs


def test_runs_of_an_earlier_recipe_are_listed_and_shown_and_in_no_table(typed: Typed) -> None:
    archive = "runs_of_recipe_2.zip"
    runs = listed(archive, typed)
    assert len(runs) == 12
    (gru,) = (run["run"] for run in runs if run["run"].startswith("quick-digits-gru-seed0"))
    status, _, errors = typed(archive, "runs", "show", gru)
    assert status == 0, errors
    status, _, errors = typed(archive, "eval", f"run={gru}")
    assert status == 1
    assert "was trained by recipe 2, this program has recipe 3, whose numbers differ" in errors
    _, shown, _ = typed(archive, "table", "digits", "quick=true")
    assert "0 of 12 runs are done" in shown
