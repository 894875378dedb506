"""``eleatt-bench results``: what is published can be made again by anyone, or it is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.cli import main
from eleatt_bench.config.composer import Composer
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store
from eleatt_bench.report.publication import Publication
from eleatt_bench.runs.predictions import digest_of
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.tables.plan import plan
from eleatt_bench.tables.recorded import record_plan
from eleatt_bench.tables.records import trainings
from eleatt_bench.training.run import train

Call = Callable[..., tuple[int, str, str]]
TABLE = """
name: tiny
title: Two rows
overrides: [experiment=digits, model.hidden_size=4]
looks: [3]
columns: [{name: accuracy}]
rows:
  - {name: GRU, overrides: [model=gru], paper: {accuracy: 90.0}}
  - {name: EleAtt-GRU, overrides: [model=eleatt_gru]}
claims: [{better: EleAtt-GRU, than: GRU}]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, own_cache, finished_run) -> Path:
    """A folder with data, the runs of a table as trainings leave them, and its publication."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    configs = folder / "configs" / "table" / "tiny.yaml"
    configs.parent.mkdir(parents=True)
    configs.write_text(TABLE)
    with pytest.MonkeyPatch.context() as patch, Composer() as composer:
        patch.chdir(folder)
        patch.setenv("ELEATT_CONFIGS", str(folder / "configs"))
        tiny = plan("tiny", [], composer)
        record_plan(tiny)
        for run in tiny.runs:
            right = tuple((random.random(50) < 0.8).tolist())
            config, digest = composer.config(run.overrides), run.identity["data"]["digest"]
            assert (
                run.run_id == finished_run(folder / "runs", run.seed, right, config, digest).run_id
            )
        assert main(["results", "add", "tiny"]) == 0
    return folder


@pytest.fixture
def call(made: Path, tmp_path: Path, monkeypatch, capsys) -> Call:
    """The verb ``results`` beside a copy of what is published, where there is nothing else."""
    for name in ("results", "whole"):
        shutil.copytree(made / "results", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_CONFIGS", str(made / "configs"))
    for name in ("ELEATT_DATA", "ELEATT_RUNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(["results", *words])
        out, error = capsys.readouterr()
        return status, out, error

    return run


Declare = Callable[[str], None]


@pytest.fixture
def declare(made: Path, tmp_path: Path, monkeypatch) -> Declare:
    """Begin table ``tiny`` in a new folder: its plan is recorded, then the runs of `made` come."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path / "configs"))
    for name in ("ELEATT_DATA", "ELEATT_RUNS"):
        monkeypatch.delenv(name, raising=False)
    path, runs = tmp_path / "configs" / "table" / "tiny.yaml", tmp_path / "runs"
    path.parent.mkdir(parents=True)

    def begin(text: str) -> None:
        path.write_text(text)
        shutil.rmtree(runs, ignore_errors=True)
        record_plan(plan("tiny"))
        plans = shutil.ignore_patterns("tables")
        shutil.copytree(made / "runs", runs, ignore=plans, dirs_exist_ok=True)

    return begin


@pytest.mark.slow
def test_what_was_published_is_equal_without_any_data(call: Call, tmp_path: Path) -> None:
    status, out, error = call("verify", "--runs")
    assert (status, error) == (0, "")
    assert "tiny  equal to what its runs give" in out
    assert out.count("recipe ") == 6 + 1
    assert "commit " in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "whole"]
    runs = all_runs(tmp_path / "results" / "runs")
    assert len(runs) == 6
    assert not list((tmp_path / "results").rglob("*.ckpt"))
    table = (tmp_path / "results" / "tiny.json").read_text()
    assert '"command": "eleatt-bench reproduce tiny"' in table, "nobody learns of others' folders"
    assert call("write") == (0, "Wrote tiny\n", "")


def test_publishing_again_changes_no_byte(made: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setenv("ELEATT_CONFIGS", str(made / "configs"))
    assert main(["results", "add", "tiny", "--to", str(tmp_path / "again")]) == 0
    first, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")
         if path.is_file()}
        for folder in (made / "results", tmp_path / "again")
    )  # fmt: skip
    assert first == again


def vouch(folder: RunFolder, **more: object) -> None:
    """Renew the digest that a record has of its predictions, and whatever is given."""
    digest = digest_of(folder.predictions.read_bytes())
    folder.write({**(folder.read() or {}), "predictions_digest": digest, **more})


