"""What a run leaves for TensorBoard, read back from its event files."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from eleatt_bench.data import catalog
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.board import pictures, tensorboard
from eleatt_bench.training.callbacks import EpochReport, Schedule
from eleatt_bench.training.checkpoints import Checkpoints
from eleatt_bench.training.fit import build, make_trainer
from eleatt_bench.training.run import train

CURVES = {
    "train/loss", "train/accuracy", "val/loss", "val/accuracy",
    "optimizer/lr", "optimizer/grad_norm", "optimizer/grad_norm_max", "time/seconds_per_step",
}  # fmt: skip
FEW = ("data.limit=64", "data.val_fraction=0.2")


def events(folder: RunFolder) -> EventAccumulator:
    return EventAccumulator(str(folder.tensorboard), {"images": 0, "scalars": 0}).Reload()


def curve(folder: RunFolder, tag: str) -> list[float]:
    """The values of epochs 1, 2, 3 …"""
    found = events(folder).Scalars(tag)
    assert [event.step for event in found] == list(range(1, len(found) + 1))
    return [event.value for event in found]


def steps(folder: RunFolder, tag: str) -> list[int]:
    """The epochs of which there is a picture."""
    return [event.step for event in events(folder).Images(tag)]


def begin(config):
    """The data and the network of a run before its training."""
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    return build(config, store)


def test_a_run_has_its_curves_its_settings_and_its_results(short_config) -> None:
    folder, record = train(short_config("model=gru"), [])
    found = events(folder)
    assert set(found.Tags()["scalars"]) == CURVES | {
        "result/test_accuracy", "result/test_loss", "result/val_accuracy",
    }  # fmt: skip
    for tag in CURVES:
        assert len(curve(folder, tag)) == 3
        assert found.SummaryMetadata(tag).summary_description
    assert curve(folder, "optimizer/lr") == pytest.approx([0.005] * 3)
    assert all(0 < seconds < 10 for seconds in curve(folder, "time/seconds_per_step"))
    (result,) = found.Scalars("result/test_accuracy")
    assert result.value == pytest.approx(record["metrics"]["test"]["accuracy"])
    assert result.step == record["best_epoch"]
    (text,) = found.Tensors("config/text_summary")
    command, _, *lines = text.tensor_proto.string_val[0].decode().splitlines()
    assert command == f"`eleatt-bench runs show {folder.run_id}`"
    yaml = "\n".join(line.removeprefix("    ") for line in lines)
    assert OmegaConf.create(yaml) == OmegaConf.load(folder.config)
    assert found.Tags()["images"] == [], "a run of three short epochs is not worth a picture"


def test_the_gradient_norms_are_those_before_clipping(short_config) -> None:
    options = ("data.batch_size=2000", "trainer.max_epochs=1", "trainer.gradient_clip_val=0.001")
    config = short_config(*options)
    folder, _ = train(config, [])
    data, classifier = begin(config)
    (batch,) = data.train_dataloader()  # a single step, of the whole training set
    F.cross_entropy(classifier(batch.inputs, batch.lengths), batch.labels).backward()
    squares = [float((p.grad.double() ** 2).sum()) for p in classifier.parameters()]
    (mean,), (most,) = (curve(folder, f"optimizer/{n}") for n in ("grad_norm", "grad_norm_max"))
    assert mean == pytest.approx(sum(squares) ** 0.5, rel=1e-4)
    assert most == mean
    assert mean > 0.001


@pytest.mark.parametrize(
    ("options", "gated", "limit"),
    [
        (("model.num_layers=2", "model.dropout=0.5"), {"layer0": 0, "layer1": 1}, 0.1),
        (("model=eleatt_rnn", "model.bidirectional=true"), {"layer0": 0, "layer0_reverse": 1}, 0.1),
        (("model.gate=softmax", "model.num_layers=2", "model.gated_layers=[1]",
          "trainer.precision=64-true"), {"layer1": 1}, 0.1 / 8),
    ],
)  # fmt: skip
def test_the_gates_are_measured_on_validation_samples(
    short_config, options: tuple[str, ...], gated: dict[str, int], limit: float
) -> None:
    config = short_config(*FEW, *options, "trainer.max_epochs=2")
    folder, _ = train(config, [])
    data, classifier = begin(config)
    state = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["model"]
    classifier.to(next(iter(state.values())).dtype).load_state_dict(state)
    recurrent = classifier.recurrent.eval()
    recurrent.backend = "equations"
    of_layer: dict[str, list[np.ndarray]] = {layer: [] for layer in gated}
    indices = data.split.val[np.linspace(0, len(data.split.val) - 1, 8).round().astype(int)]
    for index in indices:  # one by one, without padding
        frames = torch.from_numpy(data.store.sequence(index).copy())[None]
        answers = recurrent(frames.to(recurrent.weight_ih_l0.dtype), return_attention=True)[2]
        for layer, row in gated.items():
            of_layer[layer].append(answers[row].detach().numpy().ravel())
    assert {t for t in events(folder).Tags()["scalars"] if t.startswith("gate/")} == {
        f"gate/{name}_{layer}" for name in ("mean", "std", "closed") for layer in gated
    }
    for layer, rows in of_layer.items():
        values = np.concatenate(rows)
        for name, expected in (
            ("mean", values.mean()), ("std", values.std()), ("closed", np.mean(values < limit)),
        ):  # fmt: skip
            assert curve(folder, f"gate/{name}_{layer}")[-1] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_from_one_confusion_matrix_to_the_next_maximum_the_epochs_double(
    short_config, monkeypatch
) -> None:
    drawn = []

    def record_and_draw(counts, names, title):
        drawn.append((counts, title))
        return original(counts, names, title)

    original = pictures.confusion
    monkeypatch.setattr(pictures, "confusion", record_and_draw)
    monkeypatch.setattr(tensorboard, "SHARE", float("inf"))
    folder, record = train(short_config("data.limit=300", "trainer.max_epochs=11"), [])
    accuracies = curve(folder, "val/accuracy")
    maxima = [n for n, value in enumerate(accuracies, 1) if value >= max(accuracies[:n])]
    due = list[int]()
    for epoch in maxima:
        if not due or epoch >= 2 * due[-1]:
            due.append(epoch)
    due += [epoch for epoch in maxima[-1:] if epoch != due[-1]]  # the last at the end in any case
    assert steps(folder, "visual/confusion_validation") == due
    assert steps(folder, "visual/attention_layer0") == [1, 10, 11]
    assert 1 < len(drawn) == len(due)
    for (counts, title), epoch in zip(drawn, due, strict=True):
        assert counts.shape == (10, 10)
        assert counts.sum() == record["samples"]["val"]
        assert np.trace(counts) / counts.sum() == pytest.approx(accuracies[epoch - 1])
        assert title.startswith(f"Validation after epoch {epoch}: {np.trace(counts)} of ")


@pytest.mark.slow
def test_pictures_wait_for_time_and_the_newest_is_drawn_at_the_end(
    short_config, monkeypatch
) -> None:
    monkeypatch.setattr(tensorboard, "SHARE", 0.0)
    folder, record = train(short_config(*FEW, "trainer.max_epochs=12"), [])
    assert steps(folder, "visual/confusion_validation") == [record["best_epoch"]]
    assert steps(folder, "visual/attention_layer0") == [12]
    (picture,) = events(folder).Images("visual/attention_layer0")
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert pixels.shape == (picture.height, picture.width, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_without_matplotlib_the_curves_are_there_and_one_line_says_what_is_not(
    short_config, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder, _ = train(short_config(*FEW, "trainer.max_epochs=10"), [])
    assert len(curve(folder, "gate/mean_layer0")) == 10
    assert events(folder).Tags()["images"] == []
    log = folder.log.read_text(encoding="utf-8")
    assert log.count("pip install 'eleatt-bench[figures]'") == 1


@pytest.mark.parametrize(
    "options",
    [
        ("model.num_layers=2", "model.dropout=0.5", "model.readout=mean"),
        ("model=eleatt_lstm", "model.bidirectional=true", "data.transforms.noise=0.1"),
        ("model.backend=scan", "trainer.precision=64-true", "model.dropout=0.2"),
    ],
)
@pytest.mark.few(1)
def test_nothing_of_it_changes_the_training(
    short_config, monkeypatch, tmp_path: Path, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(tensorboard, "SHARE", float("inf"))
    config = short_config("data.limit=200", *options, "trainer.max_epochs=4")
    folder, _ = train(config, [])
    assert steps(folder, "visual/attention_layer0") == [1]
    data, classifier = begin(config)
    checkpoints = Checkpoints(tmp_path / "without", None)
    report = EpochReport(lambda line: None, lambda *progress: None)
    trainer = make_trainer(config["trainer"], folder, [Schedule(), report, checkpoints])
    trainer.fit(classifier, datamodule=data)
    ours, theirs = (
        torch.load(path / "last.ckpt", weights_only=True)
        for path in (folder.checkpoints, checkpoints.folder)
    )
    assert ours["last"] == theirs["last"]
    for name, value in theirs["model"].items():
        assert torch.equal(ours["model"][name], value), name
    assert str(ours["optimizer"]) == str(theirs["optimizer"])


def test_a_run_that_lost_its_record_gets_its_results_once(short_config) -> None:
    folder, _ = train(short_config(), [])
    folder.record.unlink()
    train(short_config(), [])
    found = events(folder)
    assert len(curve(folder, "train/loss")) == 3
    for tag in ("result/test_accuracy", "result/test_loss", "result/val_accuracy"):
        assert len(found.Scalars(tag)) == 1
    assert len(list(folder.tensorboard.glob("*.final"))) == 1
    assert len(found.Tensors("config/text_summary")) == 1


def hparams(folder: RunFolder, name: str) -> HParamsPluginData:
    content = events(folder).summary_metadata[f"_hparams_/{name}"].plugin_data.content
    return HParamsPluginData.FromString(content)


def test_the_hparams_page_gets_a_handful_of_settings_and_the_results(short_config) -> None:
    folder, _ = train(
        short_config(*FEW, "model.num_layers=2", "model.gated_layers=[1]", "model.gate=softmax",
                     "data.transforms.noise=0.1", "seed=7", "trainer.max_epochs=1"), [],
    )  # fmt: skip
    values = hparams(folder, "session_start_info").session_start_info.hparams
    said = {key: value.string_value or value.number_value for key, value in values.items()}
    assert said == {
        "data": "digits fixed, noise",
        "model": "eleatt_gru, softmax, gated 1",
        "num_layers": 2,
        "hidden_size": 8,
        "dropout": 0,
        "batch_size": 200,
        "lr": 0.005,
        "pretraining": "none",
        "seed": "7",
    }
    experiment = hparams(folder, "experiment").experiment
    assert {info.name for info in experiment.hparam_infos} == set(said)
    first = {info.name for info in experiment.hparam_infos if info.differs}
    assert first == {"data", "hidden_size", "lr", "model", "seed"}
    results = [info.name.tag for info in experiment.metric_infos]
    assert results[0] == "result/test_accuracy"
    assert set(results) == {t for t in events(folder).Tags()["scalars"] if "result/" in t} | {
        "result/test_accuracy_clean"
    }
    assert hparams(folder, "session_end_info").session_end_info.status == 1  # STATUS_SUCCESS


def test_every_epoch_is_shown_where_the_clock_went_back(short_config) -> None:
    """A run goes on where the clock is a day behind: its event files are named after tomorrow."""
    folder, _ = train(short_config(), [])
    folder.record.unlink()
    folder.checkpoints.joinpath("previous.ckpt").replace(folder.checkpoints / "last.ckpt")
    for path in folder.tensorboard.glob("events.*"):
        *first, second, rest = path.name.split(".", 4)
        path.rename(path.with_name(".".join([*first, str(int(second) + 86_400), rest])))
    train(short_config(), [])
    shown = EventAccumulator(str(folder.tensorboard)).Reload()
    assert [event.step for event in shown.Scalars("val/accuracy")] == [1, 2, 3]
    assert len(shown.Scalars("result/test_accuracy")) == 1
