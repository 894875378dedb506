"""``eleatt-bench tensorboard``: the real server over real event files."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.cli.tensorboard import link
from eleatt_bench.runs.record import RunFolder


@pytest.fixture
def leave_run(record_of) -> Callable[..., RunFolder]:
    """A run whose curve several processes wrote, each from where its checkpoint was."""

    def make(runs: Path, seed: int, processes: tuple[range, ...]) -> RunFolder:
        folder = RunFolder(runs, f"digits-gru-seed{seed}-{seed:012x}")
        record = record_of(folder.run_id, overrides=["experiment=digits", f"seed={seed}"])
        folder.write({**record, "identity": {**record["identity"], "seed": seed}})
        for number, steps in enumerate(processes):
            writer = SummaryWriter(
                str(folder.tensorboard), purge_step=steps[0], filename_suffix=f".{number}"
            )
            for step in steps:
                writer.add_scalar("train/loss", number, step)
            writer.close()
        return folder

    return make


def test_links_follow_the_runs(tmp_path: Path, leave_run) -> None:
    runs, links = tmp_path / "runs", tmp_path / "links"
    links.mkdir()
    first = leave_run(runs, 0, (range(1, 3),))
    link(runs, links)
    assert [path.name for path in links.iterdir()] == ["gru seed=0 digits 000000"]
    assert next(links.iterdir()).resolve() == first.tensorboard.resolve()
    leave_run(runs, 1, (range(1, 3),))
    RunFolder(runs, "damaged").path.mkdir()
    RunFolder(runs, "damaged").record.write_text("{", encoding="utf-8")
    shutil.rmtree(first.path)
    link(runs, links)
    assert [path.name for path in links.iterdir()] == ["gru seed=1 digits 000000"]


def test_of_chosen_runs_only_those_are_linked(tmp_path: Path, leave_run) -> None:
    runs, links = tmp_path / "runs", tmp_path / "links"
    links.mkdir()
    made = [leave_run(runs, seed, (range(1, 3),)) for seed in range(3)]
    link(runs, links, made[:2])
    names = sorted(path.name for path in links.iterdir())
    assert names == ["gru seed=0 digits 000000", "gru seed=1 digits 000000"]


def test_runs_without_event_files_are_named(tmp_path: Path, leave_run, command_line) -> None:
    folder = leave_run(tmp_path / "runs", 0, (range(1, 3),))
    other = leave_run(tmp_path / "runs", 1, ())
    done = command_line("tensorboard", f"run={folder.run_id},{other.run_id}")
    assert done.returncode == 1
    assert f"{other.run_id}: no event files, which logger=tensorboard writes" in done.stderr
    assert folder.run_id not in done.stderr
    shutil.rmtree(folder.tensorboard)
    done = command_line("tensorboard")
    assert done.returncode == 1
    assert "All runs in runs: no event files" in done.stderr
    done = command_line("tensorboard", "run=nobody")
    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_without_runs_it_says_how_to_start_one(command_line) -> None:
    done = command_line("tensorboard")
    assert done.returncode == 1
    assert "There are no runs in runs. Start one: eleatt-bench train" in done.stderr


def ask(address: str, path: str, **query: str) -> Any:
    url = f"{address}data/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


Serve = Callable[..., AbstractContextManager[tuple[str, str]]]


@pytest.fixture
def serve(tmp_path: Path, user_environment: dict[str, str]) -> Serve:
    """TensorBoard over the runs in ``tmp_path``: its address, and that which opens on the curves.

    Ctrl-C ends it, without a trace.
    """

    @contextmanager
    def served(*arguments: str) -> Iterator[tuple[str, str]]:
        before = set(Path(tempfile.gettempdir()).glob("eleatt-bench-*"))
        process = subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", "tensorboard", "--port", "0", *arguments],
            cwd=tmp_path, env=user_environment | {"PYTHONUNBUFFERED": "1"}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"The curves first: ((http://[^/]+/)\S+)", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        try:
            yield found[2], found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        assert process.returncode == 0
        assert set(Path(tempfile.gettempdir()).glob("eleatt-bench-*")) <= before

    return served


def test_the_server_shows_chosen_runs_by_their_titles_and_resumed_curves_without_a_zigzag(
    tmp_path: Path, leave_run, serve: Serve
) -> None:
    leave_run(tmp_path / "runs", 0, (range(1, 6), range(4, 8)))
    leave_run(tmp_path / "runs", 1, (range(1, 3),))
    leave_run(tmp_path / "runs", 2, (range(1, 3),))
    with serve("run=digits-gru-seed0,digits-gru-seed1") as (address, _):
        assert ask(address, "runs") == ["gru seed=0 digits 000000", "gru seed=1 digits 000000"]
        curve = ask(address, "plugin/scalars/scalars", run="gru seed=0 digits 000000",
                    tag="train/loss")  # fmt: skip
        assert [(step, value) for _, step, value in curve] == [
            (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1), (7, 1),
        ]  # fmt: skip


@pytest.mark.slow
def test_in_a_browser_the_curves_come_before_everything_else(
    tmp_path: Path, leave_run, serve: Serve
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium; on Debian: apt install chromium")
    folder = leave_run(tmp_path / "runs", 0, (range(1, 6),))
    with SummaryWriter(str(folder.tensorboard), filename_suffix=".more") as writer:
        writer.add_scalar("val/accuracy", 0.5, 1)
        writer.add_image("attention/layer0", np.zeros((3, 9, 9)), 1)  # as earlier runs called it
    with serve() as (_, curves), sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.goto(curves)
        cards = page.locator("metrics-pinned-view card-view")
        cards.nth(1).wait_for(timeout=120_000)
        assert cards.count() == 2, "of the four those that there are"
        said = " ".join(cards.all_inner_texts()).replace("\n", "")
        assert "val/accuracy" in said
        assert "train/loss" in said
        picture = page.locator("image-card").first
        picture.wait_for(timeout=60_000)
        lowest = max(card.bounding_box()["y"] for card in cards.all())
        assert picture.bounding_box()["y"] > lowest
        browser.close()