def improve(folder: RunFolder) -> None:
    """Somebody makes every prediction right, in the predictions and in what vouches for them."""
    with h5py.File(folder.predictions, "r+") as file:
        logits = file["logits"][...]
        labels = file["label"][...]
        file["logits"][...] = 0
        logits[:] = -1
        logits[range(len(labels)), labels] = 0
        file["logits"][...] = logits
    vouch(folder)


def relabel(folder: RunFolder) -> None:
    """Somebody takes whatever was predicted for the label, and renews what vouches for it."""
    with h5py.File(folder.predictions, "r+") as file:
        file["label"][...] = file["logits"][...].argmax(axis=1)
    vouch(folder, metrics={**(folder.read() or {})["metrics"], "test": {"accuracy": 1.0}})


def twice(path: Path) -> None:
    """Somebody puts a better cell before the true one."""
    found = json.loads(path.read_text())
    found[0]["cells"].insert(0, {**found[0]["cells"][0], "mean": 99.9})
    path.write_text(json.dumps(found))


def test_whatever_is_changed_is_said(call: Call, tmp_path: Path) -> None:
    results = tmp_path / "results"
    name = "tiny"
    run = all_runs(results / "runs")[0]
    record = run.read()
    assert record is not None

    def page(form: str, old: str, new: str) -> None:
        path = results / f"{name}.{form}"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    better = {**record["metrics"], "test": {**record["metrics"]["test"], "accuracy": 1.0}}
    changes: dict[str, tuple[Callable[[], object], str]] = {
        "a cell": (lambda: page("json", '"mean": ', '"mean": 1'), "  GRU, accuracy: mean was 1"),
        "a cell more": (lambda: twice(results / f"{name}.json"), "GRU, accuracy: mean is there 2 "),
        "its recipe": (
            lambda: (results / "published.json").write_text(
                (results / "published.json").read_text().replace('"recipe": 3', '"recipe": 2')
            ),
            f"  {run.run_id} is of recipe 3, not of 2",
        ),
        "labels": (
            lambda: relabel(run), f"{run.run_id}  has other test samples, or other labels of them",
        ),
        "a page": (lambda: page("md", "EleAtt", "ElEAtt"), f"{name}.md, line "),
        "no page": ((results / f"{name}.tex").unlink, f"{name}.tex is missing"),
        "a record": (lambda: run.write({**record, "metrics": better}), "that of the record 100.0"),
        "predictions": (lambda: improve(run), "predictions.h5: its accuracy is 100.0"),
        "no run": (lambda: shutil.rmtree(run.path), "accuracy: "),
        "a stray run": (
            lambda: shutil.copytree(run.path, results / "runs" / "digits-gru-seed9-0a0a0a0a0a0a"),
            "digits-gru-seed9-0a0a0a0a0a0a  DAMAGED: record.json: it is the record of",
        ),
        "the list": (lambda: (results / "published.json").write_text("{"), "published.json is"),
        "an entry": (
            lambda: (results / "published.json").write_text('{"tiny": [3]}'),
            "published.json is damaged (an entry has no table): git checkout",
        ),
        "an earlier list": (
            lambda: (results / "published.json").write_text(
                '{"tiny": {"table": "tiny", "overrides": [], "recipe": 3}}'
            ),
            "published.json is damaged (an entry has no plan): git checkout",
        ),
        "no list": ((results / "published.json").unlink, "there is no results/published.json"),
        "data": ((results / "data" / "digits.json").unlink, "Data set digits is not prepared"),
        "the plan": (
            lambda: (results / "runs/tables/tiny.plan.json").write_text("{}"), "is damaged",
        ),
        "no plan": (
            (results / "runs/tables/tiny.plan.json").unlink,
            "  runs/tables/tiny.plan.json is not what was published",
        ),
    }  # fmt: skip
    assert call("verify")[0] == 0
    for change, said in changes.values():
        change()
        status, out, error = call("verify")
        assert status == 1
        assert said in out + error
        shutil.rmtree(results)
        shutil.copytree(tmp_path / "whole", results)


