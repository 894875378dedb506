"""A checkpoint of nonsense is not used, whoever made it; one of the run's own always is."""

from __future__ import annotations

import copy
import io
import json
import math
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from eleatt_bench.cli import main
from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.attention import attention_to
from eleatt_bench.training.checkpoints import load_checkpoint
from eleatt_bench.training.expected import training_of
from eleatt_bench.training.fit import build
from eleatt_bench.training.folder import reopen
from eleatt_bench.training.run import evaluate, train

State = dict[str, Any]
OPTIONS = ["data.limit=120", "scheduler=plateau"]


def expected(config: Any) -> Any:
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    data, classifier = build(config, store)
    return training_of(classifier, math.ceil(len(data.split.train) / config["data"]["batch_size"]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """A run of three epochs, and its configuration."""
    folder = tmp_path_factory.mktemp("trained")
    config = compose_config(
        ["experiment=digits", "trainer.max_epochs=3", "model.hidden_size=8", *OPTIONS,
         "trainer.num_threads=1", f"data_dir={folder}", f"runs_dir={folder}"]
    )  # fmt: skip
    run, _ = train(config, [])
    return run, config


def first(values: State) -> str:
    return next(iter(values))


def other_shape(state: State) -> None:
    name = first(state["model"])
    state["model"][name] = state["model"][name][:-1]


def other_dtype(state: State) -> None:
    state["model"] = {name: value.double() for name, value in state["model"].items()}


def missing(state: State) -> None:
    del state["model"][first(state["model"])]


def added(state: State) -> None:
    state["model"]["more"] = torch.zeros(1)


def not_a_number(state: State) -> None:
    state["model"][first(state["model"])].view(-1)[0] = math.nan


def expanded(state: State) -> None:
    name = first(state["model"])
    state["model"][name] = torch.zeros(1).expand(state["model"][name].shape)


def sparse(state: State) -> None:
    name = first(state["model"])
    state["model"][name] = state["model"][name].to_sparse()


def no_weights(state: State) -> None:
    state["model"] = list(state["model"])


def renumber(epoch: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        state["epoch"] = epoch
        state["last"] = {**state["last"], "epoch": epoch}
        if type(epoch) is int and epoch >= 0:
            state["backends"] = [["native", epoch + 1]]

    change.__name__ = f"epoch {epoch!r}"
    return change


def best_later(state: State) -> None:
    state["best"] = {**state["best"], "epoch": 9}


def best_worse(state: State) -> None:
    state["best"] = copy.deepcopy(state["best"])
    state["best"]["metrics"]["val/accuracy"] = -1.0


def last_of_another(state: State) -> None:
    state["last"] = {**state["last"], "epoch": 0}


def no_metrics(state: State) -> None:
    state["last"] = {**state["last"], "metrics": {}}


def empty_optimizer(state: State) -> None:
    state["optimizer"]["state"] = {}


def no_optimizer(state: State) -> None:
    state["optimizer"] = None


def no_groups(state: State) -> None:
    state["optimizer"]["param_groups"] = []


def half_of_the_optimizer(state: State) -> None:
    del state["optimizer"]["state"][0]


def optimizer_of_another_network(state: State) -> None:
    state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)


def optimizer_of_another_class(state: State) -> None:
    for entries in state["optimizer"]["state"].values():
        entries.clear()
        entries["momentum_buffer"] = torch.zeros(1)


def optimizer_that_did_less(state: State) -> None:
    for entries in state["optimizer"]["state"].values():
        entries["step"] -= 1


def optimizer_not_finite(state: State) -> None:
    state["optimizer"]["state"][0]["exp_avg_sq"].view(-1)[0] = math.inf


def other_scheduler(state: State) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    state["scheduler"] = torch.optim.lr_scheduler.StepLR(optimizer, 1).state_dict()


def no_scheduler(state: State) -> None:
    state["scheduler"] = None


def other_backends(state: State) -> None:
    state["backends"] = [["native", 7]]


def something_else(state: State) -> None:
    state["more"] = 1


NONSENSE = [
    other_shape, other_dtype, missing, added, not_a_number, expanded, sparse, no_weights,
    *map(renumber, (10**9, -1, 1, 3, 2.0, True, None, "2")), best_later, best_worse,
    last_of_another, no_metrics, empty_optimizer, no_optimizer, no_groups, half_of_the_optimizer,
    optimizer_of_another_network, optimizer_of_another_class, optimizer_that_did_less,
    optimizer_not_finite, other_scheduler, no_scheduler, other_backends, something_else,
]  # fmt: skip


def changed(path: Path, change: Callable[[State], None], out: Path) -> None:
    state = torch.load(path, weights_only=True)
    change(state)
    out.unlink(missing_ok=True)
    torch.save(state, out)


@pytest.mark.parametrize("change", NONSENSE, ids=lambda change: change.__name__)
@pytest.mark.few(6)
def test_nonsense_is_refused_in_a_sentence(trained, tmp_path: Path, change) -> None:
    run, config = trained
    changed(run.checkpoints / "last.ckpt", lambda state: None, tmp_path / "same.ckpt")
    load_checkpoint(tmp_path / "same.ckpt", expected(config))
    changed(run.checkpoints / "last.ckpt", change, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read \(.+\)\. Train again with"):
        load_checkpoint(tmp_path / "last.ckpt", expected(config))


def test_an_archive_that_would_unpack_to_much_more_is_not_unpacked(trained, tmp_path) -> None:
    path = tmp_path / "best.ckpt"
    with (
        zipfile.ZipFile(trained[0].checkpoints / "best.ckpt") as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in whole.namelist():
            content = whole.read(part)
            archive.writestr(part, bytes(1 << 25) if part.endswith("data/0") else content)
    began = time.process_time()
    with pytest.raises(UserError, match="would unpack to more than its size"):
        load_checkpoint(path)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("change", [renumber(10**9), empty_optimizer], ids=["epoch", "optimizer"])
def test_a_run_goes_on_from_the_one_before(short_config, change) -> None:
    config = short_config(*OPTIONS)
    run, record = train(config, [])
    run.record.unlink()
    last, previous = (run.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
    changed(last, change, last)
    _, again = train(config, [])
    assert again["timing"]["resumed_after_epoch"] == 2
    assert "last.ckpt is damaged: continuing from the" in run.log.read_text(encoding="utf-8")
    for key in ("metrics", "epochs", "best_epoch", "backends"):
        assert again[key] == record[key]
    run.record.unlink()
    for path in (last, previous):
        changed(path, change, path)
    with pytest.raises(UserError, match=r"cannot be read .* Train again with force=true"):
        train(config, [])
    assert (run.read() or {})["status"] == "failed"


def test_eval_and_attention_refuse_it_too(trained, tmp_path: Path) -> None:
    run, config = trained
    name, places = run.run_id, [f"data_dir={config['data_dir']}", f"runs_dir={tmp_path}"]
    for kept, change, says in (
        ("best", other_shape, "of another network"),
        ("best", not_a_number, "not finite"),
        ("last", lambda state: state.update(torch_of(run, "previous")), "it is of epoch 2"),
    ):
        folder = RunFolder(tmp_path, name)
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        for file in (run.record, run.config, run.predictions):
            (folder.path / file.name).write_bytes(file.read_bytes())
        changed(run.checkpoints / f"{kept}.ckpt", change, folder.checkpoints / f"{kept}.ckpt")
        asked = compose_config([f"run={name}", f"checkpoint={kept}", *places], "eval")
        with pytest.raises(UserError, match=f"cannot be read .*{says}"):
            evaluate(asked)
        if kept == "best":
            with pytest.raises(UserError, match=f"cannot be read .*{says}"):
                attention_to(*reopened(folder, config), folder, [0], 0)


def test_eval_says_when_weights_are_not_those_of_the_record(
    trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, config = trained
    folder = RunFolder(tmp_path, run.run_id)
    folder.checkpoints.mkdir(parents=True)
    for file in (run.record, run.config, run.predictions):
        (folder.path / file.name).write_bytes(file.read_bytes())
    for kept in ("best", "last"):
        changed(run.checkpoints / f"{kept}.ckpt", zeros, folder.checkpoints / f"{kept}.ckpt")
    said = f"; its record has test accuracy {run.read()['metrics']['test']['accuracy']:.2%}"
    places = [f"data_dir={config['data_dir']}", f"runs_dir={tmp_path}"]
    for kept, expected_end in (("best", said), ("last", "")):
        assert main(["eval", f"run={run.run_id}", f"checkpoint={kept}", *places]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        found = json.loads((folder.path / f"eval-{kept}.json").read_text())["metrics"]["test"]
        assert line.endswith(f"test accuracy {found['accuracy']:.2%}{expected_end}")
    places[1] = f"runs_dir={run.path.parent}"
    assert main(["eval", f"run={run.run_id}", *places]) == 0
    assert "its record has" not in capsys.readouterr().out


def zeros(state: State) -> None:
    """Weights that are sound, and of no training."""
    for value in state["model"].values():
        value.zero_()


def torch_of(run: RunFolder, name: str) -> State:
    state: State = torch.load(run.checkpoints / f"{name}.ckpt", weights_only=True)
    return state


def reopened(folder: RunFolder, config: Any) -> tuple[Any, Any]:
    _, own, store = reopen(folder.path.parent, folder.run_id, Path(config["data_dir"]))
    return own, store


@pytest.mark.parametrize(
    "options",
    [
        ["scheduler=none"],
        *(pytest.param(options, marks=pytest.mark.slow) for options in (
        ["trainer.precision=64-true"],
        ["optimizer._target_=torch.optim.SGD", "scheduler=plateau"],
        ["optimizer._target_=torch.optim.RMSprop", "trainer.precision=bf16-mixed"],
        ["optimizer._target_=torch.optim.AdamW", "+optimizer.options.amsgrad=true",
         "scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingWarmRestarts",
         "+scheduler.options.T_0=2"],
        ["optimizer._target_=torch.optim.NAdam",
         "scheduler._target_=torch.optim.lr_scheduler.MultiStepLR",
         "+scheduler.options.milestones=[1,2]"],
        ["optimizer._target_=torch.optim.ASGD",
         "scheduler._target_=torch.optim.lr_scheduler.OneCycleLR",
         "+scheduler.options.max_lr=0.1", "+scheduler.options.total_steps=9",
         "+scheduler.options.cycle_momentum=false"],
        ["optimizer._target_=torch.optim.Adafactor", "data.batch_size=50"],
        )),
    ],
)  # fmt: skip
def test_what_a_run_wrote_itself_is_what_is_expected(short_config, options: list[str]) -> None:
    config = short_config("data.limit=120", *options)
    run, record = train(config, [])
    run.record.unlink()
    (run.checkpoints / "previous.ckpt").replace(run.checkpoints / "last.ckpt")
    _, again = train(config, [])
    assert again["timing"]["resumed_after_epoch"] == 2
    assert again["metrics"] == record["metrics"]


def test_the_backends_of_a_run_are_told_epoch_by_epoch(short_config) -> None:
    run, record = train(short_config(*OPTIONS), [])
    own = record["backend"]
    assert record["backends"] == [[own, 3]]
    run.record.unlink()
    last, previous = (run.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
    previous.replace(last)
    _, other = train(short_config(*OPTIONS, "model.backend=equations"), [])
    assert other["backends"] == [[own, 2], ["equations", 1]]
    assert other["backend"] == "equations"

    run.record.unlink()
    changed(previous, lambda state: state.pop("backends"), last)  # as earlier versions wrote it
    _, again = train(short_config(*OPTIONS), [])
    assert again["backends"] == [["unknown", 2], [own, 1]]


@pytest.mark.slow
def test_the_time_of_a_continued_run_is_that_of_all_its_processes(short_config) -> None:
    def seconds(*values: float) -> None:
        """Let the first epochs have taken so long."""
        lines = run.epochs.read_text(encoding="utf-8").splitlines()
        for number, value in enumerate(values, start=1):
            lines[number] = f"{lines[number].rpartition(',')[0]},{value}"
        run.epochs.write_text("\n".join([*lines, ""]), encoding="utf-8")

    run, record = train(short_config(*OPTIONS), [])
    ((here, _),) = record["devices"]
    assert here.startswith(f"{record['device']}, ")
    last, previous = (run.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
    run.record.unlink()
    seconds(100.0, 200.0)
    previous.replace(last)
    _, again = train(short_config(*OPTIONS), [])
    assert again["timing"]["seconds_per_epoch"] == 100, "the median of three"
    assert 300 < again["timing"]["seconds"] < 400
    assert again["devices"] == [[here, 3]]

    run.record.unlink()
    changed(previous, lambda state: state.update(devices=[["another", 1], [here, 1]]), last)
    _, again = train(short_config(*OPTIONS), [])
    assert 100 < again["timing"]["seconds_per_epoch"] < 101, "of two that this machine did"
    assert again["devices"] == [["another", 1], [here, 2]]

    run.record.unlink()
    previous.replace(last)
    _, again = train(short_config(*OPTIONS, "model.backend=equations"), [])
    assert again["backends"] == [[record["backend"], 2], ["equations", 1]]
    assert again["timing"]["seconds_per_epoch"] < 50, "the one that this backend did"


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(io.BytesIO(b"PK\x05\x06" + bytes(18)).getvalue())
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read"):
        load_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["trainer.precision=16-mixed", "+optimizer.options.fused=true"], "fused=true .* scaled"),
        (["+optimizer.options.capturable=true"], "capturable=true .* CUDA graphs.*: leave it out"),
        (["+optimizer.options.differentiable=true"], "differentiable=true .*: leave it out"),
    ],
)
@pytest.mark.few(1)
def test_a_step_that_no_training_can_do_is_refused(short_config, options, says: str) -> None:
    config = short_config("optimizer=adam", *options)
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    with pytest.raises(UserError, match=f"optimizer.options: {says}"):
        build(config, store)[1].configure_optimizers()


def test_a_fused_step_in_other_precisions_is_the_users(short_config) -> None:
    config = short_config("quick=true", "optimizer=adam", "+optimizer.options.fused=true")
    assert train(config, [])[1]["status"] == "finished"
