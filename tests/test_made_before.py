"""What an earlier version left is still read, and still called the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
def composer():
    with Composer() as found:
        yield found


def run_of(overrides: list[str], composer: Composer) -> WantedRun:
    config = composer.config(overrides)
    source = source_of(config, composer, is_place)
    before = None if source is None else wanted(source.overrides, source.config, DIGEST)
    return wanted(overrides, config, DIGEST, before)


@pytest.mark.parametrize("said", FEW)
@pytest.mark.few(4)
def test_runs_of_experiments_keep_their_names(said: str, composer: Composer) -> None:
    assert run_of(said.split(), composer).run_id == NAMES[said]


@pytest.mark.slow
def test_all_runs_of_experiments_keep_their_names(composer: Composer) -> None:
    found = {said: run_of(said.split(), composer).run_id for said in OF_EXPERIMENTS}
    assert found == {said: NAMES[said] for said in OF_EXPERIMENTS}


@pytest.mark.parametrize("table", OF_TABLES)
@pytest.mark.few(3)
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


def left(name: str, folder: Path) -> dict[str, str]:
    """The environment in which that archive, unpacked below ``folder``, holds the user's runs."""
    with zipfile.ZipFile(LEFT / name) as archive:
        archive.extractall(folder / "runs")
    return {"ELEATT_RUNS": str(folder / "runs")}


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> dict[str, str]:
    return left("runs.zip", tmp_path_factory.mktemp("before"))


def test_the_table_of_earlier_runs_is_the_same(env: dict[str, str], command_line) -> None:
    shown = command_line("table", "digits", "quick=true", "--format", "json", env=env)
    assert shown.returncode == 0, shown.stderr
    written = Path(env["ELEATT_RUNS"], "tables", "digits-quick.json").read_text(encoding="utf-8")
    assert json.loads(shown.stdout) == json.loads(written)


def test_earlier_runs_are_listed_and_tested_again(env: dict[str, str], command_line) -> None:
    runs = listed(env, command_line)
    assert len(runs) == 12
    (gru,) = (run for run in runs if run["run"].startswith("quick-digits-gru-seed0"))
    again = command_line("eval", f"run={gru['run']}", env=env)
    assert again.returncode == 0, again.stderr
    assert f"accuracy {gru['test/accuracy']:.2%}" in again.stdout


def listed(env: dict[str, str], command_line) -> list[dict[str, Any]]:
    done = command_line("runs", "list", "status=finished", "--format", "json", env=env)
    assert done.returncode == 0, done.stderr
    runs: list[dict[str, Any]] = json.loads(done.stdout)
    return runs


def test_runs_of_an_earlier_recipe_are_listed_and_shown_and_in_no_table(
    tmp_path: Path, command_line
) -> None:
    env = left("runs_of_recipe_2.zip", tmp_path)
    runs = listed(env, command_line)
    assert len(runs) == 12
    (gru,) = (run["run"] for run in runs if run["run"].startswith("quick-digits-gru-seed0"))
    shown = command_line("runs", "show", gru, env=env)
    assert shown.returncode == 0, shown.stderr
    again = command_line("eval", f"run={gru}", env=env)
    assert again.returncode == 1
    assert (
        "was trained by recipe 2, this program has recipe 3, whose numbers differ" in again.stderr
    )
    asked = command_line("table", "digits", "quick=true", env=env)
    assert "0 of 12 runs are done" in asked.stdout
