"""The tables of ``configs/table/``: the paper's numbers, rows that are what their names say."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from eleatt_bench.common.literal import merge
from eleatt_bench.common.locations import config_dir
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import options
from eleatt_bench.tables.spec import cells_of, check_spec, declared, folds_of
from eleatt_bench.tables.statistics import LEAST_SEEDS

NAMES = [
    *("digits", "fig2", "gesture", "mnist", "nucla", "paper", "table1", "table2", "table3"),
    *("table4", "table5", "table6", "table7"),
]
OWN = [name for name in NAMES if name != "paper"]
BOTH = ("cross_subject", "cross_view")

PAPER: dict[str, dict[str, tuple[float | None, ...]]] = {
    "fig2": {
        "3-GRU": (75.2, 81.5), "1-EleAtt-GRU+2-GRU": (78.7, 84.9),
        "2-EleAtt-GRU+1-GRU": (79.2, 86.4), "3-EleAtt-GRU": (79.8, 87.1),
    },
    "table1": {
        "Baseline-GRU": (61.3, 66.8, 60.6, 59.2, 62.9, 60.9),
        "EleAtt-GRU": (63.3, 70.6, 64.5, 59.2, 65.0, 62.9),
    },
    "table2": {
        "1-sRNN": (51.6, 57.6), "1-EleAtt-sRNN": (61.6, 67.2), "3-LSTM": (77.2, 83.0),
        "3-EleAtt-LSTM": (78.4, 85.0), "3-GRU": (75.2, 81.5), "3-EleAtt-GRU": (79.8, 87.1),
        "3-sRNN": (33.6, 42.8),
    },
    "table3": {
        "Skeleton Quads": (38.6, 41.4), "Lie Group": (50.1, 52.8),
        "Dynamic Skeletons": (60.2, 65.2), "HBRNN-L": (59.1, 64.0),
        "Part-aware LSTM": (62.9, 70.3), "ST-LSTM+Trust Gate": (69.2, 77.7),
        "STA-LSTM": (73.4, 81.2), "GCA-LSTM": (74.4, 82.8), "URNN-2L-T": (74.6, 83.2),
        "Clips+CNN+MTLN": (79.6, 84.8), "VA-LSTM": (79.4, 87.2), "Baseline-GRU": (75.2, 81.5),
        "EleAtt-GRU": (79.8, 87.1), "EleAtt-GRU(aug.)": (80.7, 88.4),
    },
    "table4": {
        "HOJ3D": (54.5, None), "AE": (76.0, None), "VA-LSTM": (70.7, None),
        "HBRNN-L": (78.5, None), "Baseline-GRU": (84.3, None), "EleAtt-GRU": (89.0, None),
        "EleAtt-GRU(aug.)": (90.7, None),
    },
    "table5": {
        "LAFF": (54.2, None), "DS": (75.5, 76.9), "ST-LSTM": (76.5, None),
        "VA-LSTM": (76.9, 77.5), "Baseline-GRU": (82.1, 82.1), "EleAtt-GRU": (84.9, 84.5),
        "EleAtt-GRU(aug.)": (85.7, 85.7),
    },
    "table6": {
        "baseline": (75.2, 81.5),
        "layer 1, sum to 1": (75.0, 83.7), "layer 2, sum to 1": (72.7, 79.1),
        "layer 3, sum to 1": (72.0, 78.8),
        "layer 1, free": (78.7, 84.9), "layer 2, free": (77.3, 83.5),
        "layer 3, free": (76.4, 82.5),
    },
    "table7": {
        "2-GRU(100)": (75.5, 81.4), "2-GRU(128)": (75.8, 81.7), "3-GRU(100)": (75.2, 81.5),
        "3-GRU(128)": (76.5, 81.3), "2-EleAtt-GRU(100)": (78.6, 85.5),
        "3-EleAtt-GRU(100)": (79.8, 87.1),
    },
    "nucla": {"EleAtt-GRU(aug.), pre-trained": (90.7, None), "AGC-LSTM": (93.3, None)},
    "mnist": {}, "gesture": {}, "digits": {},
}  # fmt: skip


@pytest.fixture
def spec_of(composer: Composer):
    def get(name: str) -> dict[str, Any]:
        return declared(composer.config([f"table={name}"])["table"])

    return get


def test_the_names_are_those_that_are_documented() -> None:
    assert options("table") == NAMES


@pytest.mark.parametrize("name", OWN)
def test_the_numbers_are_the_papers(spec_of, name: str) -> None:
    spec = spec_of(name)
    columns = [column["name"] for column in spec["columns"]]
    found = {
        row["name"]: tuple(row["paper"].get(column) for column in columns)
        for row in (*spec["rows"], *spec["cited"])
        if row["paper"]
    }
    assert found == PAPER[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.few(4)
def test_a_table_opens_with_its_command_and_its_cost(composer, spec_of, name: str) -> None:
    path = config_dir() / "table" / f"{name}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    said = re.fullmatch(r"# Command: +(.*?) +\(or: make (\w+)(?: ARGS=(.*))?\)", lines[0])
    assert said is not None
    program, verb, table, *overrides = shlex.split(said[1])
    assert (program, verb, table) == ("eleatt-bench", "reproduce", name)
    assert said[2] == name
    (in_make,) = shlex.split(said[3] or "''")  # one word of the shell's, of several for the program
    assert shlex.split(in_make) == overrides
    assert lines[1].startswith("# Cost: ")
    assert composer.config([f"table={name}", *overrides])["table"]["name"] == name


def test_the_paper_is_all_tables(spec_of) -> None:
    assert sorted(spec_of("paper")["tables"]) == OWN


@pytest.mark.parametrize("name", OWN)
@pytest.mark.few(2)
def test_every_row_is_what_its_name_says(composer, spec_of, name: str) -> None:
    spec = spec_of(name)
    check_spec(spec)
    assert all(column["looks"][0] >= LEAST_SEEDS for column in spec["columns"])
    assert spec["claims"]
    configs: dict[str, list[str]] = {}
    for section, row, column in cells_of(spec):
        if row["ensemble"]:  # it has no runs of its own
            continue
        said = merge(spec["overrides"], column["overrides"], section["overrides"], row["overrides"])
        config = composer.config(said)
        check_model(row["name"], config["model"])
        assert ("(aug.)" in row["name"]) == has_rotation(config["data"]["transforms"])
        assert (config["pretraining"] is not None) == ("pre-trained" in section["name"])
        assert folds_of(column, config["data"])
        same = {**config, "data": {**config["data"], "fold": folds_of(column, config["data"])}}
        configs.setdefault(f"{section['name']}, {column['name']}", []).append(repr(same))
    for runs in configs.values():  # no two rows of a column are the same run
        own = [row for row in spec["rows"] if not row["ensemble"]]
        assert len(set(runs)) == len(runs) == len(own)


def check_model(name: str, model: dict[str, Any]) -> None:
    gated = 0 if model["gate"] is None else len(model["gated_layers"] or range(model["num_layers"]))
    if name.startswith(("layer", "baseline")):  # table 6
        gate = {"sum to 1": "softmax", "free": "sigmoid"}.get(name.rpartition(", ")[2])
        layers = [int(name[6]) - 1] if gate else None
        assert (model["cell"], model["gate"], model["gated_layers"]) == ("gru", gate, layers)
        return
    assert model["cell"] == re.search("s?(rnn|lstm|gru)", name.lower())[1]  # type: ignore[index]
    parts = re.findall(r"(\d)-(EleAtt-)?", name)
    if parts:
        assert model["num_layers"] == sum(int(layers) for layers, _ in parts)
        assert gated == sum(int(layers) for layers, gate in parts if gate)
    else:
        assert gated == (model["num_layers"] if "EleAtt" in name else 0)
    size = re.search(r"\((\d+)\)", name)
    if size:
        assert model["hidden_size"] == int(size[1])


def has_rotation(transforms: dict[str, Any]) -> bool:
    return bool(repr(transforms["rotation"]).count("35"))


@pytest.mark.parametrize("name", ["table4", "nucla"])
def test_tables_of_n_ucla_show_both_test_accuracies_and_say_why(spec_of, name: str) -> None:
    spec = spec_of(name)
    assert {column["name"]: column["metric"] for column in spec["columns"]} == {
        "cross_view": "accuracy", "cross_view_clean": "accuracy_clean",
    }  # fmt: skip
    assert "464" in spec["notes"][0]
    assert "369" in spec["notes"][0]
    assert [column["looks"] for column in spec["columns"]] == [[5, 10, 20]] * 2


@pytest.mark.parametrize("name", ["table4", "table5"])
def test_sections_from_scratch_and_pre_trained(spec_of, name: str) -> None:
    scratch, pretrained = spec_of(name)["sections"]
    assert (scratch["name"], scratch["overrides"]) == ("from scratch", [])
    assert "with pre-training on NTU RGB+D" in scratch["paper_note"]
    assert (scratch["in_paper"], pretrained["in_paper"]) == (False, True)
    assert pretrained["name"] == "pre-trained on NTU RGB+D"
    assert pretrained["overrides"] == ["pretraining=ntu_v1"]
    assert pretrained["paper_note"] == ""


def test_folds_are_averaged_as_the_paper_does(spec_of) -> None:
    def folds(name: str) -> dict[str, Any]:
        return {c["name"]: c["folds"] for c in spec_of(name)["columns"] if c["folds"] is not None}

    assert folds("table5") == {"cross_subject": "all", "same_subject": "all"}
    assert folds("table1") == {"jhmdb_1": [0], "jhmdb_2": [1], "jhmdb_3": [2], "jhmdb": "all"}
    assert folds("gesture") == {"dhg_14": "all", "dhg_28": "all"}


@pytest.mark.parametrize("name", ["mnist", "gesture"])
def test_tasks_of_the_journal_version_say_that_the_protocol_is_ours(spec_of, name: str) -> None:
    assert "the protocol is this project's" in spec_of(name)["notes"][0]


def test_the_columns_of_mnist_are_its_three_sequences(composer, spec_of) -> None:
    columns = spec_of("mnist")["columns"]
    sequences = [composer.config(column["overrides"])["data"]["sequence"] for column in columns]
    assert sequences == ["frames", "permuted_pixels", "pixels"]
