"""``eleatt-bench data features NAME``: the videos of a data set into a store of features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import data_dir
from eleatt_bench.common.text import plain_console, printable

if TYPE_CHECKING:
    from eleatt_bench.data.rgb.clips import ClipSet

NAMES = ("jhmdb", "ntu_rgb")


def features(arguments: list[str]) -> int:
    """``eleatt-bench data features NAME --source VIDEOS --backbone NAME|FILE.pt2``."""
    given = _parser().parse(arguments)
    name = choose("data set of videos", given.name, NAMES)
    if given.batch_size < 1:
        raise UserError(f"--batch-size is {given.batch_size}; it must be at least 1")
    clips = _clips(name, given.source, given.splits)

    from eleatt_bench.data.rgb import backbones
    from eleatt_bench.data.rgb.features import extract

    backbone = backbones.load(
        given.backbone,
        weights=given.weights,
        random=given.random_weights,
        device=given.device,
    )
    console = plain_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"features of {name}", total=len(clips.clips))
        store, done = extract(
            data_dir(),
            name,
            clips,
            backbone,
            batch_size=given.batch_size,
            skip_bad=given.skip_bad,
            report=lambda what: bar.console.print(printable(what), style="red", soft_wrap=True),
            progress=lambda count, total: bar.update(task, completed=count, total=total),
        )
    print(f"{store.path}: {len(store.lengths):,} sequences, {store.input_size:,} features a frame")
    print(
        f"{backbone.name} on {backbone.device}, weights: {backbone.weights}; {done.done_before:,} "
        f"clips were done before, {len(done.broken):,} broken ones are left out"
    )
    print(f"The features of single clips stay in {done.folder}; nothing else needs that folder.")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "eleatt-bench data features",
        description="Decode the videos of a data set, run a backbone on every frame, and store a "
        "sequence of features per clip. Interrupted, the same command continues.",
    )
    parser.add_argument("name", help=" or ".join(NAMES))
    parser.add_argument(
        "--source", type=Path, metavar="VIDEOS", required=True, help="a folder or a zip archive"
    )
    parser.add_argument("--splits", type=Path, metavar="PATH", help="jhmdb: its official lists")
    parser.add_argument(
        "--backbone",
        required=True,
        metavar="NAME",
        help="a classification model of torchvision, as resnet50, or a program FILE.pt2 of "
        "torch.export.save",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="PATH", help="a state dict, instead of downloaded weights"
    )
    parser.add_argument(
        "--random-weights", action="store_true", help="none at all; the store will say so"
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="frames; 64")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave broken clips out; the store will say so"
    )
    return parser


def _clips(name: str, source: Path, splits: Path | None) -> ClipSet:
    from eleatt_bench.data.rgb import jhmdb, ntu_rgb

    if name == "ntu_rgb":
        if splits is not None:
            raise UserError("--splits is for jhmdb; ntu_rgb is split by the names of its videos")
        return ntu_rgb.clips(source)
    if splits is None:
        raise UserError(
            "jhmdb needs its official lists as well, splits.zip from http://jhmdb.is.tue.mpg.de/ "
            "or its unpacked folder: --splits PATH"
        )
    return jhmdb.clips(source, splits)
