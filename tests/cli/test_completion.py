"""Tab completion: what is offered, and that bash, zsh and fish come to it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eleatt_bench.cli import VERBS
from eleatt_bench.cli.completion import SHELLS
from eleatt_bench.runs.record import RECORD

RUNS = ("digits-gru-seed0-0123456789ab", "digits-gru-seed1-0123456789ab", "nucla-gru-seed0-a0a0a0")


@pytest.fixture
def offered(command_line, tmp_path: Path):
    """What is offered at the end of a line, as bash asks for it; there are a few runs."""
    for name in RUNS:
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / RECORD).write_text("{}")

    def ask(line: str, point: int | None = None) -> list[str]:
        answer = tmp_path / "answer"
        asked = {
            "COMP_LINE": line,
            "COMP_POINT": str(len(line) if point is None else point),
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        }
        done = command_line(env=asked)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        return answer.read_text().split("\n")

    return ask


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("eleatt-bench reproduce ta", "table4"),
        ("eleatt-bench train -m model=gru,eleatt_g", "model=gru,eleatt_gru"),
        ("eleatt-bench runs show nucla", RUNS[2]),
        ("eleatt-bench ", "reproduce"),
        ("eleatt-bench tr", "train"),
        ("eleatt-bench --debug tr", "train"),
        ("eleatt-bench --de", "--debug"),
        ("eleatt-bench train --c", "--cancel"),
        ("eleatt-bench train experiment=", "experiment=nucla_aug"),
        ("eleatt-bench train experiment=digits model.hid", "model.hidden_size="),
        ("eleatt-bench train model.", "model.init."),
        ("eleatt-bench train trainer.accelerator=", "trainer.accelerator=gpu"),
        ("eleatt-bench train model.bidirectional=", "model.bidirectional=true"),
        ("eleatt-bench train data.transforms.str", "data.transforms.streams="),
        ("eleatt-bench train data.tran", "data.transforms.noise="),
        ("eleatt-bench train nonsense=1 seed=x mod", "model="),
        ("eleatt-bench train launcher=", "launcher=slurm"),
        ("eleatt-bench eval trainer=", "trainer=gpu"),
        ("eleatt-bench eval run=digits-gru-seed1", f"run={RUNS[1]}"),
        ("eleatt-bench eval checkpoint=", "checkpoint=last"),
        (f"eleatt-bench ensemble run={RUNS[0]},digits-gru-seed1", f"run={RUNS[0]},{RUNS[1]}"),
        ("eleatt-bench attention run=nuc", f"run={RUNS[2]}"),
        ("eleatt-bench runs l", "list"),
        (f"eleatt-bench runs compare {RUNS[0]} digits", RUNS[1]),
        (f"eleatt-bench runs rm {RUNS[0]} nu", RUNS[2]),
        ("eleatt-bench runs export digits", RUNS[0]),
        ("eleatt-bench runs list --reverse --fo", "--format"),
        ("eleatt-bench runs list --format ", "csv"),
        ("eleatt-bench runs list status=", "status=finished"),
        ("eleatt-bench runs list model.g", "model.gate="),
        ("eleatt-bench search nuc", "nucla"),
        ("eleatt-bench search nucla model=", "model=gru"),
        ("eleatt-bench reproduce digits --until-decided tr", "trainer="),
        ("eleatt-bench table digits --format ", "tex"),
        ("eleatt-bench table digits --format tex --claims mod", "model="),
        ("eleatt-bench table digits --rows A B --fo", "--format"),
        ("eleatt-bench train 'model.hid", "model.hidden_size="),
        ("eleatt-bench results a", "add"),
        ("eleatt-bench results add ges", "gesture"),
        ("eleatt-bench report fi", "figures"),
        ("eleatt-bench report figures ta", "table7"),
        ("eleatt-bench data ", "prepare"),
        ("eleatt-bench data prepare di", "digits"),
        ("eleatt-bench data features ntu_rgb --device ", "cuda"),
        ("eleatt-bench doctor lau", "launcher="),
        ("eleatt-bench completion z", "zsh"),
    ],
)
@pytest.mark.few(2)
def test_what_may_come_next_is_offered(offered, line: str, some: str) -> None:
    found = offered(line)
    assert some in found
    beginning = line.rpartition(" ")[2].lstrip("'")
    assert all(word.startswith(beginning) for word in found)


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.few(2)
def test_every_verb_offers_its_help_and_does_nothing(offered, tmp_path: Path, verb: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert "--help" in offered(f"eleatt-bench {verb} --h")
    assert sorted({*tmp_path.rglob("*")} - {tmp_path / "answer"}) == before


def test_a_table_is_not_offered_as_an_override(offered) -> None:
    found = offered("eleatt-bench reproduce ")
    assert "table4" in found
    assert not [word for word in found if "=" in word]


def test_the_cursor_may_stand_within_the_line(offered) -> None:
    assert "table4" in offered("eleatt-bench reproduce ta seed=1", len("eleatt-bench reproduce ta"))


@pytest.mark.slow
def test_where_a_file_belongs_files_are_offered(offered, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").touch()
    assert offered("eleatt-bench search nucla --space sp") == ["space.yaml"]
    assert offered("eleatt-bench search nucla --trials ") == [""]


def test_a_broken_config_of_ones_own_offers_nothing_and_says_nothing_wrong(
    command_line, tmp_path: Path
) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine.yaml").write_text("cell: [")
    line = "eleatt-bench --config-dir own train model=m"
    env = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}
    done = command_line(env=env | {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer")})
    assert "Traceback" not in done.stderr
    assert (tmp_path / "answer").read_text().strip() == "model=mine"


class Terminal:
    """A terminal that somebody types into."""

    def __init__(self, master: int) -> None:
        self._master, self.shown = master, ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Read until ``text`` is on the screen."""
        until = time.monotonic() + seconds
        while text not in self.shown and (left := until - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                self.shown += os.read(self._master, 65536).decode(errors="replace")
        assert text in self.shown, f"{text!r} is not in {self.shown!r}"


@contextmanager
def terminal(command: list[str], env: dict[str, str], folder: Path) -> Iterator[Terminal]:
    """``command`` in a terminal of 200 columns."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (50, 200))
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=env,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


BEGIN = {
    "bash": ("bash --norc --noprofile -i", "bind 'set bell-style none'; "),
    "zsh": ("zsh -f -i", "autoload -Uz compinit; compinit -u -D; unsetopt beep; "),
}


@pytest.mark.parametrize("shell", BEGIN)
@pytest.mark.few(1)
def test_a_shell_completes_words_in_a_terminal(
    shell: str, user_environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "runs" / RUNS[0]).mkdir(parents=True)
    (tmp_path / "runs" / RUNS[0] / RECORD).write_text("{}")
    command, first = BEGIN[shell]
    script = Path(sys.executable).parent
    env = user_environment | {"TERM": "dumb", "PATH": f"{script}:{os.environ['PATH']}"}
    with terminal(command.split(), env, tmp_path) as screen:
        # What is typed is echoed, so the answers are written otherwise than they are looked for.
        screen.type(f'{first}eval "$(eleatt-bench completion {shell})"; echo rea""dy\n')
        screen.wait_for("ready\r\n")
        for typed, whole in (
            ("eleatt-bench reproduce ges", "ture"),
            ("eleatt-bench runs sh", "ow"),
            ("eleatt-bench runs show dig", RUNS[0].removeprefix("dig")),
            ("eleatt-bench train experiment=psm", "nist"),
            ("eleatt-bench train data.transforms.no", "ise="),
        ):
            screen.shown = ""
            screen.type(f"{typed}\t")
            screen.wait_for(whole)
            screen.type("\x15")  # Ctrl-U: the line is not to be run
            screen.type(': em""pty\n')
            screen.wait_for("\n")


def test_fish_completes_words(user_environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    script = Path(sys.executable).with_name("eleatt-bench")
    words = ["eleatt-bench reproduce ges", "eleatt-bench train model=ele", "eleatt-bench runs "]
    asked = "; ".join(f"complete --do-complete '{line}'" for line in words)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{script} completion fish | source; {asked}"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
        env=user_environment | {"HOME": str(tmp_path)},
    )  # fmt: skip
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert {"gesture", "model=eleatt_gru", "list", "export"} <= set(found), done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_shell_is_given_is_a_script_of_it(command_line, shell: str) -> None:
    script = command_line("completion", shell)
    assert script.returncode == 0, script.stderr
    if shutil.which(shell) is not None:
        checked = subprocess.run([shell, "-n"], input=script.stdout, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr
    assert "eleatt-bench" in script.stdout


def test_another_shell_is_refused(command_line) -> None:
    done = command_line("completion", "tcsh")
    assert done.returncode == 1
    assert "Unknown shell 'tcsh'" in done.stderr
    assert "fish" in done.stderr
