"""Weights as files of their own: loadable in three lines, and what they give."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from eleatt_bench import load_network
from eleatt_bench.api.networks import network as network_of
from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import labelled
from eleatt_bench.runs.predictions import read_predictions
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.attention import attention_to
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.fit import build
from eleatt_bench.training.published import retest, write_weights
from eleatt_bench.training.run import train

Made = tuple[Path, RunFolder, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A folder with a trained run, the run, and a file of its weights."""
    folder = tmp_path_factory.mktemp("made")
    said = [
        "model=eleatt_gru", "trainer.max_epochs=1", "model.hidden_size=4", "data.limit=64",
        "trainer.num_threads=1", f"data_dir={folder}", f"runs_dir={folder}",
    ]  # fmt: skip
    run, _ = train(compose_config(said), said)
    path = folder / f"{run.run_id}.safetensors"
    write_weights(path, folder, run.run_id, folder)
    return folder, run, path


def test_the_network_gives_the_logits_of_the_run(made: Made) -> None:
    folder, run, path = made
    network, card = load_network(path)
    assert not network.training
    assert not {"launcher", "logger"} & card["config"].keys(), "they are nobody's business"
    found = read_predictions(run)
    assert found is not None
    store = catalog.open_store(folder, "digits")
    at = {name.encode(): index for index, name in enumerate(store.names)}
    frames = [store.frames[store.offsets[at[n]] : store.offsets[at[n] + 1]] for n in found.names]
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack(frames)), torch.tensor([len(f) for f in frames]))
    assert logits.numpy() == pytest.approx(found.logits, rel=1e-5, abs=1e-5)
    record = run.read()
    assert record is not None
    assert card["metrics"] == record["metrics"]["test"]
    assert card["class_names"] == list(found.class_names)
    again = retest(network, card, labelled(store, "fixed"))
    assert again["accuracy"] == card["metrics"]["accuracy"]
    assert again["loss"] == pytest.approx(card["metrics"]["loss"], rel=1e-5)


@pytest.mark.slow
def test_a_network_in_64_bits_has_the_weights_that_were_tested(tmp_path: Path) -> None:
    said = [
        "model=eleatt_gru", "model.num_layers=2", "model.hidden_size=4", "trainer.max_epochs=1",
        "trainer.precision=64-true", "trainer.num_threads=1", "data.limit=64",
        f"data_dir={tmp_path}", f"runs_dir={tmp_path}",
    ]  # fmt: skip
    run, _ = train(config := compose_config(said), said)
    saved = torch.load(run.checkpoints / "best.ckpt", weights_only=True)["model"]
    path = tmp_path / "weights.safetensors"
    write_weights(path, tmp_path, run.run_id, tmp_path)
    store = catalog.open_store(tmp_path, "digits")
    for network in (load_network(path)[0], network_of(run, "best", tmp_path)):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, saved[name], rtol=0, atol=0)
    found = read_predictions(run)
    assert found is not None
    (position,) = (i for i, name in enumerate(store.names) if name.encode() == found.names[0])
    frames = torch.tensor(store.sequence(position))[None]
    with torch.inference_mode():
        (logits,) = network(frames, torch.tensor([frames.shape[1]])).numpy()
    assert logits.astype(np.float32) == pytest.approx(found.logits[0], rel=1e-6)
    (attended,) = attention_to(config, store, run, [position], 1)
    assert attended.attention.dtype == attended.inputs.dtype == np.float64


@pytest.mark.slow
def test_permuted_pixels_are_moved_as_they_were(tmp_path: Path) -> None:
    """Whoever trains on has the transforms of the run, in the order of its pixels."""
    said = [
        "model=gru", "trainer.max_epochs=1", "model.hidden_size=2", "data.limit=16",
        "trainer.num_threads=1", "data.sequence=permuted_pixels", "data.transforms.shift=2",
        f"data_dir={tmp_path}", f"runs_dir={tmp_path}",
    ]  # fmt: skip
    config = compose_config(said)
    run, _ = train(config, said)
    write_weights(tmp_path / "weights", tmp_path, run.run_id, tmp_path)
    network, _ = load_network(tmp_path / "weights")
    store = labelled(catalog.open_store(tmp_path, "digits"), "fixed")
    data = SequenceDataModule(config["data"], store, config["seed"])
    (batch,) = data.train_dataloader()
    moved = data.transforms(batch, training=True).inputs
    assert not torch.equal(moved, batch.inputs)
    assert torch.equal(network.transforms(batch, training=True).inputs, moved)


