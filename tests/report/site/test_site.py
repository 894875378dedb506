"""The report as files: complete, linked, self-contained, and never in the way of anything."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store
from eleatt_bench.report.site import write_site
from eleatt_bench.report.site.run import _incomplete, _seconds
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.tables.build import table
from eleatt_bench.tables.plan import plans

from .conftest import DAMAGED, ERROR, FAILED, SMALL, UNREADABLE


class Page(HTMLParser):
    """What a page refers to, what may be referred to in it, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.references: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in {"href", "src"} and value:
                self.references.append(value)
            elif name == "id" and value:
                assert value not in self.anchors, "an id is there once"
                self.anchors.add(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_link_leads_somewhere_and_none_out_of_the_folder(site: Path) -> None:
    found = {path: Page(path) for path in site.rglob("*.html")}
    assert len(found) == 2 + 2 + 7
    for path, page in found.items():
        for reference in page.references:
            if reference == "data:,":
                continue
            target, fragment = urldefrag(reference)
            assert "://" not in target
            there = (path.parent / unquote(target)).resolve() if target else path
            assert there.is_file(), f"{path}: {reference}"
            assert there.is_relative_to(site)
            assert not fragment or fragment in found[there].anchors, f"{path}: {reference}"


def test_a_cell_links_to_the_runs_it_is_the_mean_of(site: Path) -> None:
    (path,) = (site / "tables").glob("digits-*.html")
    text = path.read_text(encoding="utf-8")
    runs = {folder.run_id: folder.read() for folder in all_runs(site.parent / "runs")}
    shown = re.search(r'<a href="#(cell-0-\d-0)">([\d.]+) ± [\d.]+ \(n=2\)', text)
    assert shown is not None
    rows = text.split(f'id="{shown[1]}"')[1].split("</tbody>")[1]
    listed = re.findall(r'<td class="number">([\d.]+)</td><td>finished.*?runs/(.*?)\.html', rows)
    assert len(listed) == 2
    for value, run_id in listed:
        accuracy = runs[run_id]["metrics"]["test"]["accuracy"]
        assert value == f"{100 * accuracy:.2f}"
    assert float(shown[2]) == pytest.approx(sum(float(v) for v, _ in listed) / 2, abs=0.06)


def test_the_time_of_a_continued_run_is_that_of_its_epochs() -> None:
    timing = {"seconds": 85.0, "seconds_per_epoch": 2.5, "resumed_after_epoch": 0}
    assert _seconds({"epochs": 200, "timing": timing}) == 85
    continued = {"epochs": 200, "timing": {**timing, "resumed_after_epoch": 170}}
    assert _seconds(continued) == 500, "an earlier version timed its last process"
    assert _seconds({**continued, "devices": [["cpu", 200]]}) == 85
    assert _seconds({}) is None


def test_the_index_tells_how_far_each_table_is(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    assert '<progress value="4" max="12"' in text, "four of the six rows' runs with two seeds"
    assert '<progress value="0" max="45"' in text, "table4, where nothing is done"
    where = [f"data_dir={site.parent / 'data'}", f"runs_dir={site.parent / 'runs'}"]
    (plan,) = plans("digits", [*SMALL, *where, "table.seeds=[0,1]"])
    made = table(plan)
    assert (made.finished, made.runs) == (4, 12)
    assert "All 7 runs" in text
    row = text.split(">table4<")[1].split("</tr>")[0]
    assert "<td>not tested</td>" in row, "of a table without runs that is all there is to say"
    row = text.split(">digits<")[1].split("</tr>")[0]
    assert "<td>1 undecided (1 exploratory), 2 not tested</td>" in row
    assert text.count('class="plot"') == 1, "the forest plot"


def test_what_happened_to_a_run_is_said_on_its_page(site: Path) -> None:
    failed, damaged, unreadable = (
        Page(site / "runs" / f"{name}.html").text for name in (FAILED, DAMAGED, UNREADABLE)
    )
    assert f"It failed: {ERROR}" in failed, "as text"
    assert "predictions.h5 is damaged" in damaged
    assert "epochs.csv is damaged: it holds 2 of 3 epochs. The curves end there; to" in damaged
    assert all("Loss" in page for page in (damaged, unreadable)), "as far as they go"
    assert "record.json is damaged (it is not JSON" in unreadable
    assert ERROR not in (site / "runs" / f"{FAILED}.html").read_text(), "never as a script"


def test_incomplete_data_are_named_also_those_that_a_run_began_with(tmp_path: Path) -> None:
    samples = [Sample(f"{n}", np.ones((2, 60), np.float32), n, {"camera": 1}) for n in (0, 1)]
    store = write_store(
        catalog.store_path(tmp_path, "nucla"), name="nucla", samples=samples,
        class_names=["no", "yes"], layout={"kind": "skeleton"}, source="a test",
    )  # fmt: skip
    before = {"data": {"name": "nucla", "digest": store.content_digest}}
    said = ["Data set nucla: 2 of 1,484: incomplete, not comparable with published results"]
    assert _incomplete({"identity": before}, tmp_path) == said
    own = {"data": {"name": "ntu", "digest": None}}
    assert _incomplete({"identity": {**own, "pretraining": before}}, tmp_path) == said
    assert _incomplete({"identity": {**before, "pretraining": before}}, tmp_path) == said
    assert _incomplete({}, tmp_path) == []


@pytest.mark.slow
def test_a_newer_report_takes_the_place_of_an_older_one(site: Path, tmp_path: Path) -> None:
    where = [f"data_dir={tmp_path / 'data'}", f"runs_dir={tmp_path / 'runs'}"]
    made = plans("digits", where)
    out = tmp_path / "report"
    steps: list[tuple[int, int]] = []
    assert write_site(made, out, lambda *step: steps.append(step)) == 0
    assert "There are no runs yet" in (out / "index.html").read_text()
    (out / "runs" / "gone.html").write_text("of an earlier run")
    run = next((site.parent / "runs").glob("digits-eleatt_gru-seed0-*"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / run.name).symlink_to(run)
    assert write_site(made, out, lambda *step: steps.append(step)) == 1
    assert steps == [(1, 1)]
    assert [path.name for path in (out / "runs").iterdir()] == [f"{run.name}.html"]
    assert "another" not in (out / "runs" / f"{run.name}.html").read_text()
    assert not list(tmp_path.glob(".*")), "nothing is left of the making"


@pytest.mark.slow
def test_it_replaces_nothing_but_a_report(tmp_path: Path, monkeypatch) -> None:
    made = plans("digits", [f"runs_dir={tmp_path / 'runs'}", f"data_dir={tmp_path / 'data'}"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("mine")
    for name in ("mine", "file"):
        with pytest.raises(UserError, match=r"with --out"):
            write_site(made, tmp_path / name)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for name in (".", ".."):
        with pytest.raises(UserError, match="is where you are"):
            write_site(made, Path(name))


@pytest.mark.slow
def test_if_it_fails_the_older_one_stays(site: Path, tmp_path: Path, monkeypatch) -> None:
    made = plans("digits", [f"runs_dir={tmp_path / 'runs'}", f"data_dir={tmp_path / 'data'}"])
    write_site(made, tmp_path / "report")
    before = (tmp_path / "report" / "index.html").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eleatt_bench.report.site.write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_site(made, tmp_path / "report")
    assert (tmp_path / "report" / "index.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "report"]


@pytest.mark.parametrize("library", ["jinja2", "plotly"])
def test_without_its_libraries_it_says_what_to_install(
    library: str, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        UserError, match=rf"needs {library}, .* pip install 'eleatt-bench\[report\]"
    ):
        write_site([], tmp_path / "report")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_samples_are_drawn_if_the_store_is_what_the_run_saw(site: Path, tmp_path: Path) -> None:
    run = next((site.parent / "runs").glob("digits-gru-seed0-*"))
    page = (site / "runs" / f"{run.name}.html").read_text(encoding="utf-8")
    assert page.count("the image") == 12
    (tmp_path / "runs" / run.name).mkdir(parents=True)
    for path in run.iterdir():
        (tmp_path / "runs" / run.name / path.name).symlink_to(path)
    record = RunFolder(tmp_path / "runs", run.name)
    other = record.read() or {}
    record.record.unlink()
    other["identity"]["data"]["digest"] = "of something else"
    other["identity"]["recipe_version"] = 1  # whose names nobody checks
    record.write(other)
    made = plans("digits", [f"data_dir={site.parent / 'data'}", f"runs_dir={tmp_path / 'runs'}"])
    write_site(made, tmp_path / "report")
    page = (tmp_path / "report" / "runs" / f"{run.name}.html").read_text(encoding="utf-8")
    assert "holds other data than this run was tested on" in page
    assert "the image" not in page
    assert "Misclassified samples" in page, "with their names"
