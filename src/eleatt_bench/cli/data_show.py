"""``eleatt-bench data show NAME``: what is in a store, in numbers and one picture."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table

from eleatt_bench.cli.data_verify import omitted
from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.locations import data_dir
from eleatt_bench.common.text import plain_console, printable
from eleatt_bench.data import catalog, completeness
from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.summary import Summary, summary

_BAR = 40  # characters


def show(name: str, sample: str | None, out: Path | None) -> None:
    """Print what is in the store of ``name``, and draw ``sample`` (default: the first) to ``out``.

    Raises:
        UserError: the data set is not prepared or has no such sample, or a picture that was asked
            for cannot be drawn.
    """
    store = catalog.open_store(data_dir(), name)
    if sample is not None and sample not in store.names:
        raise unknown(f"sample of {name}", sample, store.names)
    _print(store, summary(store))
    try:
        _draw(store, sample or store.names[0], out)
    except UserError as error:
        if sample or out or isinstance(error.__cause__, OSError):
            raise
        print(f"\n{error}")


def _print(store: SequenceStore, found: Summary) -> None:
    out = plain_console().print
    out(
        f"{store.name}: {len(store.labels):,} sequences of {store.num_classes} classes",
        style="bold",
    )
    known = catalog.entry(store.name)
    out(f"{known.title} ({known.homepage})", soft_wrap=True)
    out(f"{len(store.frames):,} frames of {store.input_size:,} values ({store.layout['kind']})")
    size = store.path.stat().st_size / 1e6
    out(f"{store.path}, {size:,.1f} MB, made of {store.source}", markup=False, soft_wrap=True)
    if remark := completeness.remark(store.name, len(store.labels)):
        out(remark)
    for protocol, rule in PROTOCOLS[store.name].items():
        if meaning := rule.fold_is(store.metadata):
            out(f"{protocol}: {meaning}", soft_wrap=True)
    for line in omitted(store):
        out(printable(line), soft_wrap=True)
    out()
    out(_table("class", found.per_class))
    for column, counts in found.per_column.items():
        if len(counts) > 1:
            out(_table(column, {str(key): count for key, count in counts.items()}))
    shortest, median, mean, longest = found.lengths.values()
    out(f"Frames per sequence: {shortest} to {longest}, median {median:g}, mean {mean:.1f}")
    most = max(count for *_, count in found.histogram)
    width = len(str(longest))
    for first, last, count in found.histogram if longest > shortest else []:
        bar = "█" * round(_BAR * count / most)
        out(f"  {first:>{width}} – {last:>{width}}  {count:>7,}  {bar}")
    units = store.layout.get("units", "")
    for axis in found.ranges:
        out(f"{axis.name}: {axis.lowest:.3g} to {axis.highest:.3g}, mean {axis.mean:.3g} {units}")


def _table(head: str, counts: dict[str, int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(head)
    table.add_column("sequences", justify="right")
    for name, count in counts.items():
        table.add_row(printable(name), f"{count:,}")
    return table


def _draw(store: SequenceStore, sample: str, out: Path | None) -> None:
    from eleatt_bench.report.canvas import save
    from eleatt_bench.report.filmstrip import draw_sequence

    index = store.names.index(sample)
    label = store.class_names[store.labels[index]]
    title = f"{store.name}, {sample}: {label}"
    if store.layout["kind"] != "image":
        title += f", {store.lengths[index]} frames"
    path = out or Path(f"{store.name}-{Path(sample).name}.png")
    save(draw_sequence(store.sequence(index), store.layout, title), path)
    print()
    print(printable(f"{sample} ({label}) is drawn in {path}"))