def test_always_the_same_bytes_without_names_of_folders(made: Made, tmp_path: Path) -> None:
    folder, run, path = made
    write_weights(tmp_path / "again", folder, run.run_id, folder)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert str(folder).encode() not in path.read_bytes()


def test_other_data_are_not_tested_on(made: Made, tmp_path: Path) -> None:
    path = changed(made, tmp_path, data_digest="0" * 64)
    with pytest.raises(UserError, match="holds other data than"):
        retest(*load_network(path), catalog.open_store(made[0], "digits"))


def test_a_run_without_weights_has_none_to_publish(made: Made, tmp_path: Path) -> None:
    folder, run, _ = made
    best = run.checkpoints / "best.ckpt"
    best.rename(tmp_path / "best.ckpt")
    try:
        with pytest.raises(UserError, match=r"no checkpoint .* has no weights unless it was expor"):
            write_weights(tmp_path / "x", folder, run.run_id, folder)
    finally:
        (tmp_path / "best.ckpt").rename(best)
    assert not (tmp_path / "x").exists()


def changed(made: Made, folder: Path, **values: object) -> Path:
    """The file with other values on its card; those that are None are gone."""
    content = made[2].read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    card = json.loads(header["__metadata__"]["card"]) | values
    card = {key: value for key, value in card.items() if value is not None}
    path = folder / "changed.safetensors"
    path.write_bytes(save(load(content), {"card": json.dumps(card)}))
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *itertools.product(["config", "layout", "class_names"], [None, 1, {}, [], "x"]),
        ("origin_applied", None),  # of other values nothing of a digit hangs on it
    ],
)
@pytest.mark.few(5)
def test_cards_of_nonsense(made: Made, tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(UserError, match="does not hold weights of this program, or is damaged"):
        load_network(changed(made, tmp_path, **{key: value}))


def test_weights_of_another_network(made: Made, tmp_path: Path) -> None:
    state = load(made[2].read_bytes())
    card = {"card": json.dumps(load_network(made[2])[1])}
    others = {
        "fewer": dict(list(state.items())[1:]),
        "wider": {**state, "classifier.weight": torch.zeros(10, 5)},
        "not finite": {**state, "classifier.bias": torch.full((10,), torch.nan)},
        "double": {name: value.double() for name, value in state.items()},
    }
    path = tmp_path / "others.safetensors"
    for tensors in others.values():
        path.write_bytes(save(tensors, card))
        with pytest.raises(UserError, match="does not hold weights"):
            load_network(path)
    with pytest.raises(UserError, match="There are no weights at"):
        load_network(tmp_path / "nothing")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files(made: Made, tmp_path: Path, data) -> None:
    content = bytearray(made[2].read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load_network(path)
    except UserError as error:
        assert "does not hold weights" in str(error)  # noqa: PT017  (some changes are harmless)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.few(1)
def test_frames_of_a_data_set_are_classified_as_they_were_tested(
    tmp_path: Path, precision: str
) -> None:
    said = [
        "model=eleatt_gru", "model.hidden_size=4", "model.dropout=0.5", "trainer.max_epochs=1",
        f"trainer.precision={precision}", "trainer.num_threads=1", "data.limit=64",
        "data.transforms.resample=5", f"data_dir={tmp_path}", f"runs_dir={tmp_path}",
    ]  # fmt: skip
    run, record = train(config := compose_config(said), said)
    write_weights(tmp_path / "weights", tmp_path, run.run_id, tmp_path)
    network, card = load_network(tmp_path / "weights")
    store = labelled(catalog.open_store(tmp_path, "digits"), "fixed")
    found = read_predictions(run)
    assert found is not None
    at = {name.encode(): position for position, name in enumerate(store.names)}
    frames = torch.from_numpy(np.stack([store.sequence(at[name]) for name in found.names]))
    lengths = torch.full((len(frames),), frames.shape[1])
    with torch.inference_mode():
        logits = network.classify(frames, lengths)
    assert logits.float().numpy() == pytest.approx(found.logits, rel=1e-5, abs=1e-5)
    assert retest(network, card, store) == pytest.approx(record["metrics"]["test"], rel=1e-6)
    (attended,) = attention_to(config, store, run, [at[found.names[0]]], 0)
    assert attended.predicted == found.logits[0].argmax()
    with torch.inference_mode(), network.autocast():
        *_, (expected,) = network.recurrent(
            torch.from_numpy(attended.inputs)[None], return_attention=True
        )
    assert torch.equal(expected[0], torch.from_numpy(attended.attention))


WEIGHTS = Path(__file__).resolve().parents[2] / "results" / "weights"


def test_a_skeleton_goes_through_the_transforms_but_for_augmentation() -> None:
    (path,) = WEIGHTS.glob("nucla-eleatt_gru-*")
    network, card = load_network(path)
    joints = len(card["layout"]["joints"])
    frames, lengths = torch.randn(3, 50, joints, 3), torch.tensor([50, 7, 31])
    padding = torch.arange(50) >= lengths[:, None]
    frames[padding] = 0
    logits = network.classify(frames.flatten(2), lengths)
    assert torch.equal(network.classify(frames.flatten(2), lengths), logits)
    moved = frames + torch.tensor([1.0, 2.0, 3.0])  # the origin goes along
    moved[padding] = 0
    found = network.classify(moved.flatten(2), lengths)
    torch.testing.assert_close(found, logits, rtol=0, atol=1e-3)
    network.train()
    network.dropout.eval()
    network.recurrent.eval()
    torch.testing.assert_close(network.classify(frames.flatten(2), lengths), logits)
    assert network.training


def test_a_loaded_network_can_be_trained_on(made: Made, tmp_path: Path) -> None:
    config = load_network(made[2])[1]["config"]
    config["model"]["dropout"] = 0.5
    network, _ = load_network(changed(made, tmp_path, config=config))
    store = catalog.open_store(made[0], "digits")
    frames = torch.from_numpy(np.stack([store.sequence(n) for n in range(128)]))
    lengths, labels = torch.full((128,), frames.shape[1]), torch.from_numpy(store.labels[:128])
    before = F.cross_entropy(network(frames, lengths), labels)
    network.train()
    assert network.recurrent.dropout == 0.5  # for whoever takes the layers home
    assert not torch.equal(network(frames, lengths), network(frames, lengths))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    F.cross_entropy(network(frames, lengths), labels).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.any(), name
    optimizer.step()
    network.eval()
    assert F.cross_entropy(network(frames, lengths), labels) < before


def test_a_step_of_a_run_leaves_no_samples_behind(made: Made) -> None:
    network, card = load_network(made[2])
    store = labelled(catalog.open_store(made[0], "digits"), "fixed")
    data = SequenceDataModule(card["config"]["data"], store, 0)
    network.trainer = SimpleNamespace(world_size=1, accumulate_grad_batches=1)  # type: ignore[assignment]
    network.train()
    network.training_step(next(iter(data.train_dataloader())), 0)
    assert network.dropout._keys is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_in_another_dtype(made: Made, dtype: torch.dtype) -> None:
    """Also where a module around it was converted, of which Lightning hears nothing."""
    network, _ = load_network(made[2])
    frames, lengths = torch.rand(3, 8, 8), torch.tensor([8, 2, 5])
    expected = network(frames, lengths)
    torch.nn.ModuleList([network]).to(dtype)
    found = network(frames, lengths)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("sequence", ["pixels", "permuted_pixels"])
def test_of_images_the_network_orders_the_pixels_itself(made: Made, sequence: str) -> None:
    folder, *_ = made
    said = [f"data.sequence={sequence}", "model.hidden_size=4", "trainer.num_threads=1"]
    store = catalog.open_store(folder, "digits")
    data, network = build(compose_config(said), store)
    network.eval()
    batch = next(iter(data.predict_dataloader()))
    images = torch.from_numpy(store.frames.reshape(-1, 8, 8)[batch.indices])
    with torch.inference_mode():
        expected, _ = network.predict_step(batch, 0)
        found = network.classify(images, torch.full((len(images),), 8))
    torch.testing.assert_close(found, expected)
