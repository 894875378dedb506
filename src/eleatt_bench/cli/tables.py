"""The verbs about tables: ``tables``, ``table``, ``reproduce``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.common.collector import without_collector
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import check_writable, is_replaceable, writing
from eleatt_bench.common.literal import key_of
from eleatt_bench.common.locations import FOLDERS
from eleatt_bench.common.text import closing
from eleatt_bench.config.composer import Composer
from eleatt_bench.launch.settings import without_launcher
from eleatt_bench.report.explain import explain
from eleatt_bench.report.numbers import MOST_DIGITS
from eleatt_bench.report.render import FORMATS, files, render, write_files
from eleatt_bench.report.selection import Selection, select
from eleatt_bench.report.verdict_text import of_all, standing
from eleatt_bench.tables.build import table as make_table
from eleatt_bench.tables.pending import wanted_now
from eleatt_bench.tables.plan import Plan, members, plans
from eleatt_bench.tables.records import find_records, key
from eleatt_bench.tables.spec import declared
from eleatt_bench.tables.table import Table

WRITTEN = ("md", "tex", "csv", "json")
"""The formats that ``reproduce`` writes; cells and claims are in separate files."""


def tables(arguments: list[str]) -> int:
    """``eleatt-bench tables``."""
    Parser("eleatt-bench tables", description="List the tables.").parse(arguments)
    with Composer() as composer:
        for name in composer.options("table"):
            spec = declared(composer.config([f"table={name}"])["table"])
            looks = dict.fromkeys(", ".join(map(str, c["looks"])) for c in spec["columns"])
            several = len(looks) > 1 or "," in "".join(looks)
            seeds = f"{'looks at ' if several else ''}{' and at '.join(looks)} seeds"
            what = f"{len(spec['rows'])} rows, {seeds}"
            print(f"{name:<10} {spec['title']}: {', '.join(spec['tables']) or what}")
    print("\nRun one: eleatt-bench reproduce NAME    Look at one: eleatt-bench table NAME")
    return 0


def table(arguments: list[str]) -> int:
    """``eleatt-bench table NAME``."""
    parser = Parser("eleatt-bench table", description="Show a table from the runs that are there.")
    parser.add_table()
    parser.add_argument("--format", default="term", help=", ".join(FORMATS), offers=FORMATS)
    parser.add_argument("--claims", action="store_true", help="the claims instead of the cells")
    for kind in ("columns", "rows", "sections"):
        parser.add_argument(f"--{kind}", nargs="+", default=(), metavar="NAME",
                            help=f"these {kind} alone")  # fmt: skip
    parser.add_argument("--no-cited", action="store_true", help="without other people's results")
    parser.add_argument(
        "--digits", type=int, metavar="N", help="digits after the decimal point; the default is 1"
    )
    parser.add_argument("--out", type=Path, metavar="PATH", help="write to a file instead")
    parser.add_argument(
        "--explain", nargs=2, metavar=("ROW", "COLUMN"), help="list the runs of one cell instead"
    )
    given = parser.parse(arguments)
    form = choose("format", given.format, list(FORMATS))
    _check_digits(given.digits)
    if given.explain:
        _check_single(given.name)
        _check_alone(given)
    chosen = Selection(
        columns=tuple(given.columns),
        rows=tuple(given.rows),
        sections=tuple(given.sections),
        cited=not given.no_cited,
    )
    with without_collector():
        made = plans(given.name, given.overrides)
        if given.explain:
            text = explain(made[0], *given.explain)
        else:
            found = select([make_table(plan) for plan in made], chosen)
            text = render(found, form, claims=given.claims, digits=given.digits)
    if given.out is None:
        print(text, end="")
    else:
        with writing(given.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        if is_replaceable(given.out):  # /dev/stdout gets nothing but the table
            print(f"Wrote {given.out}")
    return 0


def _check_digits(digits: int | None) -> None:
    if digits is not None and not 0 <= digits <= MOST_DIGITS:
        raise UserError(f"--digits is {digits}; it must be a number from 0 to {MOST_DIGITS}")


def _check_alone(given: Namespace) -> None:
    """Refuse flags about how a table is shown together with --explain, which lists runs."""
    flags = ("claims", "columns", "rows", "sections", "no_cited")
    typed = [name for name in flags if getattr(given, name)]
    typed += [
        name
        for name, plain in (("format", "term"), ("digits", None))
        if getattr(given, name) != plain
    ]
    if typed:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in typed)
        raise UserError(f"--explain lists the runs of one cell: leave out {named}")


def _check_single(name: str) -> None:
    with Composer() as composer:
        parts = members(name, composer)
    if len(parts) > 1:
        raise UserError(
            f"--explain lists the runs of one table, and {name} is made of several: name one of "
            f"{', '.join(parts)}"
        )


def _reproduce_parser() -> Parser:
    parser = Parser(
        "eleatt-bench reproduce",
        description="Do the runs that a table's first look lacks, then write the table. A stopped "
        "table continues when the same command is given again.",
    )
    parser.add_table(
        "settings of every run, e.g. trainer=gpu, launcher.jobs=4, 'table.seeds=[0,1]'"
    )
    parser.add_argument(
        "--until-decided",
        action="store_true",
        help="go on, look by look, with more seeds for the rows of claims that are undecided",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the runs that the table lacks, and stop"
    )
    parser.add_argument(
        "--detach", action="store_true", help="submit the runs to a cluster, and do not wait"
    )
    parser.add_argument(
        "--cancel", action="store_true", help="end those that were submitted to a cluster"
    )
    return parser


def reproduce(arguments: list[str]) -> int:
    """``eleatt-bench reproduce NAME``."""
    given = _reproduce_parser().parse(arguments)
    name = given.name
    if given.detach and given.until_decided:
        raise UserError(
            "--until-decided has to wait for runs before it knows of more: leave out --detach"
        )
    made = plans(name, given.overrides)  # before any run starts: do all overrides apply?
    _check_force(made)
    if given.dry_run:
        from eleatt_bench.cli.dry_run import dry_run

        dry_run(made)
        return 0
    check_writable(made[0].runs_dir / "tables")
    from eleatt_bench.cli.train import THEN, run_hydra

    sweeper = "eleatt_until_decided" if given.until_decided else "eleatt_table"
    sweep = [f"hydra/sweeper={sweeper}", f"table={name}", *given.overrides]
    then = [flag for flag in THEN if getattr(given, flag.removeprefix("--"))]
    if then:
        run_hydra("train", ["--multirun", *then], sweep)
        return 0
    try:
        run_hydra("train", ["--multirun"], sweep)
    finally:
        _write(made, [name, *given.overrides])
    _check_complete(made)
    return 0


def _check_force(made: Sequence[Plan]) -> None:
    """Refuse ``force``: it would leave finished runs, and begin anew those that were stopped."""
    if any(plan.force for plan in made):
        raise UserError(
            "reproduce does only the runs that the table lacks: leave out force=true. To have one "
            "trained again: eleatt-bench runs rm ID, or eleatt-bench train ... force=true"
        )


def _check_complete(made: Sequence[Plan]) -> None:
    """Refuse to end well if a table still lacks runs after all of its jobs have ended well."""
    lacking = (run for plan in made for run in wanted_now(plan, False))
    lack = {run.run_id: run for run in lacking if run.run_id is not None}
    if lack:
        first = next(iter(lack.values()))
        raise UserError(
            f"All jobs ended well, but {len(lack)} runs of the table are not there, such as "
            f"{first.run_id}: a config, the data or the program changed meanwhile. Try "
            f"that one alone: {first.command}"
        )


def _write(made: Sequence[Plan], asked: Sequence[str]) -> None:
    """Write and show the tables; ``asked`` are their name and the user's overrides."""
    records = [find_records(plan) for plan in made]
    results = list(map(make_table, made, records))
    folder = made[0].runs_dir / "tables"
    for plan, result in zip(made, results, strict=True):
        write_files(folder, plan.file_stem, files(plan.file_stem, result, WRITTEN))
    print(render(results, "term"), end="")
    _close(made, {name for of_plan in records for name in of_plan}, asked, results)