@pytest.mark.slow
def test_claims_that_a_table_does_not_make_are_not_left_beside_it(declare: Declare, capsys) -> None:
    declare(TABLE)
    assert main(["results", "add", "tiny"]) == 0
    page = Path("results/tiny-claims.md")
    text = page.read_text()
    declare(TABLE[: TABLE.index("claims:")])
    assert main(["results", "add", "tiny"]) == 0
    assert not list(Path("results").glob("*-claims.*"))
    page.write_text(text)
    capsys.readouterr()
    assert main(["results", "verify"]) == 1
    assert "  tiny-claims.md has claims, and the table makes none" in capsys.readouterr().out
    assert main(["results", "write"]) == 0
    assert not page.exists()


@pytest.mark.slow
def test_runs_that_only_others_have_stay_until_they_are_taken_back(
    declare: Declare, tmp_path: Path, capsys
) -> None:
    declare(TABLE)
    assert main(["results", "add", "tiny"]) == 0
    assert capsys.readouterr().out == "tiny: 6 runs in results\n"
    gone = [run.run_id for run in all_runs(tmp_path / "runs")][:4]
    for name in gone:
        shutil.rmtree(tmp_path / "runs" / name)
    assert main(["results", "add", "tiny"]) == 0
    said, other = capsys.readouterr().out.splitlines()
    assert said == "tiny: 6 runs in results"
    assert other.startswith(
        f"4 of them published before and not in runs: {', '.join(gone[:3])} and 1 more. "
        "To take one back, remove its folder in results/runs and run this command again"
    )
    (tmp_path / "results" / "weights").mkdir()
    for name in gone:
        (tmp_path / "results" / "weights" / f"{name}.safetensors").touch()
        shutil.rmtree(tmp_path / "results" / "runs" / name)
    assert main(["results", "add", "tiny"]) == 0
    said, *removed = capsys.readouterr().out.splitlines()
    assert said == "tiny: 2 runs in results"
    assert sorted(removed) == sorted(
        f"Removed results/weights/{name}.safetensors, whose run was taken back" for name in gone
    )
    assert main(["results", "verify"]) == 0


@pytest.mark.slow
def test_what_somebody_else_put_there_is_left_alone(
    declare: Declare, tmp_path: Path, capsys
) -> None:
    declare(TABLE)
    (tmp_path / "mine" / "weights").mkdir(parents=True)
    (tmp_path / "mine" / "weights" / "a.safetensors").touch()
    assert main(["results", "add", "tiny", "--to", "mine"]) == 1
    assert "mine holds runs or weights that were not published" in capsys.readouterr().err
    assert [*(tmp_path / "mine").iterdir()] == [tmp_path / "mine" / "weights"]
    assert main(["results", "add", "tiny", "--to", "mine/weights/a.safetensors"]) == 1
    assert "a.safetensors is no folder: publish in one" in capsys.readouterr().err
    assert main(["results", "add", "tiny"]) == 0
    plan = tmp_path / "results" / "runs" / "tables" / "tiny.plan.json"
    plan.write_text("{")
    capsys.readouterr()
    assert main(["results", "add", "tiny"]) == 1
    said = capsys.readouterr().err
    assert "tiny.plan.json is damaged. It says what was declared before" in said
    assert "emove" not in said


@pytest.mark.slow
def test_older_tables_are_said_to_be(call: Call, tmp_path: Path) -> None:
    results = tmp_path / "results"
    (results / "old.json").write_text("[]")
    (results / "older-claims.md").write_text("99.9")
    status, out, _ = call("verify")
    assert status == 0
    assert "old  has no published runs, so it cannot be made again" in out
    assert "older  has no published runs" in out


def test_tables_of_an_earlier_recipe_are_held_against_their_runs(
    call: Call, tmp_path: Path, monkeypatch
) -> None:
    from eleatt_bench.cli import results_verify as verb
    from eleatt_bench.report import publication
    from eleatt_bench.runs import form, soundness

    for module in (verb, publication, form, soundness):
        monkeypatch.setattr(module, "RECIPE_VERSION", 99)
    status, out, _ = call("verify")
    assert status == 0
    assert "and this program has 99: not made again" in out
    results = tmp_path / "results"
    path = results / f"{'tiny'}.json"
    found = json.loads(path.read_text())
    found[0]["cells"][0]["results"][0]["accuracies"][0] += 1
    path.write_text(json.dumps(found))
    status, out, _ = call("verify")
    assert status == 1
    assert "accuracy was" in out
    shutil.copy(tmp_path / "whole" / "tiny.json", path)
    (results / "runs/tables/tiny.plan.json").unlink()
    status, out, _ = call("verify")
    assert status == 1
    assert "tiny.plan.json is not what was published" in out


