"""The command line from the outside: real processes in an empty folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from eleatt_bench import __version__, cli
from eleatt_bench.cli import VERBS, main


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The error message of a command that must have failed as a user error does."""
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_help_names_every_verb(command_line) -> None:
    done = command_line("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"  {verb} " in done.stdout
    assert command_line().stdout == done.stdout


def test_version(command_line) -> None:
    assert command_line("--version").stdout == f"eleatt-bench {__version__}\n"


def test_the_console_script_is_the_module(command_line, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("eleatt-bench")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == command_line("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "Unknown verb 'trian'. Did you mean 'train'?"),
        (["--versoin"], "Unknown flag '--versoin'. Did you mean '--version'?"),
        (["train", "--multirn"], "Did you mean '--multirun'?"),
        (["train", "--cfg"], "--cfg needs a value"),
        (
            ["train", "experiment=digit"],
            "Did you mean 'digits'? Choices: dhg, digits, jhmdb, mnist_rows",
        ),
        (["train", "modell=gru"], "Did you mean 'model'?"),
        (["train", "model.hiden_size=3"], "Did you mean 'model.hidden_size'?"),
        (["train", "+typo=1"], "Unknown config key 'typo'"),
        (["train", "+model.typo=1"], "Unknown config key 'model.typo'"),
        (["train", "-m", "+typo=1", "seed=0,1"], "Unknown config key 'typo'"),
        (["train", "--cfg", "job", "+typo=1"], "Unknown config key 'typo'"),
        (["train", "seed=zero"], "seed: Value 'zero'"),
        (["train", "-m", "seed=0,zero"], "seed: Value 'zero'"),
        (["train", "model.cell=gruu"], "expected one of [rnn, lstm, gru]"),
        (["train", "model.hidden_size=0"], "model.hidden_size is 0; it must be at least 1"),
        (["train", "seed"], "write KEY=VALUE"),
        (["train", "seed=0,1"], "--multirun"),
        (["train", "table=digits"], "train makes no table; eleatt-bench reproduce digits makes on"),
        (["train", "-m", "table=digits", "seed=0,1"], "train makes no table; eleatt-bench repr"),
        (["train", "-m", "table=digits,table4"], "eleatt-bench reproduce NAME makes one"),
        (["train", "table.seeds=[1]"], "eleatt-bench reproduce NAME makes one"),
        (
            ["search", "digits", "table=digits", "optimizer.lr=1,2", "--trials", "1"],
            "search makes no table; eleatt-bench reproduce digits makes one",
        ),
        (["train", "optimizer._target_=os.system"], "_target_ 'os.system' is refused"),
        (["train", "trainer.precision=16-mixed", "trainer.max_epochs=1"], "use bf16-mixed"),
        (["train", "trainer.precision=half"], "expected one of [32-true"),
        (["train", "--cfg", "job", "-m"], "--multirun"),
        (["train", "model.hidden_size=9000000"], "Out of memory. Try a smaller data.batch_size"),
        (["train", "runs_dir=/dev/null"], "/dev/null"),
        (["train", "experiment=nucla"], "eleatt-bench data prepare nucla --source PATH"),
        (["eval"], "run"),
        (["eval", "run=x", "trainer.precision=64-true"], "tested as it was trained"),
        (["eval", "run=x,y", "+trainer.max_epochs=3"], "tested as it was trained"),
        (["eval", "run=nothing"], "There are no runs in runs"),
        (["eval", "++run=x,y"], "Job 1 of 2, ++run=x: There are no runs in runs"),
        (["reproduce", "digitz"], "Unknown table 'digitz'. Did you mean 'digits'?"),
        (["reproduce", "digits", "trainr=cpu"], "Did you mean 'trainer'?"),
        (["reproduce", "digits", "seed=1"], "table.seeds=[0,1,2]"),
        (["reproduce", "digits", "++force=1"], "only the runs that the table lacks: leave out fo"),
        (["reproduce", "table4"], "eleatt-bench data prepare nucla --source PATH"),
        (["table", "digits", "--format", "mdd"], "Unknown format 'mdd'. Did you mean 'md'?"),
        (["table", "digits", "--fromat", "md"], "Did you mean '--format'?"),
        (["table"], "table --help"),
        (["table", "digits", "--explain", "GRUU", "accuracy"], "Did you mean 'GRU'?"),
        (["table", "digits", "--explain", "GRU", "acuracy"], "Did you mean 'accuracy'?"),
        (
            ["table", "digits", "--explain", "GRU", "accuracy", "--claims", "--format", "csv"],
            "--explain lists the runs of one cell: leave out --claims, --format",
        ),
        (["table", "digits", "table=table4"], "asked for by its name alone"),
        (["results", "verify", "docs"], "docs holds no published results"),
        (["results", "write", "docs"], "eleatt-bench results add TABLE publishes one"),
        (
            ["table", "paper", "--explain", "GRU", "accuracy"],
            "--explain lists the runs of one",
        ),
        (["data", "lst"], "Unknown action 'lst'. Did you mean 'list'?"),
        (["data", "prepare", "nuclaa"], "Unknown data set 'nuclaa'. Did you mean 'nucla'?"),
        (["data", "verify", "nucla"], "eleatt-bench data prepare nucla --source PATH"),
        (["data", "prepare", "ntu_rgb", "--source", "."], "data features ntu_rgb --source VIDEOS"),
        (["data", "features", "jhmbd"], "data features --help"),
        (["data", "prepare", "nucla", "--source", "nowhere.zip"], "nowhere.zip"),
        (["runs", "show"], "eleatt-bench runs show --help"),
        (["runs", "show", "x"], "There are no runs in runs"),
    ],
)
@pytest.mark.few(2)
def test_a_mistake_ends_in_one_sentence(
    tmp_path: Path,
    user_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for key in os.environ.keys() - user_environment.keys():
        monkeypatch.delenv(key)
    status = main(arguments)  # within this process: there are many, and each would import anew
    done = subprocess.CompletedProcess(arguments, status, *capsys.readouterr())
    assert says in error_of(done)


def test_a_mistake_ends_a_process_alike(command_line) -> None:
    assert "Did you mean 'model'?" in error_of(command_line("train", "modell=gru"))
    assert "Did you mean 'digits'?" in error_of(command_line("reproduce", "digitz"))


def test_output_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"'{sys.executable}' -m eleatt_bench train --cfg job | head -n 1",
        shell=True, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "data:\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("--version | (exec <&-; sleep 2)", 128 + 13, ""),
        ("train --help | (exec <&-; sleep 2)", 128 + 13, ""),
        ("--version >/dev/full", 1, "No space left on device"),
        ("--version >&-", 0, ""),
        ("data list >&-", 0, ""),
        ("runs list --format csv >&-", 0, ""),
        ("trian 2>&-", 1, ""),
    ],
)
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.few(2)
def test_output_that_goes_nowhere(
    words: str, status: int, says: str, unbuffered: bool, tmp_path: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"'{sys.executable}' -m eleatt_bench {words}"],
        capture_output=True, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr


@pytest.mark.slow
def test_settings_are_shown_as_they_would_be_run(
    monkeypatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def shown(*words: str) -> Any:
        assert main([*words]) == 0
        return yaml.safe_load(capsys.readouterr().out)

    whole = shown("train", "quick=true", "--cfg", "job")
    assert whole["trainer"]["max_epochs"] == 2
    for flags in (["-c", "job"], ["--cfg=job", "--resolve"]):
        assert shown("train", "quick=true", *flags) == whole
    assert shown("train", "-c", "job", "-p", "trainer", "quick=true") == whole["trainer"]
    rotation = whole["data"]["transforms"]["rotation"]
    package = ["--package", "data.transforms.rotation"]
    assert shown("train", "--cfg", "job", *package, "quick=true") == rotation
    assert shown("eval", "run=some", "-c", "job")["run"] == "some"
    for word in ("run=12e456", "++run=12e456"):
        assert shown("eval", word, "-c", "job")["run"] == "12e456", "the hash, no number"
    for words, says in (
        (["optimizer.lr=-3", "--cfg", "job", "--resolve"], "optimizer.lr is -3.0"),
        (["-c", "job", "-p", "traner"], "Did you mean 'trainer'"),
        (["-p", "trainer"], "--cfg job --package"),
    ):
        assert main(["train", *words]) == 1
        assert says in capsys.readouterr().err


def test_debug_shows_the_traceback(command_line) -> None:
    for done in (
        command_line("--debug", "train", "+typo=1"),
        command_line("train", "+typo=1", env={"ELEATT_DEBUG": "1"}),
    ):
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "Error: Unknown config key 'typo'" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["trian"], ["train", "+typo=1"], ["train", "seed=x"]]
)
@pytest.mark.few(2)
def test_nothing_heavy_is_imported_for_a_short_answer(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from eleatt_bench.cli import main; main(sys.argv[1:]);"
        "heavy = {'torch', 'pytorch_lightning', 'h5py', 'sklearn', 'pooch'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.few(3)
def test_every_verb_has_a_help(command_line, verb: str) -> None:
    done = command_line(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith(f"usage: eleatt-bench {verb}")


def test_cfg_job_prints_the_configuration_without_running(command_line, tmp_path: Path) -> None:
    done = command_line("train", "experiment=nucla", "model=gru", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "hidden_size: 100" in done.stdout
    assert not (tmp_path / "runs").exists()
    short = command_line("train", "experiment=nucla", "quick=true", "--cfg", "job")
    assert yaml.safe_load(short.stdout)["trainer"]["max_epochs"] == 2, "what would be run"
    wrong = command_line("train", "optimizer.lr=-3", "--cfg", "job")
    assert "optimizer.lr is -3.0; it must be at least 0" in error_of(wrong)


def test_flags_and_overrides_come_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = ["model.hidden_size=8", "trainer.max_epochs=3"]
    orders = (["--dry-run", *overrides], [overrides[0], "--dry-run", overrides[1]])
    said = []
    for order in orders:
        assert main(["reproduce", "digits", *order]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert len(said[0].splitlines()) > 18


def test_an_error_cannot_steer_the_terminal(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_RUNS", "\x1b[31mred\x07\u202e")
    assert main(["runs", "show", "x"]) == 1
    assert "There are no runs in ?[31mred??." in capsys.readouterr().err


@pytest.mark.slow
def test_brackets_in_a_folder_are_no_markup(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_DATA", "d[/red]:bug:")
    monkeypatch.setenv("ELEATT_RUNS", "r[bold]")
    assert main(["data", "show", "digits"]) == 0
    assert "d[/red]:bug:/prepared/digits.h5" in capsys.readouterr().out
    assert main(["table", "digits", "--explain", "GRU", "accuracy", "data_dir='d[/red]'"]) == 0
    assert "d[/red]" in capsys.readouterr().out.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("arguments", [["train", "force=true"], ["train", "-m", "+force=true"]])
def test_a_command_that_began_anew_is_not_to_be_given_again_as_it_is(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would throw away what it has done until it was stopped."""

    def stopped(by: BaseException) -> str:
        def dispatch(_: list[str]) -> int:
            raise by

        monkeypatch.setattr(cli, "_dispatch", dispatch)
        assert main(arguments) > 0
        return capsys.readouterr().err

    again = "ithout force=true the same command continues"
    assert again in stopped(KeyboardInterrupt())
    assert again in stopped(OSError(errno.ENOSPC, "No space left on device", "runs"))


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 128 + 15), ("SIGINT", 128 + 2)])
def test_a_signal_in_what_python_calls_when_an_object_goes_is_not_lost(
    number: str, status: int
) -> None:
    code = f"""
import os, signal, sys, threading, time, weakref
from eleatt_bench import cli
start = threading.Thread.start
def slow(thread):  # as on a busy machine: what starts a thread takes longer than the thread
    start(thread)
    time.sleep(0.2)
threading.Thread.start = slow
class Thing: pass
def dispatch(arguments):
    thing = Thing()
    gone = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.{number}))
    del thing
    time.sleep(120)
cli._dispatch = dispatch
sys.exit(cli.main([]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == status
    assert done.stderr.strip() == "Interrupted. The same command continues where this one stopped."
