"""What Hydra composed once is what it would compose now."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import config_dir
from eleatt_bench.config import composer, schema
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer, ConfigCache
from eleatt_bench.config.setup import VERSION_BASE, options

ASKED = ["experiment=digits", "model=gru", "model.hidden_size=7", "seed=3"]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ELEATT_RUNS", raising=False)


@pytest.fixture
def no_hydra(monkeypatch: pytest.MonkeyPatch):
    """Until this is called Hydra may compose; after it, it fails."""

    def forbid() -> None:
        def fail(*_: object, **__: object) -> None:
            raise AssertionError("Hydra was asked")

        for name in ("compose.composed", "setup.options", "setup.groups", "setup.hydra_ready"):
            monkeypatch.setattr(f"eleatt_bench.config.{name}", fail)

    return forbid


def test_a_second_process_needs_no_hydra(no_hydra) -> None:
    expected = (compose_config(ASKED)), options("table")
    with Composer() as composer:
        assert (composer.config(ASKED), composer.options("table")) == expected
    no_hydra()
    with Composer() as composer:
        assert (composer.config(ASKED), composer.options("table")) == expected
        other_seed = composer.config([*ASKED[:-1], "seed=4"])
    data = {**expected[0]["data"], "val_seed": 4}  # which is ${seed}
    assert other_seed == {**expected[0], "seed": 4, "data": data}


def test_out_of_a_context_nothing_is_kept(tmp_path: Path) -> None:
    Composer().config(ASKED)
    assert not (tmp_path / "cache").exists()


def test_mistakes_are_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(UserError, match="Did you mean 'digits'"), Composer() as composer:
            composer.config(["experiment=digitz"])
    assert not (tmp_path / "cache").exists()


def test_what_was_found_before_a_mistake_is_kept(no_hydra) -> None:
    composer = Composer()
    with composer, pytest.raises(UserError):  # noqa: PT012  (the first line does not raise)
        assert composer.config(ASKED)["model"]["hidden_size"] == 7
        composer.config(["model.hidden_size=0"])
    no_hydra()
    with Composer() as other:
        assert other.config(ASKED)["model"]["hidden_size"] == 7


def test_where_the_folders_are_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with Composer() as composer:
        assert composer.config(ASKED)["runs_dir"] == "runs"
    monkeypatch.setenv("ELEATT_RUNS", "elsewhere")
    with Composer() as composer:
        assert composer.config(ASKED)["runs_dir"] == "elsewhere"


@pytest.mark.parametrize("override", ["data_dir=${oc.env:SOME_FOLDER}", "~table"])
@pytest.mark.slow
def test_what_may_depend_on_anything_is_composed_each_time(
    override: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*ASKED, override]
    for folder in ("one", "two"):
        monkeypatch.setenv("SOME_FOLDER", folder)
        with Composer() as composer:
            assert composer.config(asked) == (compose_config(asked))


@pytest.fixture
def own_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``configs/`` that takes its place."""
    folder = tmp_path / "configs"
    shutil.copytree(config_dir(), folder)
    for module in ("composer", "setup", "folders", "mistakes"):
        monkeypatch.setattr(f"eleatt_bench.config.{module}.config_dir", lambda: folder)
    return folder


def test_a_changed_file_is_read(own_configs: Path) -> None:
    with Composer() as composer:
        assert composer.config(["experiment=digits"])["trainer"]["max_epochs"] == 40
    path = own_configs / "experiment" / "digits.yaml"
    path.write_text(path.read_text().replace("max_epochs: 40", "max_epochs: 41"))
    with Composer() as composer:
        assert composer.config(["experiment=digits"])["trainer"]["max_epochs"] == 41


def test_a_new_file_is_an_option(own_configs: Path) -> None:
    with Composer() as composer:
        assert "mine" not in composer.options("table")
    shutil.copy(own_configs / "table" / "digits.yaml", own_configs / "table" / "mine.yaml")
    with Composer() as composer:
        assert "mine" in composer.options("table")


def test_other_versions_compose_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(number: int) -> object:
        with ConfigCache() as cache:
            return cache.find(["question"], lambda: number)

    assert (found(1), found(2)) == (1, 1)
    with monkeypatch.context() as patch:
        patch.setitem(composer._LIBRARIES, "yaml", "tokens.py")  # another file, as it were
        assert (found(3), found(4)) == (3, 3)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "4.0")
        assert found(5) == 5


def test_a_program_that_has_other_folders_is_left_alone(tmp_path: Path, own_configs: Path) -> None:
    schema.register()
    other = tmp_path / "other"
    shutil.copytree(own_configs, other)
    (other / "experiment" / "digits.yaml").write_text(
        "# @package _global_\ntrainer: {max_epochs: 7}\n"
    )
    for folder, epochs in ((own_configs, 40), (other, 7), (own_configs, 40)):
        with initialize_config_dir(str(folder), version_base=VERSION_BASE), Composer() as composer:
            assert composer.config(["experiment=digits"])["trainer"]["max_epochs"] == epochs


@pytest.mark.slow
def test_a_table_that_was_shown_before_is_shown_without_hydra(
    tmp_path: Path, user_environment: dict[str, str]
) -> None:
    program = (
        "import sys; from eleatt_bench.cli import main; code = main(['table', 'digits']); "
        "print(sorted({'hydra', 'omegaconf', 'torch'} & set(sys.modules)), file=sys.stderr); "
        "sys.exit(code)"
    )

    def show() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path, env=user_environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout, done.stderr

    first, loaded = show()
    assert loaded == "['hydra', 'omegaconf']\n"
    assert show() == (first, "[]\n")
