"""Folders as people and services write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import data_dir, folder_at, runs_dir, without_tildes
from eleatt_bench.config.compose import compose_config


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ELEATT_RUNS", raising=False)
    monkeypatch.delenv("ELEATT_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "my home's"))
    return tmp_path / "my home's"


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_variable_counts_as_none(home: Path, monkeypatch, text: str) -> None:
    monkeypatch.setenv("ELEATT_RUNS", text)
    monkeypatch.setenv("ELEATT_DATA", text)
    without_tildes([])
    assert (runs_dir(), data_dir()) == (Path("runs"), Path("data"))
    assert compose_config([])["runs_dir"] == "runs"


def test_a_variable_may_begin_with_a_tilde(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("ELEATT_RUNS", "~/r")
    monkeypatch.setenv("ELEATT_DATA", "~")
    assert (runs_dir(), data_dir()) == (home / "r", home)
    without_tildes([])
    assert compose_config([])["runs_dir"] == str(home / "r"), "Hydra has it from the environment"


@pytest.mark.parametrize(
    "typed", ["runs_dir=~/r", "runs_dir='~/r'", 'runs_dir="~/r"', "++data_dir=~/r", "data_dir=~/r"]
)
def test_so_may_what_is_typed(home: Path, typed: str) -> None:
    (said,) = without_tildes([typed])
    assert said.partition("=")[0] == typed.partition("=")[0]
    assert OverridesParser.create().parse_override(said).value() == str(home / "r")


def test_everything_else_stays_as_it_is(home: Path) -> None:
    typed = ["runs_dir=./~", "runs_dir=a~b", "~data_dir", "seed=~1", "--out", "~/x", "data_dir=a/b"]
    assert without_tildes(typed) == typed
    assert folder_at("./~x") == Path("~x")


@pytest.mark.parametrize(
    "typed", ["runs_dir=", "data_dir= ", "+runs_dir=''", "runs_dir=~nobody-/x"]
)
def test_a_folder_that_is_none_is_refused(home: Path, typed: str) -> None:
    with pytest.raises(UserError, match=r"name a folder|no home folder"):
        without_tildes([typed])


def test_nor_may_a_file_of_settings_name_an_empty_one() -> None:
    with pytest.raises(UserError, match="empty"):
        folder_at("")
