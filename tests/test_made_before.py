"""What an earlier version left is still read, and still called the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.data import catalog
from eleatt_bench.runs.identity import is_place
from eleatt_bench.runs.wanted import WantedRun, wanted
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
    monkeypatch.setattr(catalog, "data_digest", lambda data_dir, name: DIGEST)
    monkeypatch.setattr(catalog, "read_layout", lambda data_dir, name: {})
    found = {
        f"{table} | {run.section} | {run.row} | {run.column} | {run.seed} | {run.fold}": run.run_id
        for run in plan(table, (), composer).runs
    }
    known = {said: name for said, name in NAMES.items() if said.startswith(f"{table} | ")}
    assert {said: found.get(said) for said in known} == known


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("before") / "runs"
    with zipfile.ZipFile(LEFT / "runs.zip") as archive:
        archive.extractall(folder)
    return folder


def test_the_table_of_earlier_runs_is_the_same(runs_dir: Path, command_line) -> None:
    shown = command_line(
        "table", "digits", "quick=true", "--format", "json", env={"ELEATT_RUNS": str(runs_dir)}
    )
    assert shown.returncode == 0, shown.stderr
    written = (runs_dir / "tables" / "digits-quick.json").read_text(encoding="utf-8")
    (now,), (then,) = json.loads(shown.stdout), json.loads(written)
    more = set(now.pop("notes")) - set(then.pop("notes"))
    ends = ("low", "high")
    for claim, before in zip(now["claims"], then["claims"], strict=True):
        del before["seeds_to_decide"]  # what earlier verdicts ended with
        assert [claim[e] for e in ends] == pytest.approx([before.pop(e) for e in ends])
        assert {key: claim[key] for key in before} == before
    for cell in now["cells"]:  # what earlier versions did not write
        interval, runs = (
            (cell.pop("low"), cell.pop("high")),
            [r.pop("runs") for r in cell["results"]],
        )
        assert interval == (None, None), "two seeds have none"
        assert all((runs_dir / run["run_id"]).is_dir() for (run,) in runs)
    assert {**now, "claims": then["claims"]} == then
    assert [note.split(":")[0] for note in more] == ["The predictions of 12 runs are unverified"]


def test_earlier_runs_are_listed_and_tested_again(runs_dir: Path, command_line) -> None:
    env = {"ELEATT_RUNS": str(runs_dir)}
    listed = command_line("runs", "list", "status=finished", "--format", "json", env=env)
    assert listed.returncode == 0, listed.stderr
    runs = json.loads(listed.stdout)
    assert len(runs) == 12
    (gru,) = (run for run in runs if run["run"].startswith("quick-digits-gru-seed0"))
    again = command_line("eval", f"run={gru['run']}", env=env)
    assert again.returncode == 0, again.stderr
    assert f"accuracy {gru['test/accuracy']:.2%}" in again.stdout