def _close(
    made: Sequence[Plan], finished: set[str], asked: Sequence[str], results: Sequence[Table]
) -> None:
    """Print where everything lies, how far the claims are, and what to type next.

    ``finished`` are the keys of the finished runs, pre-trainings included.
    """
    claims = [claim for result in results for claim in result.claims]
    runs_dir = made[0].runs_dir
    folder, forms = runs_dir / "tables", ", ".join(f".{form}" for form in WRITTEN)
    apart = ", ".join(f".{form}" for form in WRITTEN if FORMATS[form].claims is not None)
    forms += f"; claims: -claims{apart}" if claims else ""
    stems = ", ".join(plan.file_stem for plan in made)
    first = {key(run) for plan in made for run in plan.first_look}
    done = finished & {key(run) for plan in made for run in plan.runs}
    where = {
        "table": f"{folder / stems}{forms}" if len(made) == 1 else f"{folder}: {stems} as {forms}",
        "runs": f"{runs_dir}, {len(done)} of {len(first | done)} done",
    }
    if not made[0].quick:
        where["claims"] = "; ".join([of_all(results), *standing(claims)])
    then = {"rest": ["reproduce", *asked]} if first - done else {}
    if any(claim.judgement.next_look for claim in claims):
        then["seeds"] = ["reproduce", *asked, "--until-decided"]
    shown = without_launcher(asked)  # commands that show a table launch nothing
    # Other settings would vary all tables of the report, or be refused by some.
    of_report = [word for word in shown[1:] if key_of(word) in ("quick", *FOLDERS)]
    then |= {"curves": ["tensorboard"], "pages": ["report", *of_report]}
    then |= {"LaTeX": ["table", *shown, "--format", "tex"]}
    if len(made) == 1:
        spec = made[0].spec
        cell = [spec["rows"][0]["name"], spec["columns"][0]["name"]]
        then["a cell"] = ["table", *shown, "--explain", *cell]
    closing(where, then, runs_dir)
