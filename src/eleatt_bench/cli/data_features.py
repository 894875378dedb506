"""``eleatt-bench data features NAME``: make a store of features from a data set of videos."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import data_dir
from eleatt_bench.common.text import duration, plain_console, printable
from eleatt_bench.data import completeness

if TYPE_CHECKING:
    from eleatt_bench.data.rgb.backbones.contract import Backbone
    from eleatt_bench.data.rgb.clips import ClipSet
    from eleatt_bench.data.rgb.features import Extracted
    from eleatt_bench.data.store import SequenceStore

NAMES = ("jhmdb", "ntu_rgb")
_SECONDS = 20  # between two lines in a log file


def features(arguments: list[str]) -> int:
    """``eleatt-bench data features NAME --source VIDEOS --backbone NAME|FILE.pt2``."""
    given = _parser().parse(arguments)
    name = choose("data set of videos", given.name, NAMES)
    if given.batch_size is not None and given.batch_size < 1:
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
    with (
        _left_at_once(),
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
        ExitStack() as stack,
    ):
        task = bar.add_task(f"features of {name}", total=len(clips.clips))
        told = _Told(f"features of {name}", len(clips.clips))

        def progress(count: int, total: int | None) -> None:
            told.count = count
            bar.update(task, completed=count, total=total)

        if not console.is_terminal:
            stack.enter_context(told.every(_SECONDS))
        store, done = extract(
            data_dir(),
            name,
            clips,
            backbone,
            batch_size=given.batch_size,
            skip_bad=given.skip_bad,
            report=lambda what: bar.console.print(printable(what), style="red", soft_wrap=True),
            progress=progress,
        )
    _tell(store, backbone, clips, done)
    return 0


def _tell(store: SequenceStore, backbone: Backbone, clips: ClipSet, done: Extracted) -> None:
    print(f"{store.path}: {len(store.lengths):,} sequences, {store.input_size:,} features a frame")
    print(
        f"{backbone.name} on {backbone.device}, weights: {backbone.weights}; {done.done_before:,} "
        f"clips were done before, {len(done.broken):,} broken ones are left out"
    )
    for line in clips.left_out:
        print(f"Left out: {line}")
    if remark := completeness.remark(store.name, len(store.lengths)):
        print(remark)
    print(f"The features of single clips stay in {done.folder}; nothing else needs that folder.")


@contextmanager
def _left_at_once() -> Iterator[None]:
    """End at once after a signal: a garbage collection of torch's objects takes two seconds."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        gc.freeze()
        raise


class _Told:
    """Prints the progress to a log file at even intervals, however long a clip takes."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self.count = 0

    @contextmanager
    def every(self, seconds: float) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._tell, args=(done, seconds), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _tell(self, done: threading.Event, seconds: float) -> None:
        started, first = time.monotonic(), self.count
        print(f"{self._what}: {self._total:,} clips", flush=True)
        while not done.wait(seconds):
            made, passed = self.count - first, time.monotonic() - started
            left = (
                f", about {duration(passed * (self._total - self.count) / made)} left"
                if made
                else ""
            )
            print(f"{self._what}: {self.count:,} of {self._total:,} clips{left}", flush=True)


def _parser() -> Parser:
    parser = Parser(
        "eleatt-bench data features",
        description="Decode the videos of a data set, run a backbone on every frame, and store a "
        "sequence of features per clip. Interrupted, the same command continues.",
    )
    parser.add_argument("name", help=" or ".join(NAMES), offers=NAMES)
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
    parser.add_argument("--batch-size", type=int, metavar="N",
                        help="frames at once; 64 on a GPU, a few on a CPU")  # fmt: skip
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu or cuda",
        offers=("auto", "cpu", "cuda"),
    )
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