@pytest.mark.parametrize("content", [None, b"{}", b"\xff\xfe", b"with\r\nother ends"])
@pytest.mark.few(1)
def test_a_plan_is_published_as_it_is_or_not_at_all(
    made: Path, tmp_path: Path, monkeypatch, capsys, content: bytes | None
) -> None:
    monkeypatch.setenv("ELEATT_CONFIGS", str(made / "configs"))
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path / "runs"))
    shutil.copytree(made / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "tables" / "tiny.plan.json"
    to = ["--to", str(tmp_path / "to")]
    if content == b"with\r\nother ends":
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert main(["results", "add", "tiny", *to]) == 0
        assert main(["results", "verify", str(tmp_path / "to")]) == 0
        return
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert main(["results", "add", "tiny", *to]) == 1
    assert f"{path} is damaged" in capsys.readouterr().err
    assert not (tmp_path / "to" / "runs").exists()


@pytest.mark.slow
def test_a_plan_that_was_recorded_later_takes_no_earlier_ones_place(
    made: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("ELEATT_CONFIGS", str(made / "configs"))
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path / "runs"))
    shutil.copytree(made / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "tables" / "tiny.plan.json"
    to = tmp_path / "to"
    assert main(["results", "add", "tiny", "--to", str(to)]) == 0
    published = to / "runs" / "tables" / "tiny.plan.json"
    first = published.read_bytes()
    path.unlink()
    capsys.readouterr()
    assert main(["results", "add", "tiny", "--to", str(to)]) == 0
    assert f"{published} stays: there is no {path}" in capsys.readouterr().out
    record_plan(plan("tiny"))
    assert path.read_bytes() != first, "three seeds were seen by then"
    assert main(["results", "add", "tiny", "--to", str(to)]) == 0
    said = f"{published} keeps 1 claim as published, which {path} lacks or gives otherwise"
    assert said in capsys.readouterr().out
    assert published.read_bytes() == first
    assert main(["results", "verify", str(to)]) == 0


@pytest.mark.slow
def test_what_was_declared_before_its_seeds_were_published_stays(declare: Declare, capsys) -> None:
    """In a new folder of runs no seed was seen, however much was read in what is published."""
    declare(TABLE)
    assert main(["results", "add", "tiny"]) == 0
    assert "keeps" not in capsys.readouterr().out
    other = "{better: EleAtt-GRU, than: GRU, margin: 2.5}"
    for claims, said in {
        other: "1 claim changed after seeds were seen: margin 1 → 2.5",
        "": "1 claim no longer made (EleAtt-GRU > GRU, accuracy)",
        f"{other}, {{better: GRU, than: EleAtt-GRU}}": "1 claim declared after 3 seeds of them",
    }.items():
        declare(TABLE.replace("{better: EleAtt-GRU, than: GRU}", claims))
        for _ in range(2):
            assert main(["results", "add", "tiny"]) == 0
            assert "tiny.plan.json keeps " in capsys.readouterr().out
            (table,) = json.loads(Path("results/tiny.json").read_text())
            assert any(said in note for note in table["notes"]), table["notes"]
            assert all(claim["exploratory"] for claim in table["claims"])
            assert main(["results", "verify"]) == 0


@pytest.mark.slow
def test_a_claim_that_is_new_with_its_runs_is_as_good_as_the_others(
    declare: Declare, made: Path, finished_run, capsys
) -> None:
    """A published plan does not make late what was declared before any of its seeds were there."""
    declare(TABLE)
    assert main(["results", "add", "tiny"]) == 0
    row = "\n  - {name: RNN, overrides: [model=rnn]}\nclaims: [{better: GRU, than: RNN}, "
    declare(TABLE.replace("\nclaims: [", row))
    with Composer() as composer:
        for run in plan("tiny", [], composer).runs:
            if run.row == "RNN":
                config, digest = composer.config(run.overrides), run.identity["data"]["digest"]
                finished_run(Path("runs"), run.seed, (0, 1, 1) * 17, config, digest)
    capsys.readouterr()
    assert main(["results", "add", "tiny"]) == 0
    assert "keeps" not in capsys.readouterr().out
    (table,) = json.loads(Path("results/tiny.json").read_text())
    assert [claim["exploratory"] for claim in table["claims"]] == [False, False]
    assert not any("PLAN" in note for note in table["notes"])


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_ones_own_runs_are_not_taken_for_published_ones(
    declare: Declare, tmp_path: Path, finished_run, monkeypatch, capsys
) -> None:
    """They would be replaced by copies without weights, and those of no table removed."""
    declare(TABLE)
    finished_run(tmp_path / "runs", 9)
    finished_run(tmp_path / "other" / "runs", 9)
    before = files_in(tmp_path)
    assert main(["results", "add", "tiny", "--to", "."]) == 1
    assert "runs is the folder of the runs themselves" in capsys.readouterr().err
    assert main(["results", "add", "tiny", "--to", "other"]) == 1
    assert "for there is no other/published.json: publish in" in capsys.readouterr().err
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs").symlink_to(tmp_path / "runs")
    assert main(["results", "add", "tiny"]) == 1
    assert files_in(tmp_path) == before


@pytest.mark.slow
def test_publishing_goes_on_where_it_was_stopped(declare: Declare, monkeypatch) -> None:
    """Also if that was before the first table was entered."""
    declare(TABLE)
    with monkeypatch.context() as patch:
        patch.setattr(Publication, "enter", lambda *given: 1 / 0)
        assert main(["results", "add", "tiny"]) != 0
    assert all_runs(Path("results/runs"))
    assert main(["results", "add", "tiny"]) == 0
    assert main(["results", "verify"]) == 0


@pytest.mark.slow
def test_other_data_of_the_same_name_are_not_published(tmp_path: Path, monkeypatch, capsys) -> None:
    """Data in a folder that was typed are the table's own where there are no others."""
    monkeypatch.chdir(tmp_path)
    configs = tmp_path / "configs" / "table" / "small.yaml"
    configs.parent.mkdir(parents=True)
    configs.write_text(TABLE.replace("tiny", "small").replace("=digits", "=nucla"))
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path / "configs"))
    typed = f"data_dir={tmp_path / 'mine'}"

    def prepare(folder: str, value: float) -> None:
        joints = np.full((3, 60), value, np.float32)
        (tmp_path / folder / "prepared").mkdir(parents=True)
        write_store(
            tmp_path / folder / "prepared" / "nucla.h5", name="nucla", class_names=("a", "b"),
            layout={}, source="made up",
            samples=(Sample(f"{n}", joints, n % 2, {"camera": 1 + n}) for n in range(3)),
        )  # fmt: skip

    prepare("mine", 1.0)
    with Composer() as composer:
        made = plan("small", [typed], composer)
    assert (made.variation, made.unprepared) == ((), ())
    prepare("data", 2.0)
    with Composer() as composer:
        assert plan("small", [typed], composer).variation == (typed,)
    assert main(["results", "add", "small", typed]) == 1
    assert "choose that folder with ELEATT_DATA" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_that_measured_nothing_in_a_column_are_runs_of_the_table(
    declare: Declare, tmp_path: Path, finished_run, capsys
) -> None:
    """The digits have no test samples that repeat training ones, so nothing is clean of them."""
    declare(
        TABLE.replace("accuracy}", "clean, metric: accuracy_clean}").replace("accuracy:", "clean:")
    )
    assert main(["results", "add", "tiny"]) == 0
    assert main(["results", "verify"]) == 0
    stray = finished_run(tmp_path / "results" / "runs", 9)
    capsys.readouterr()
    assert main(["results", "verify"]) == 1
    assert f"{stray.run_id}  is in no table" in capsys.readouterr().out
    assert main(["results", "add", "tiny"]) == 0
    assert f"Removed {stray.run_id}, which no table needs" in capsys.readouterr().out


