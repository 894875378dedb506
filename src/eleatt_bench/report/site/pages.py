"""Pages from templates, and what all pages share."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.text import duration

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "eleatt_bench.report.site"
MARK = '<meta name="generator" content="eleatt-bench report">'
"""In every page: a folder whose index has it may be replaced by a newer report."""


def write_page(out: Path, path: str, template: str, **content: Any) -> None:
    """Render ``template`` with ``content`` to ``path`` below ``out``."""
    root = "../" * path.count("/")
    text = (
        _environment()
        .get_template(f"{template}.html.jinja")
        .render(root=root, mark=MARK, **content)
    )
    (out / path).write_text(text, encoding="utf-8")


def write_assets(out: Path) -> None:
    """Write the style, the script and the plotting library that all pages load."""
    assets = out / "assets"
    assets.mkdir()
    for source in resources.files(_PACKAGE).joinpath("assets").iterdir():
        (assets / source.name).write_bytes(source.read_bytes())
    script = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    (assets / "plotly.min.js").write_bytes(script.read_bytes())


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}  # a sixth of a page
    environment.filters["duration"] = duration
    return environment
