"""``eleatt-bench attention run=ID``: what the gate of a trained network attends to."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.cli.offers import named_runs
from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import check_writable, write_bytes, write_text
from eleatt_bench.common.locations import data_dir, runs_dir
from eleatt_bench.data.layout import joints_per_body, vector_names

if TYPE_CHECKING:
    from eleatt_bench.data.store import SequenceStore
    from eleatt_bench.runs.record import RunFolder
    from eleatt_bench.training.attention import Array, Attended

_SHOWN = 4  # samples, each of another class, unless the user names some
_PER_CLASS = 32  # samples for the mean of a class


def attention(arguments: list[str]) -> int:
    """``eleatt-bench attention run=ID [--samples NAMES] [--layer K] [--out DIR]``."""
    parser = Parser(
        "eleatt-bench attention",
        description="Draw the attention of a run's gate to test samples, relative to its mean "
        "as in the paper's Figure 3: pictures, animations, and the numbers behind them.",
    )
    parser.add_argument(
        "run",
        metavar="run=ID",
        help="an id, or a beginning of it or of its hash",
        offers=named_runs,
    )
    parser.add_argument(
        "--samples",
        metavar="NAME[,NAME...]",
        help="test samples to draw; the default is one of each of 4 classes",
    )
    parser.add_argument(
        "--layer", type=int, default=0, help="a layer with a gate, counted from 0; the default is 0"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the default is RUN/attention/layerK"
    )
    given = parser.parse(arguments)

    require("figures", "attention")  # before the work

    from eleatt_bench.training.attention import attention_to
    from eleatt_bench.training.folder import reopen

    folder, config, store = reopen(runs_dir(), given.run.removeprefix("run="), data_dir())
    if config["data"]["sequence"] != "frames" or config["data"]["transforms"]["streams"] != [
        "joints"
    ]:
        raise UserError(
            f"{folder.run_id} does not see frames as they are stored (data.sequence, "
            "data.transforms.streams): its attention cannot be drawn on them"
        )
    test = _test_set(folder, store)
    shown = _named(store, given.samples.split(","), test) if given.samples else _first(store, test)
    out = given.out or folder.path / "attention" / f"layer{given.layer}"
    check_writable(out)  # before the work
    found = attention_to(config, store, folder, shown, given.layer)
    _draw_samples(store, found, given.layer, out)
    some = _some_of_each_class(store, test)
    _draw_classes(store, attention_to(config, store, folder, some, given.layer), given.layer, out)
    print(f"The gate of layer {given.layer} of {folder.run_id}: {len(shown)} samples in {out}")
    return 0


def _test_set(folder: RunFolder, store: SequenceStore) -> tuple[str, ...]:
    """The names of the samples that the run was tested on."""
    from eleatt_bench.runs.predictions import read_predictions

    found = read_predictions(folder)
    if found is None:
        raise UserError(f"{folder.run_id} is not finished: it has no {folder.predictions}")
    test = tuple(name.decode() for name in found.names)
    if not set(test) <= set(store.names):
        raise UserError(f"{folder.predictions} names samples that {store.path} does not have")
    return test


def _named(store: SequenceStore, names: Sequence[str], test: Sequence[str]) -> list[int]:
    for name in names:
        if name not in test:
            raise unknown("test sample", name, test)
    return [store.names.index(name) for name in dict.fromkeys(names)]


def _first(store: SequenceStore, test: Sequence[str]) -> list[int]:
    """The first test sample of `_SHOWN` classes that are spread evenly over all classes."""
    every = _some_of_each_class(store, test, most=1)
    return [every[i] for i in np.unique(np.linspace(0, len(every) - 1, _SHOWN).astype(int))]


def _some_of_each_class(
    store: SequenceStore, test: Sequence[str], most: int = _PER_CLASS
) -> list[int]:
    positions = {name: index for index, name in enumerate(store.names)}
    found: dict[int, list[int]] = {}
    for name in test:
        same = found.setdefault(int(store.labels[positions[name]]), [])
        if len(same) < most:
            same.append(positions[name])
    return [index for label in sorted(found) for index in found[label]]


def _draw_samples(store: SequenceStore, found: Sequence[Attended], layer: int, out: Path) -> None:
    from eleatt_bench.report import gates as pictures
    from eleatt_bench.report.canvas import save
    from eleatt_bench.report.filmstrip import filmstrip
    from eleatt_bench.training.attention import relative

    values = relative(found)
    kind = store.layout["kind"] if layer == 0 else "units"
    joints = _of_joints(store, found, values) if kind == "skeleton" else []
    radii = pictures.sizes(joints) if joints else []
    for number, (one, value) in enumerate(zip(found, values, strict=True)):
        name = store.names[one.position]
        label, predicted = (
            store.class_names[k] for k in (store.labels[one.position], one.predicted)
        )
        said = "" if label == predicted else f", taken for {predicted}"
        title, path = f"{name}: {label}{said}", out / Path(name).name
        if kind == "skeleton":
            frames = store.sequence(one.position)
            if len(frames) != len(value):  # resampled: as the network saw it
                frames = one.inputs
            said = f"{title} – circles: relative attention of the gate"
            strip = filmstrip(frames, store.layout, said, sizes=radii[number])
            for form in ("png", "pdf"):
                save(strip, path.with_suffix(f".{form}"))
            for form in ("gif", "mp4") if shutil.which("ffmpeg") else ("gif",):
                pictures.save_animation(
                    frames, store.layout, title, radii[number], path.with_suffix(f".{form}")
                )
            heat = pictures.heat_map(joints[number], _joints(store), title, "frame")
        elif kind == "image":
            heat = pictures.on_image(one.inputs, value, title)
        else:
            heat = pictures.heat_map(value, None, title, "frame")
        save(heat, path.with_name(f"{path.name}-map.png"))
    _write(store, found, values, out / "attention.h5")


def _write(
    store: SequenceStore, found: Sequence[Attended], values: Sequence[Array], path: Path
) -> None:
    """Write, for each sample, its input, its attention and its relative attention."""
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for one, value in zip(found, values, strict=True):
            group = file.create_group(store.names[one.position])
            group.attrs["label"] = int(store.labels[one.position])
            group.attrs["predicted"] = one.predicted
            group["inputs"], group["attention"] = one.inputs, one.attention
            group["relative"] = value
    write_bytes(path, content.getbuffer())


def _draw_classes(store: SequenceStore, found: Sequence[Attended], layer: int, out: Path) -> None:
    """Mean relative attention by class, as a picture and as a table."""
    from eleatt_bench.report import gates as pictures
    from eleatt_bench.report.canvas import save
    from eleatt_bench.training.attention import mean_over_frames, relative

    skeleton = store.layout["kind"] == "skeleton" and layer == 0
    values = relative(found)
    values = _of_joints(store, found, values) if skeleton else values
    labels = np.array([store.labels[one.position] for one in found])
    classes = [label for label in range(store.num_classes) if (labels == label).any()]
    means = np.stack(
        [
            mean_over_frames([v for v, k in zip(values, labels, strict=True) if k == label])
            for label in classes
        ]
    )
    names = [store.class_names[label] for label in classes]
    elements = _joints(store) if skeleton else list(map(str, range(means.shape[1])))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", *elements])
    for name, row in zip(names, means, strict=True):
        writer.writerow([name, *("" if np.isnan(value) else repr(value) for value in row.tolist())])
    write_text(out / "classes.csv", text.getvalue())
    title = f"{store.name}: mean relative attention of the gate of layer {layer}"
    figure = pictures.by_class(means, names, elements, title, of_joints=skeleton)
    for form in ("png", "pdf"):
        save(figure, out / f"classes.{form}")


def _joints(store: SequenceStore) -> list[str]:
    """The names of the joints of all bodies."""
    return vector_names(store.layout, ["joints"])


def _of_joints(
    store: SequenceStore, found: Sequence[Attended], values: Sequence[Array]
) -> list[Array]:
    """The attention to each joint (T, J) of ``found``, from ``values``, that to each number."""
    from eleatt_bench.training.attention import of_joints

    joints = joints_per_body(store.layout)
    return [of_joints(v, one.inputs, joints) for v, one in zip(values, found, strict=True)]
