"""A `eleatt_bench.tables.cells.Table` as text: for the terminal, Markdown, LaTeX, CSV, SVG."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from eleatt_bench.tables.cells import Cell, Row, Table

NOTHING = "–"


def render(table: Table, form: str) -> str:
    """``table`` in the format ``form``, one of `FORMATS`, ending in a newline."""
    return FORMATS[form](table)


def cell_text(cell: Cell) -> str:
    """``95.3 ± 0.4 (n=3)``, or ``95.1 (1/3 seeds)`` while seeds are missing."""
    if cell.mean is None:
        return f"0/{cell.seeds} seeds" if cell.seeds else NOTHING
    spread = "" if cell.std is None else f" ± {cell.std:.1f}"
    done = len(cell.values)
    count = f"n={done}" if done == cell.seeds else f"{done}/{cell.seeds} seeds"
    return f"{cell.mean:.1f}{spread} ({count})"


def _paper_text(cell: Cell) -> str:
    return NOTHING if cell.paper is None else f"{cell.paper:.1f}"


def _header(table: Table) -> list[str]:
    header = [""]
    for column, in_paper in zip(table.columns, table.in_paper, strict=True):
        header += [column, "paper"] if in_paper else [column]
    return [*header, "parameters"]


def _line(table: Table, row: Row) -> list[str]:
    line = [row.name]
    for cell, in_paper in zip(row.cells, table.in_paper, strict=True):
        line += [cell_text(cell), _paper_text(cell)] if in_paper else [cell_text(cell)]
    return [*line, NOTHING if row.parameters is None else f"{row.parameters:,}"]


def _notes(table: Table) -> list[str]:
    notes = ["Accuracy in %: mean ± sample standard deviation over n seeds."]
    if any(table.in_paper):
        note = "paper: the value printed in the paper"
        notes.append(f"{note}, {table.paper_note}." if table.paper_note else f"{note}.")
    if table.finished < table.runs:
        notes.append(
            f"{table.finished} of {table.runs} runs are done. "
            f"The others: eleatt-bench reproduce {table.name}"
        )
    return [*notes, *table.notes]


def _terminal(table: Table) -> str:
    console = Console()
    if not console.is_terminal:
        console.width = 120
    with console.capture() as capture:
        _print(table, console)
    return capture.get()


def _svg(table: Table) -> str:
    console = Console(record=True, width=96, file=io.StringIO())
    _print(table, console)
    return console.export_svg(title=f"eleatt-bench table {table.name}") + "\n"


def _print(table: Table, console: Console) -> None:
    grid = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(_header(table)):
        grid.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in table.cited:
        grid.add_row(*_line(table, row), style="dim")
    if table.cited:
        grid.add_section()
    for row in table.rows:
        grid.add_row(*_line(table, row))
    console.print(grid)
    for note in _notes(table):
        console.print(note, style="dim", highlight=False, markup=False)


def _markdown(table: Table) -> str:
    header = _header(table)
    lines = [
        f"**{table.title}**",
        "",
        _markdown_line(header),
        _markdown_line([":--"] + ["--:"] * (len(header) - 1)),
        *(_markdown_line(_line(table, row)) for row in (*table.cited, *table.rows)),
        "",
        *(f"- {note}" for note in _notes(table)),
    ]
    return "\n".join(lines) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _latex(table: Table) -> str:
    header = _header(table)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}. {' '.join(_tex(note) for note in _notes(table))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        _latex_line(header),
        r"\midrule",
        *(_latex_line(_line(table, row)) for row in table.cited),
        *([r"\midrule"] if table.cited else []),
        *(_latex_line(_line(table, row)) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


_TEX = {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "°": r"$^\circ$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)


def _csv(table: Table) -> str:
    """One line per cell, numbers as they are, for other programs."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["row", "column", "mean", "std", "finished", "seeds", "paper", "parameters", "values"]
    )
    for row in (*table.cited, *table.rows):
        for column, cell in zip(table.columns, row.cells, strict=True):
            values = " ".join(f"{value:.6f}" for value in cell.values)
            numbers = [_number(x) for x in (cell.mean, cell.std)]
            counts = [len(cell.values), cell.seeds]
            writer.writerow(
                [row.name, column, *numbers, *counts, cell.paper, row.parameters, values]
            )
    return out.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


FORMATS: dict[str, Callable[[Table], str]] = {
    "term": _terminal,
    "md": _markdown,
    "tex": _latex,
    "csv": _csv,
    "svg": _svg,
}
