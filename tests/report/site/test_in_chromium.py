"""The report as people meet it, in a real Chromium without a network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; on Debian: apt install chromium"
)

Page = sync_api.Page
in_both = pytest.mark.parametrize(
    "page", ["light", pytest.param("dark", marks=pytest.mark.slow)], indirect=True
)
in_the_dark = pytest.mark.parametrize("page", ["dark"], indirect=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: sync_api.Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page, light unless the test asks for dark; what it complains of fails the test."""
    complaints: list[str] = []
    scheme = getattr(request, "param", "light")
    context = browser.new_context(color_scheme=scheme, offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def of_run(site: Path) -> Path:
    """A page with everything on it: curves of a gate, a confusion matrix, pictures."""
    return next((site / "runs").glob("digits-eleatt_gru-seed0-*.html"))


def of_table(site: Path) -> Path:
    return next((site / "tables").glob("digits-*.html"))


def open_page(page: Page, path: Path) -> None:
    page.goto(path.as_uri())


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_page_opens_and_draws_all_of_its_charts(site: Path, page: Page, step: int) -> None:
    drawn, paths = 0, sorted(site.rglob("*.html"))[::step]
    for path in paths:
        open_page(page, path)
        places = page.locator(".plot").count()
        assert page.locator(".plot:has(svg.main-svg)").count() == places, path
        assert page.title().endswith("– eleatt-bench"), "no text of a run was taken for a script"
        drawn += places
    assert drawn >= 2 * len(paths)


@in_both
def test_axe_finds_no_barrier(site: Path, page: Page) -> None:
    for path in (site / "index.html", site / "runs.html", of_table(site), of_run(site)):
        open_page(page, path)
        found = axe.Axe().run(page, {"exclude": [[".plot > *"]]}, {"preload": False})
        assert found.violations_count == 0, found.generate_report()


@in_the_dark
@pytest.mark.slow
def test_charts_wear_the_colours_of_the_page(site: Path, page: Page) -> None:
    open_page(page, of_run(site))

    def colour(selector: str, name: str) -> tuple[int, ...]:
        text = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}")
        return tuple(map(int, re.findall(r"\d+", text)[:3]))

    ink, paper = colour("body", "color"), colour("body", "backgroundColor")
    assert colour(".plot .xtick text", "fill") == ink
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (sum(ink) > sum(paper)) == dark
    page.emulate_media(color_scheme="light" if dark else "dark")
    page.wait_for_function(
        "before => getComputedStyle(document.querySelector('.plot .xtick text')).fill !== before",
        arg=f"rgb({', '.join(map(str, ink))})",
    )
    assert colour(".plot .xtick text", "fill") == colour("body", "color"), "it follows"


