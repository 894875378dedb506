"""Write small raw releases in the publishers' formats, for rehearsals of data that are not here.

    python scripts/rehearsal_data.py FOLDER [NAME ...]

It makes FOLDER/NAME for each data set. `eleatt-bench data prepare` (for videos `data features`)
reads it like the real one. The movements are made up: their frequency and phase depend on the
class. Whatever is trained on them is a rehearsal, not a result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.rgb import jhmdb
from eleatt_bench.data.sources import dhg, ntu, nucla, shrec17, sysu

Points = npt.NDArray[np.float64]

FRAMES = (12, 25)  # the shortest sequence, and one more than the longest
_PICTURE = (24, 32)  # pixels


def movement(label: int, joints: int, *seed: int) -> Points:
    """A random pose that sways as often as its class says: metres (frames, joints, 3)."""
    random = np.random.default_rng([label, *seed])
    time = np.linspace(0, 1, random.integers(*FRAMES))[:, None, None]
    pose, sway = random.normal(size=(2, joints, 3)) * [[[0.5]], [[0.2]]]
    noise = random.normal(size=(len(time), joints, 3)) * 0.01
    return pose + sway * np.sin((1 + label % 7) * np.pi * time + label) + noise + [0, 0, 3]


def write_nucla(top: Path) -> None:
    """``aAA_sSS_eEE_vVV.json``: 10 actions, 3 subjects, 2 episodes, 3 cameras."""
    top.mkdir(parents=True, exist_ok=True)
    for (label, action), subject, episode, camera in product(
        enumerate(nucla.CLASSES), (1, 2, 3), (0, 1), (1, 2, 3)
    ):
        name = f"a{action:02d}_s{subject:02d}_e{episode:02d}_v{camera:02d}"
        points = movement(label, len(nucla.JOINTS), subject, episode, camera).round(5)
        content = {"file_name": name, "skeletons": points.tolist(), "label": label + 1}
        (top / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def write_ntu(top: Path) -> None:
    """``.skeleton`` files: 60 actions, subjects 1 and 2 train, 3 and 6 test, all cameras."""
    top.mkdir(parents=True, exist_ok=True)
    for name, action, subject, camera in _ntu_samples(range(1, 61)):
        bodies = [movement(action, 25, subject, camera, body) for body in range(1 + action // 50)]
        text = skeleton_text([skeleton_frames(points) for points in bodies])
        (top / f"{name}.skeleton").write_bytes(text.encode("ascii"))


def skeleton_frames(points: Points) -> list[str]:
    """For each frame of a body, (frames, 25, 3) in metres, the lines of its joints."""
    others = "277.4190 191.8218 1036.2330 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2"
    return [
        "\r\n".join(f"{x:.7f} {y:.7f} {z:.7f} {others}" for x, y, z in frame)
        for frame in points.tolist()
    ]


def skeleton_text(bodies: Sequence[Sequence[str]]) -> str:
    """A ``.skeleton`` file of bodies, given as `skeleton_frames`; it ends with the shortest one."""
    lines = [str(min(map(len, bodies)))]
    for frame in zip(*bodies, strict=False):
        lines.append(str(len(frame)))
        for number, joints in enumerate(frame):
            lines += [f"7205759403793{1101 + number} 0 1 1 0 1 0 -0.01 0.05 2", "25", joints]
    return "\r\n".join(lines) + "\r\n"


def _ntu_samples(actions: range) -> Iterator[tuple[str, int, int, int]]:
    for action, subject, camera in product(actions, (1, 2, 3, 6), (1, 2, 3)):
        name = f"S001C{camera:03d}P{subject:03d}R001A{action:03d}"
        if name not in ntu.missing():
            yield name, action, subject, camera


def write_sysu(top: Path) -> None:
    """``3DvideoNorm/SUBJECT/videoN/sklWorld.mat``: all 40 subjects and 12 actions."""
    from scipy.io import savemat

    for subject, action in product(range(1, 1 + sysu.SUBJECTS), range(1, 1 + len(sysu.CLASSES))):
        folder = top / "3DvideoNorm" / f"{subject:02d}" / f"video{action}"
        folder.mkdir(parents=True, exist_ok=True)
        points = movement(action, len(nucla.JOINTS), subject)
        savemat(folder / "sklWorld.mat", {"SW": points.transpose(1, 2, 0)}, do_compression=True)


def write_shrec17(top: Path) -> None:
    """Eight of the 28 subjects, and both lists: five subjects to train on, three to test on."""
    lists: dict[str, list[str]] = {name: [] for name in shrec17.LISTS}
    for gesture, finger, subject in product(range(1, 15), (1, 2), range(1, 9)):
        points = movement(2 * gesture + finger, 22, subject)
        _write_hand(top, (gesture, finger, subject, 1), "skeletons_world.txt", points)
        labels = f"{gesture} {2 * (gesture - 1) + finger}"
        listed = lists[shrec17.LISTS[subject > 5]]
        listed.append(f"{gesture} {finger} {subject} 1 {labels} {len(points)}")
    for name, lines in lists.items():
        (top / name).write_text("\n".join(lines) + "\n", encoding="ascii")


def write_dhg(top: Path) -> None:
    """All 20 subjects, one trial of each gesture; the list cuts off the first and last frame."""
    lines = []
    for gesture, finger, subject in product(range(1, 15), (1, 2), range(1, 21)):
        points = movement(2 * gesture + finger, 22, subject)
        _write_hand(top, (gesture, finger, subject, 1), "skeleton_world.txt", points)
        lines.append(f"{gesture} {finger} {subject} 1 1 {len(points) - 2}")
    (top / dhg.LIST).write_text("\n".join(lines) + "\n", encoding="ascii")


def _write_hand(top: Path, trial: tuple[int, int, int, int], file: str, points: Points) -> None:
    gesture, finger, subject, essai = trial
    folder = top / f"gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}"
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / file, points.reshape(len(points), -1), fmt="%.6f")


def write_jhmdb(top: Path) -> None:
    """Four clips of each of the 21 actions, their official lists, and a backbone."""
    (top / "splits").mkdir(parents=True, exist_ok=True)
    for label, action in enumerate(jhmdb.CLASSES):
        names = [f"{action}_{number}.avi" for number in range(4)]
        for number, name in enumerate(names):
            _write_video(top / "videos" / action / name, label, number)
        for split in jhmdb.SPLITS:
            lines = [f"{name} {1 + ((i + split) % 4 == 0)}\n" for i, name in enumerate(names)]
            path = top / "splits" / f"{action}_test_split{split}.txt"
            path.write_text("".join(lines), encoding="ascii")
    _write_backbone(top / "backbone.pt2")


def write_ntu_rgb(top: Path) -> None:
    """``_rgb.avi`` files of ten actions, and a backbone."""
    for name, action, subject, camera in _ntu_samples(range(1, 11)):
        _write_video(top / "videos" / f"{name}_rgb.avi", action, subject, camera)
    _write_backbone(top / "backbone.pt2")


def _write_video(path: Path, label: int, *seed: int) -> None:
    """Noisy pictures whose mean colour sways as a `movement`."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    colours = 128 + 100 * (movement(label, 1, *seed)[:, 0] - [0, 0, 3])
    random = np.random.default_rng([label, *seed])
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width = _PICTURE
        stream.pix_fmt = "yuvj420p"
        for colour in colours:
            picture = colour + random.normal(scale=20, size=(*_PICTURE, 3))
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_backbone(path: Path) -> None:
    """A program of 2048 random features of a picture's mean colour; it has learnt nothing."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2048), nn.ReLU())
    example = torch.zeros(2, 3, *_PICTURE)
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(network.eval(), (example,), dynamic_shapes=shapes), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "nucla": write_nucla,
    "ntu": write_ntu,
    "sysu": write_sysu,
    "shrec17": write_shrec17,
    "dhg": write_dhg,
    "jhmdb": write_jhmdb,
    "ntu_rgb": write_ntu_rgb,
}


def main() -> None:
    """Write what the command line asks for, all data sets by default."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=f"all of them: {', '.join(WRITERS)}")
    given = parser.parse_args()
    wrong = set(given.names) - set(WRITERS)
    if wrong:
        parser.error(f"{sorted(wrong)[0]!r} is none of {', '.join(WRITERS)}")
    for name in given.names or WRITERS:
        WRITERS[name](given.folder / name)
        print(f"{given.folder / name}", flush=True)


if __name__ == "__main__":
    main()
