"""The report, and figures of a table, on the command line, from runs to files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from eleatt_bench.cli import main
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.setup import options
from eleatt_bench.training.run import train

TINY = ["trainer.max_epochs=3", "trainer.num_threads=1"]
KINDS = ("accuracies", "claims", "losses")
ASKED = ["figures", "digits", TINY[0], "table.seeds=[0]", "--out", "figures"]


@pytest.mark.slow
def test_figures_are_drawn_from_what_runs_left(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ELEATT_DATA", "ELEATT_RUNS"):
        monkeypatch.delenv(name, raising=False)
    assert main(["report", *ASKED]) == 1
    assert "No run of table digits is finished. Do them: eleatt-bench" in capsys.readouterr().err
    for model in ("gru", "eleatt_gru"):
        overrides = ["experiment=digits", f"model={model}", "seed=0", *TINY]
        train(compose_config(overrides), overrides)
    assert main(["report", *ASKED]) == 0
    said = capsys.readouterr().out.splitlines()
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    (stem,) = {name.rsplit("-", 1)[0] for name in drawn}
    assert stem.startswith("digits-")
    assert drawn == {f"{stem}-{k}.{f}" for k in KINDS for f in ("pdf", "png")}
    assert said[-3:] == [f"figures/{stem}-{kind}.pdf, .png" for kind in KINDS]
    for kind in KINDS:
        with Image.open(tmp_path / "figures" / f"{stem}-{kind}.png") as picture:
            assert min(picture.size) > 200
        pdf = (tmp_path / "figures" / f"{stem}-{kind}.pdf").read_bytes()
        assert b"/FontFile2" in pdf, "TrueType, embedded"
        assert b"/Type3" not in pdf
    assert main(["report", *ASKED[2:4]]) == 0
    assert capsys.readouterr().out == "12 tables and 2 runs: open runs/report/index.html\n"
    assert len(list((tmp_path / "runs" / "report" / "runs").glob("*.html"))) == 2
    tables = {path.stem for path in (tmp_path / "runs" / "report" / "tables").iterdir()}
    others = set(options("table")) - {"paper", "digits"}
    assert {stem.split("-")[0] for stem in tables} == others | {"digits"}, "each table once"
    assert len(tables) == len(others) + 1
    run = next((tmp_path / "runs").glob("digits-*"))
    (run / "epochs.csv").write_text("cut")
    assert main(["report", *ASKED]) == 0
    assert f"{run.name}/epochs.csv is damaged: it holds 0 of 3 epochs" in capsys.readouterr().err
    assert main(["runs", "gc"]) == 0
    assert main(["report", "--out", "figures"]) == 1
    assert "figures holds something else than a report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["figure", "digits"], "Did you mean 'figures'?"),
        (["figures", "digitz"], "Did you mean 'digits'?"),
        (["figures"], "report figures --help"),
        (["figures", "digits", "model.hidden_size=x"], "hidden_size"),
        (["figures", "digits", "seed=1"], "A table sets the seeds itself"),
        pytest.param(["seed=1"], "A table sets the seeds itself", marks=pytest.mark.slow),
        (["--outt", "x"], "Did you mean '--out'?"),
    ],
)
@pytest.mark.few(3)
def test_mistakes(arguments: list[str], says: str, capsys) -> None:
    assert main(["report", *arguments]) == 1
    assert says in capsys.readouterr().err