def test_a_table_is_sorted_by_the_mouse_and_by_the_keyboard(site: Path, page: Page) -> None:
    open_page(page, site / "runs.html")
    heads = page.locator("thead th")
    place = heads.all_inner_texts().index("test accuracy (%)")
    head = heads.nth(place)

    def column() -> list[str]:
        return page.locator(f"tbody tr > :nth-child({place + 1})").all_inner_texts()

    def ranked(descending: bool) -> list[str]:
        numbers = sorted((t for t in column() if t != "–"), key=float, reverse=descending)
        return numbers + [text for text in column() if text == "–"]

    assert "–" in column(), "what has no value comes last in either direction"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == ranked(descending=False)
    page.keyboard.press("Enter")  # the focus is where it was clicked
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == ranked(descending=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert heads.nth(place + 1).get_attribute("aria-sort") == "ascending"
    assert head.get_attribute("aria-sort") is None


def test_runs_are_found_by_words(site: Path, page: Page) -> None:
    open_page(page, site / "runs.html")
    page.get_by_label("Show runs that contain all of these words").fill("ELEATT seed=1")
    left = page.locator("tbody tr:visible")
    assert left.count() == 1
    assert "eleatt_gru seed=1" in left.first.inner_text()
    assert page.get_by_role("status").inner_text() == "1 of 7 runs"


@pytest.mark.slow
def test_the_numbers_of_a_chart_can_be_unfolded(site: Path, page: Page) -> None:
    open_page(page, of_run(site))
    figure = page.locator("figure", has_text="Loss").first
    figure.locator("summary").focus()
    page.keyboard.press("Enter")
    sync_api.expect(figure.locator("tr")).to_have_count(4)
    rows = [line.split("\t") for line in figure.locator("tr").all_inner_texts()]
    assert rows[0] == ["epoch", "training", "validation"]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
    drawn = page.evaluate("document.querySelector('.plot').data.map(trace => [...trace.y])")
    assert [[float(v) for v in row[1:]] for row in rows[1:]] == [
        list(pair) for pair in zip(*drawn, strict=True)
    ]
    matrix = page.locator(".matrix")
    matrix.locator("summary").click()
    sync_api.expect(matrix.locator("tr")).to_have_count(11)


def test_numbers_stand_below_the_names_of_their_columns(site: Path, page: Page) -> None:
    """Also where no row of the first column is done."""
    open_page(page, of_run(site))
    spec = {
        "data": [{"name": "mean", "y": [], "x": []},
                 {"name": "mean", "xaxis": "x2", "y": ["A"], "x": [50.5],
                  "error_x": {"array": [1], "arrayminus": [2]}}],
        "layout": {"xaxis": {"title": {"text": "one (%)"}}, "xaxis2": {"title": {"text": "two"}}},
    }  # fmt: skip
    rows = page.evaluate("spec => rowsOf(spec)", spec)
    assert rows == [["row", "one (%): mean", "two: mean"], ["A", "–", "50.5 [48.50, 51.50]"]]
    matrix = page.locator(".matrix")
    matrix.locator("summary").click()
    head = matrix.locator("th").first
    sync_api.expect(head).to_have_text("actual → predicted, % of row")


def test_numbers_with_signs_and_intervals_are_sorted_as_numbers(site: Path, page: Page) -> None:
    open_page(page, site / "runs.html")
    texts = ["+1.2 [−0.3, +2.7]", "−1.5 [−2.4, −0.7]", "–", "+10.0 [+9.0, +11.0]", "−0.1", "1,234",
             "12 of 30"]  # fmt: skip
    found = page.evaluate(
        """texts => texts.map((text) => {
            const row = document.createElement("table").insertRow();
            row.insertCell().textContent = text;
            return valueOf(row, 0);
        })""",
        texts,
    )
    assert found == [1.2, -1.5, None, 10, -0.1, 1234, "12 of 30"]


def test_the_forest_plot_has_a_verdict_in_words_beside_each_claim(site: Path, page: Page) -> None:
    open_page(page, of_table(site))
    figure = page.locator("figure", has_text="Differences").first
    (word,) = figure.locator(".annotation-text").all_text_contents()
    assert word == "undecided§"
    assert figure.locator(".note").all_text_contents() == ["§ exploratory"]
    inside = figure.evaluate(
        "e => [...e.querySelectorAll('.annotation-text, .ytick text, .legendtext')].every(t => {"
        " const [a, b] = [t.getBoundingClientRect(), e.getBoundingClientRect()];"
        " return a.left >= b.left && a.right <= b.right; })"
    )
    assert inside, "all words are whole"
    figure.locator("summary").click()
    sync_api.expect(figure.locator("tr")).to_have_count(2)
    row = figure.locator("tr").nth(1).inner_text()
    assert re.fullmatch(r"EleAtt-GRU > GRU, accuracy\t-?[\d.]+", row), "two seeds: no interval"


@pytest.mark.slow
def test_from_a_table_to_a_run_by_the_keyboard_alone(site: Path, page: Page) -> None:
    open_page(page, site / "index.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Skip to content"
    assert page.evaluate("document.activeElement.id") == "content"
    page.get_by_role("link", name="digits").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/tables/digits-*.html")
    page.get_by_role("link", name=re.compile(r"\(n=2\)")).first.focus()
    page.keyboard.press("Enter")
    target = page.locator("tbody:target")
    assert "n=2" in target.inner_text()
    assert page.evaluate("document.querySelector('tbody:target').getBoundingClientRect().top") < 700
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/digits-*.html")
    assert page.get_by_role("link", name=re.compile("Handwritten digits")).count() == 1


@in_the_dark
@pytest.mark.slow
def test_it_prints_black_on_white_and_fits_the_paper(site: Path, page: Page) -> None:
    open_page(page, of_run(site))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".xtick text").first.evaluate("e => e.style.fill") == "rgb(0, 0, 0)"
    widths = page.evaluate("[...document.querySelectorAll('.main-svg')].map(e => e.clientWidth)")
    assert max(widths) <= 640
    assert not page.locator("header").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.slow
def test_a_narrow_window_is_not_wider_than_itself(site: Path, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    for path in (site / "index.html", site / "runs.html", of_table(site), of_run(site)):
        open_page(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