def test_a_table_that_cannot_be_read_is_said(call: Call, tmp_path: Path) -> None:
    """Also where nothing else differs, for it hides which runs are in no table."""
    path = tmp_path / "results" / "tiny.json"
    found = json.loads(path.read_text())
    del found[0]["cells"][0]["results"][0]["accuracies"]
    path.write_text(json.dumps(found))
    status, out, _ = call("verify")
    assert status == 1
    assert "  tiny.json cannot be read: 'accuracies'" in out


@pytest.mark.slow
def test_there_is_nothing_to_verify_or_publish(call: Call) -> None:
    assert "elsewhere holds no published results" in call("verify", "elsewhere")[2]
    assert "No run of table tiny is finished" in call("add", "tiny")[2]
    assert "A rehearsal is no result" in call("add", "tiny", "quick=true")[2]


COLUMNS = """
name: two
title: Two data sets, if of one source
overrides: [experiment=digits, model.hidden_size=4, trainer.max_epochs=1]
looks: [2]
columns:
  - {name: frames, overrides: [data.sequence=frames]}
  - {name: pixels, overrides: [data.sequence=pixels]}
rows: [{name: GRU, overrides: [model=gru]}, {name: EleAtt-GRU, overrides: [model=eleatt_gru]}]
"""


def zero(path: Path, name: str) -> None:
    """Make all values of one tensor in a file of weights zero."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    first, end = json.loads(content[8:begin])[name]["data_offsets"]
    path.write_bytes(content[: begin + first] + bytes(end - first) + content[begin + end :])


@pytest.mark.slow
def test_weights_are_those_of_the_first_seed_in_each_column(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    configs = tmp_path / "configs" / "table" / "two.yaml"
    configs.parent.mkdir(parents=True)
    configs.write_text(COLUMNS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path / "configs"))
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path / "runs"))
    with Composer() as composer:
        runs = plan("two", [], composer).runs
        for run in runs:
            train(composer.config(run.overrides), run.overrides)
    assert main(["results", "add", "two", "--weights", "GRU"]) == 0
    published = {path.stem for path in (tmp_path / "results" / "weights").iterdir()}
    assert published == {run.run_id for run in runs if run.row == "GRU" and run.seed == 0}
    assert len(published) == 2
    assert main(["results", "verify", "--weights"]) == 0
    whole = (path := sorted((tmp_path / "results" / "weights").iterdir())[0]).read_bytes()
    zero(path, "classifier.weight")
    capsys.readouterr()
    assert main(["results", "verify", "--weights"]) == 1
    assert f"{path.name}  WRONG: accuracy " in capsys.readouterr().out
    path.write_bytes(whole)
    again = ["model=gru", "seed=0", "data.sequence=pixels", "model.hidden_size=4"]
    again += ["trainer.max_epochs=1", "experiment=digits", "force=true", "model.backend=scan"]
    assert main(["train", *again]) == 0
    assert main(["results", "add", "two"]) == 0
    kept = {path.stem for path in (tmp_path / "results" / "weights").iterdir()}
    assert len(kept) == 1, "weights of a run that was trained again are not its own any more"
    assert kept < published


LATER = """
name: later
title: A network that begins with the weights of another
overrides: [experiment=digits, model=gru, model.hidden_size=4, optimizer.lr=0.001]
looks: [2]
columns: [{name: accuracy}]
rows: [{name: from scratch}, {name: pre-trained, overrides: [pretraining=digits]}]
"""


def test_what_a_published_run_begins_with_stays_and_what_no_table_needs_goes(
    tmp_path: Path, monkeypatch, capsys, finished_run
) -> None:
    configs = tmp_path / "configs" / "table" / "later.yaml"
    configs.parent.mkdir(parents=True)
    configs.write_text(LATER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path / "configs"))
    with Composer() as composer:
        runs = trainings(plan("later", [], composer))
        for run in runs:
            config, before = composer.config(run.overrides), run.before and run.before.identity
            digest, seed = run.identity["data"]["digest"], run.identity["seed"]
            made = finished_run(
                tmp_path / "runs", seed, config=config, digest=digest, before=before
            )
            assert made.run_id == run.run_id
    published = tmp_path / "results" / "runs"
    for _ in range(2):
        assert main(["results", "add", "later"]) == 0
        assert {run.run_id for run in all_runs(published)} == {run.run_id for run in runs}
    assert len(runs) == 6
    unneeded = finished_run(published, 2, config=config, digest=digest)
    capsys.readouterr()
    assert main(["results", "verify"]) == 1
    assert f"{unneeded.run_id}  is in no table" in capsys.readouterr().out
    assert main(["results", "add", "later"]) == 0
    assert f"Removed {unneeded.run_id}, which no table needs" in capsys.readouterr().out
    assert len(all_runs(published)) == 6
