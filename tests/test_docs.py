"""The Python on every page of docs/ runs, block after block, and the files a page shows exist."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from eleatt_bench.cli.data import data
from eleatt_bench.common.errors import UserError
from eleatt_bench.config import tables
from eleatt_bench.data import datasets
from eleatt_bench.data.sources import nucla
from eleatt_bench.tables.spec import METRICS

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").rglob("*.md"))
}
WITH_PYTHON = [name for name, text in PAGES.items() if "```python\n" in text]


def test_there_is_python_to_run() -> None:
    assert "docs/layer.md" in WITH_PYTHON


@pytest.mark.parametrize(
    "name",
    [  # which trains, as the example in the README does
        pytest.param(name, marks=pytest.mark.slow) if name == "docs/python.md" else name
        for name in WITH_PYTHON
    ],
)
# torch's own, of any graph that goes on after a break; hidden unless warnings are errors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_the_python_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where the page's files go
    text = PAGES[name]
    names: dict[str, object] = {"__name__": "__main__"}
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        above = "\n" * text.count("\n", 0, block.start(1))  # a traceback names the page's line
        exec(compile(above + block[1], str(ROOT / name), "exec"), names)


NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_shows_what_it_gave(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    for cell in code:
        assert {out["output_type"] for out in cell["outputs"]} <= {
            "display_data", "execute_result", "stream"
        }, "no errors"  # fmt: skip
        assert cell["outputs"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, of the extra figures, is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path}, cell {number}", "exec"), names)


@pytest.mark.parametrize("name", PAGES)
def test_every_file_a_page_shows_is_there(name: str) -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", PAGES[name]):
        if not path.startswith("http"):
            assert (ROOT / name).parent.joinpath(path).exists(), path


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/reliability.md"])
def test_the_code_that_a_page_names_is_there(name: str) -> None:
    package = ROOT / "src/eleatt_bench"
    files = re.findall(r"`([\w/]+\.py)`", PAGES[name])
    assert len(files) > 20
    assert [
        file for file in files if not any((top / file).exists() for top in (ROOT, package))
    ] == []


def test_every_door_against_mishaps_is_there() -> None:
    doors = PAGES["docs/reliability.md"].split("| kind | door |")[1].split("\n\n")[0]
    named = re.findall(r"((?:`[\w.]+`(?:,? and |, )?)+) (?:\([^)]*\) )?in `([\w/]+\.py)`", doors)
    assert len(named) > 25
    for names, file in named:
        text = (ROOT / "src/eleatt_bench" / file).read_text(encoding="utf-8")
        for name in re.findall(r"`([\w.]+)`", names):
            assert re.search(rf"^\s*(?:def|class) {name.split('.')[-1]}\b", text, re.MULTILINE), (
                name
            )


def test_the_page_of_tables_names_every_key_of_a_table() -> None:
    section = PAGES["docs/tables.md"].split("\n## A table of one's own\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (`\w.*?) \| (.*) \|$", section, re.MULTILINE)
    said = {key: f"{head} {held}" for head, held in lines for key in re.findall(r"`(\w+)`", head)}
    parts = {"rows": tables.RowConfig, "columns": tables.ColumnConfig, "cited": tables.CitedConfig,
             "sections": tables.SectionConfig, "claims": tables.ClaimConfig}  # fmt: skip
    assert sorted(said) == sorted(field.name for field in fields(tables.TableConfig))
    for part, schema in parts.items():
        keys = [field.name for field in fields(schema)]
        assert [key for key in keys if f"`{key}`" not in said[part]] == [], part
    assert [metric for metric in METRICS if f"`{metric}`" not in said["columns"]] == []


@pytest.mark.parametrize("name", PAGES)
def test_what_is_typed_goes_into_the_environment_of_make(name: str) -> None:
    """Not into whichever `pip` and `python` come first."""
    assert re.findall(r"^(?: {4})?(?:pip|python3?) .*", PAGES[name], re.MULTILINE) == []


DATA = [name for name in PAGES if name.startswith("docs/data/")]


def test_every_data_set_has_a_place_on_one_page() -> None:
    headings = [
        name
        for page in DATA
        for heading in re.findall(r"^##? .*$", PAGES[page], re.MULTILINE)
        for name in re.findall(r"`(\w+)`", heading)
    ]
    assert sorted(headings) == sorted(datasets.names())
    listed = re.findall(r"^\| \[`(\w+)`\]\(data/", PAGES["docs/data.md"], re.MULTILINE)
    assert sorted(listed) == sorted(headings)


def test_nucla_can_be_fetched_and_checked_by_its_page() -> None:
    """What `data list` names, and the digest of what `data verify` prints where it is the same."""
    page, stated = PAGES["docs/data/nucla.md"], PAGES["docs/data.md"]
    assert nucla.ARCHIVE in page
    (digest,) = re.findall(r"^\| `nucla` \| `(\w{64})` \|$", stated, re.MULTILINE)
    (beginning,) = re.findall(r"begins with `(\w+)`", page)
    assert digest.startswith(beginning)


@pytest.mark.parametrize("page", DATA)
def test_a_data_set_says_whose_it_is(page: str) -> None:
    text = PAGES[page]
    for said in ("**Where:**", "**Terms:**", "**Expect:**", "**Protocol"):
        assert said in text, said
    (entries,) = re.findall(r"^```bibtex\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    for entry in entries.strip().split("\n\n"):
        assert re.match(r"@\w+\{\w+,\n", entry)
        assert entry.count("{") == entry.count("}")
        assert {"title", "author", "year"} <= set(re.findall(r"(\w+) += ", entry))


@pytest.mark.parametrize("page", ["docs/data.md", "docs/data-rgb.md", "data/README.md", *DATA])
def test_the_commands_about_data_are_understood(page: str, tmp_path: Path, monkeypatch) -> None:
    """Each is typed; none of the sources is there, and that is all that may be wrong."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = set(re.findall(r"eleatt-bench data ((?:prepare|features) [^`;#\n]+)", text))
    assert commands or page == "docs/data/digits.md"
    for command in commands:
        words = command.replace("NAME", "nucla").split()
        if "<name>" in words:
            continue
        with pytest.raises(UserError, match="does not exist: give"):
            data(words)
