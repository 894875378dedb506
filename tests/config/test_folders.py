"""Configs of the user's own: found by every verb, and read with suspicion."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import config_files
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import options

MINE = """# @package _global_
defaults: [digits]
# ä
model: {hidden_size: 7, init: {recurrent_gain: 1.0}}
optimizer: {lr: 0.01, options: {betas: [0.9, 0.99]}}
trainer: {max_epochs: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of configs, in use."""
    path = tmp_path / "my configs [1]"
    (path / "experiment").mkdir(parents=True)
    monkeypatch.setenv("ELEATT_CONFIGS", str(path))
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    yield path
    GlobalHydra.instance().hydra = before


def refusal(folder: Path, content: bytes, *overrides: str) -> str:
    (folder / "experiment" / "mine.yaml").write_bytes(content)
    with pytest.raises(UserError) as raised:
        compose_config(["experiment=mine", *overrides])
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_its_configs_are_options_and_compose(folder: Path) -> None:
    (folder / "experiment" / "mine.yaml").write_text(MINE, encoding="utf-8")
    assert "mine" in options("experiment")
    assert compose_config(["experiment=mine"])["model"]["hidden_size"] == 7
    with Composer() as composer:
        assert composer.config(["experiment=mine", "seed=2"])["model"]["hidden_size"] == 7
    (folder / "experiment" / "mine.yaml").write_text(MINE.replace("7", "8"), encoding="utf-8")
    with Composer() as composer:
        assert composer.config(["experiment=mine", "seed=2"])["model"]["hidden_size"] == 8


def test_what_cannot_be_looked_at_hides_nothing(tmp_path: Path) -> None:
    names = [f"{name}.yaml" for name in "abcdefgh"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert [str(path) for path in config_files(tmp_path)] == [*names, "loop.yaml"]


@pytest.mark.slow
def test_a_linked_group_is_read_anew_as_well(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (folder / "experiment").rename(shared)
    (folder / "experiment").symlink_to(shared)
    (shared / "circle").symlink_to(folder)
    for size in (7, 8):
        text = MINE.replace("hidden_size: 7", f"hidden_size: {size}")
        (shared / "mine.yaml").write_text(text, encoding="utf-8")
        with Composer() as composer:
            assert composer.config(["experiment=mine"])["model"]["hidden_size"] == size
    (shared / "digits.yaml").write_text(MINE, encoding="utf-8")
    with pytest.raises(UserError, match=r"experiment/digits.yaml has the name of"):
        compose_config([])


def test_a_missing_folder_is_refused_whatever_was_composed_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Composer() as composer:
        composer.config(["experiment=digits"])
    monkeypatch.setenv("ELEATT_CONFIGS", str(folder / "typo"))
    with pytest.raises(UserError, match=r"There is no folder .*typo"), Composer() as composer:
        composer.config(["experiment=digits"])


def test_what_is_wrong_is_named_with_file_and_place(folder: Path) -> None:
    file = str(folder / "experiment" / "mine.yaml")
    typo = MINE.replace("max_epochs", "max_epoch").encode()
    text = refusal(folder, typo)
    assert f"{file}: Unknown config key 'trainer.max_epoch'" in text
    assert "Did you mean 'trainer.max_epochs'" in text
    text = refusal(folder, MINE.replace("hidden_size: 7", "hidden_size: big").encode())
    assert text.startswith(f"{file}: model.hidden_size: Value 'big'")
    text = refusal(folder, MINE.replace("1.0}}", "1.0}").encode())
    assert text.startswith(f"{file}, line 5, column 1: this is not YAML"), text
    text = refusal(folder, MINE.replace("# ä", "a:\n\tb: 1").encode())
    assert f"{file}, line 4, column 1: this is not YAML" in text
    text = refusal(folder, MINE.encode("latin-1"))
    assert text == f"{file} is not UTF-8 text: save it as UTF-8"
    assert "nested too deeply" in refusal(folder, b"a: " + b"[" * 100_000)


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("launcher: {time: 12:00:00}", "12:00:00"),
        ("launcher:\n  time: 20:00  # minutes", "20:00"),
        ("launcher:\n  options: {time-min: 1:00:00, x: 1}", "1:00:00"),
    ],
)
@pytest.mark.few(1)
def test_a_time_that_yaml_would_count_in_seconds_is_refused(
    folder: Path, line: str, time: str
) -> None:
    file = folder / "experiment" / "mine.yaml"
    number = 2 + line.count("\n")
    text = refusal(folder, f"# @package _global_\n{line}\n".encode())
    assert text.startswith(f"{file}, line {number}: YAML takes {time} for a number of seconds")
    assert f'"{time}"' in text
    quoted = line.replace(time, f'"{time}"')
    assert "number of seconds" not in refusal(folder, f"{quoted}\nmore: 12:00:00\n".encode())


def test_a_mistake_on_the_command_line_is_not_blamed_on_the_folder(folder: Path) -> None:
    assert "'modle'. Did you mean 'model'?" in refusal(folder, MINE.encode(), "modle=gru")


def test_aliases_that_expand_are_refused_before_they_do(folder: Path) -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 10)]
    text = refusal(folder, "\n".join(lines).encode())
    assert "its aliases stand for more than 100,000 values" in text
    assert "bytes: that is no config" in refusal(folder, b"#" * (2 << 20))


def test_names_that_are_taken_are_refused(folder: Path) -> None:
    (folder / "experiment" / "digits.yaml").write_text(MINE, encoding="utf-8")
    with pytest.raises(UserError, match=r"digits.yaml has the name of .*: rename one"):
        compose_config(["experiment=digits"])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path / "nope"))
    with pytest.raises(UserError, match=r"There is no folder .*nope: give --config-dir"):
        compose_config([])


def mutated(content: bytes) -> bytes:
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(content) + 1)
        kind = random.choice(["cut", "flip", "insert", "twice"])
        if kind == "cut":
            content = content[: max(1, at)]
        elif kind == "flip":
            content = content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
        elif kind == "insert":
            piece = random.choice([b"{", b"}", b"[", b":", b"\t", b"&a ", b"*a", b"\n- ", b"!!x "])
            content = content[:at] + piece + content[at:]
        else:
            content = content[:at] + content[:at][-20:] + content[at:]
    return content


def survives(folder: Path, times: int) -> None:
    for _ in range(times):
        content = mutated(MINE.encode())
        (folder / "experiment" / "mine.yaml").write_bytes(content)
        said = ""
        try:
            compose_config(["experiment=mine"])
        except UserError as error:
            said = str(error)
        except Exception as error:
            pytest.fail(f"{error!r} for {content!r}")
        assert "\n" not in said, content


def test_any_damage_composes_or_is_one_sentence(folder: Path) -> None:
    survives(folder, 12)


@pytest.mark.slow
def test_any_damage_composes_or_is_one_sentence_many_times(folder: Path) -> None:
    survives(folder, 500)
