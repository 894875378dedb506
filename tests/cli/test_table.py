"""``eleatt-bench table``: what is asked for is shown or written, and mistakes are named."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from eleatt_bench.cli import main
from eleatt_bench.cli.tables import _close
from eleatt_bench.config.composer import Composer
from eleatt_bench.tables.plan import plan

pytestmark = pytest.mark.usefixtures("empty_folder")


def test_one_file_is_written_the_cells_or_the_claims(tmp_path: Path) -> None:
    for flags, name in (([], "cells.csv"), (["--claims"], "claims.csv")):
        assert main(["table", "digits", "--format", "csv", *flags, "--out", name]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["cells.csv", "claims.csv"]
    with (tmp_path / "cells.csv").open(newline="") as file:
        assert [row["row"] for row in csv.DictReader(file)][:2] == ["EleAtt-GRU", "GRU"]
    with (tmp_path / "claims.csv").open(newline="") as file:
        assert {row["verdict"] for row in csv.DictReader(file)} == {"not tested"}


def test_a_link_or_a_pipe_stays_what_it_is(tmp_path: Path, capsys) -> None:
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to("cells.csv")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    chosen = ["table", "digits", "--format", "csv", "--rows", "GRU", "--out"]
    for path in (link, pipe):
        assert main([*chosen, str(path)]) == 0
    written = os.read(reader, 10_000)
    os.close(reader)
    assert (tmp_path / "cells.csv").read_bytes() == written
    assert written.startswith(b"table,")
    assert (link.is_symlink(), pipe.is_fifo()) == (True, True)
    assert capsys.readouterr().out == f"Wrote {link}\n", "nothing after a table in /dev/stdout"


def test_what_is_chosen_is_shown(capsys) -> None:
    chosen = ["--rows", "GRU", "LSTM", "--columns", "accuracy", "--digits", "2"]
    assert main(["table", "digits", *chosen, "--format", "md"]) == 0
    shown = capsys.readouterr().out
    assert "| GRU |" in shown
    assert "| LSTM |" in shown
    assert "EleAtt" not in shown
    assert main(["table", "digits", "--rows", "RNN", "GRU", "--format", "tex"]) == 0
    assert "left out: GRU, RNN." in capsys.readouterr().out


@pytest.mark.slow
def test_after_reproduce_the_rest_is_launched_as_before_and_the_table_looked_at(capsys) -> None:
    asked = ["digits", "quick=true", "launcher=slurm", "launcher.cpus=2"]
    with Composer() as composer:
        _close([plan("digits", ["quick=true"], composer)], set(), asked, [])
    shown = " ".join(capsys.readouterr().out.split())
    assert "eleatt-bench reproduce digits quick=true launcher=slurm launcher.cpus=2" in shown
    assert "eleatt-bench report quick=true" in shown
    assert "eleatt-bench table digits quick=true --format tex" in shown
    assert "eleatt-bench table digits quick=true --explain EleAtt-GRU accuracy" in shown


@pytest.mark.slow
def test_the_pages_are_offered_for_all_tables_as_they_are(tmp_path: Path, capsys) -> None:
    """A setting for every run would vary all of them, and `report` would refuse most."""
    where = [f"runs_dir={tmp_path / 'runs'}", f"data_dir={tmp_path / 'data'}"]
    asked = ["model.hidden_size=8", *where, "quick=true", "table.seeds=[0]"]
    with Composer() as composer:
        _close([plan("digits", asked, composer)], set(), ["digits", *asked], [])
    (pages,) = [line for line in capsys.readouterr().out.splitlines() if " pages " in line]
    assert pages.endswith(f"eleatt-bench report {' '.join(where)} quick=true")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--columns", "accurracy"], "Unknown column 'accurracy'. Did you mean 'accuracy'?"),
        (["--rows", "GRU", "Elleatt-GRU"], "Unknown row 'Elleatt-GRU'. Did you mean 'EleAtt-GRU'?"),
        (["--sections", "from scratch"], "Unknown section 'from scratch'"),
        (["--digits", "10"], "--digits is 10; it must be a number from 0 to 9"),
        (["--digits", "-1"], "it must be a number from 0 to 9"),
        (["--digits", "one"], "invalid int value: 'one'"),
        (["--format", "json", "--claims"], "--claims is not for json"),
        (["--format", "csv", "--digits", "2"], "--digits is not for csv"),
    ],
)
@pytest.mark.few(3)
def test_mistakes_are_named(flags: list[str], says: str, capsys) -> None:
    assert main(["table", "digits", *flags]) == 1
    assert says in capsys.readouterr().err
