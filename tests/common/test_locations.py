"""Folders as people and services write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import (
    add_config_dir,
    config_dirs,
    data_dir,
    folder_at,
    runs_dir,
    settle_folders,
)
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
    settle_folders()
    assert (runs_dir(), data_dir()) == (Path("runs"), Path("data"))
    assert compose_config([])["runs_dir"] == "runs"


def test_a_variable_may_begin_with_a_tilde(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("ELEATT_RUNS", "~/r")
    monkeypatch.setenv("ELEATT_DATA", "~")
    assert (runs_dir(), data_dir()) == (home / "r", home)
    settle_folders()
    assert compose_config([])["runs_dir"] == str(home / "r"), "Hydra has it from the environment"


def test_what_is_typed_may_in_quotes(home: Path) -> None:
    assert folder_at(compose_config(["runs_dir='~/r'"])["runs_dir"]) == home / "r"
    assert folder_at("~//r") == home / "r"
    with pytest.raises(UserError, match=r"quoted twice, .*: \"runs_dir='~/r'\""):
        compose_config(["runs_dir=~/r"])


def test_a_tilde_elsewhere_is_a_letter(home: Path) -> None:
    assert [folder_at(text) for text in ("./~x", "a~b")] == [Path("~x"), Path("a~b")]


@pytest.mark.parametrize("text", ["", " ", "~nobody-/x"])
def test_a_folder_that_is_none_is_refused(home: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"name one|no home folder"):
        folder_at(text)


def test_a_folder_of_configs_may_begin_with_a_tilde_too(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("ELEATT_CONFIGS", "~/a")
    add_config_dir("~/b")
    assert config_dirs() == [home / "a", home / "b"]
    with pytest.raises(UserError, match="no home folder ~nobody-"):
        add_config_dir("~nobody-/x")
