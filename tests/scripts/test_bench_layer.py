"""The benchmark measures what it says and refuses a wrong layer; the page has its numbers."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from eleatt_bench.nn import native
from eleatt_bench.nn.backends import FUNCTIONS

from .conftest import SCRIPTS, rows_of, run

QUICK = ["--shapes", "5,6,3,4", "6,5,3,4r", "--rounds", "3", "--seconds", "1"]


@pytest.fixture
def bench_layer(monkeypatch) -> ModuleType:
    """The script as a module, which finds the scripts beside it."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("bench_layer")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "here.csv"
    said = run("bench_layer.py", *QUICK, "--only", "GRU", "RNN sigmoid", "--csv", str(path))
    assert "6,5,3,4,1r float32: inference" in said
    return path


@pytest.mark.slow
def test_every_contender_in_every_mode_has_a_row(measured: Path) -> None:
    rows = rows_of(measured)
    keys = [(r["cell"], r["gate"], r["backend"], r["mode"], r["ragged"]) for r in rows]
    assert len(set(keys)) == len(keys)
    for mode in ("train", "train, first layer", "inference"):
        for ragged in ("False", "True"):
            assert ("GRU", "torch", "torch", mode, ragged) in keys
            for backend in ("equations", "scan", "native"):
                assert ("GRU reset_after", "none", backend, mode, ragged) in keys
                assert ("RNN", "sigmoid", backend, mode, ragged) in keys
    for row in rows:
        times = [float(row[f"seconds_{q}"]) for q in ("q1", "median", "q3")]
        assert 0 < times[0] <= times[1] <= times[2]
        assert 0 <= float(row["error"]) < 1e-4
        assert row["precision"] == "float32"
        assert 0 < float(row["frames"]) <= 1
        if row["gate"] == "torch":
            assert float(row["ratio_median"]) == 1


@pytest.mark.slow
def test_the_page_is_made_of_the_numbers(measured: Path) -> None:
    (measured.parent / "notes.md").write_text("## By hand\n")
    page = run("performance_page.py", str(measured))
    (row,) = (
        r for r in rows_of(measured)
        if (r["cell"], r["gate"], r["backend"]) == ("RNN", "sigmoid", "native")
        and (r["mode"], r["ragged"]) == ("train", "False")
    )  # fmt: skip
    full, _ = re.findall(r"^\| EleAtt-RNN \| native \| .*", page, re.MULTILINE)
    assert full.startswith(f"| EleAtt-RNN | native | {float(row['ratio_median']):.2f} |")
    assert "### Over torch's, ragged batches, float32\n" in page
    assert "ratios at (6, 5, 3, 4).\n" in page
    assert page.endswith("## By hand\n")


def test_figures_are_written_whole_or_not_at_all(bench_layer, tmp_path: Path) -> None:
    path = tmp_path / "new" / "here.csv"
    bench_layer.write_csv(path, [{"a": 1}, {"a": 2}])
    assert path.read_bytes() == b"a\r\n1\r\n2\r\n"
    with pytest.raises(ValueError, match="not in fieldnames"):
        bench_layer.write_csv(path, [{"a": 3}, {"b": 4}])
    assert path.read_bytes() == b"a\r\n1\r\n2\r\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_wrong_layer_is_not_timed(bench_layer, tmp_path: Path, monkeypatch) -> None:
    right = native.run

    def wrong(*given, **options):
        output, state, attention = right(*given, **options)
        return output * 1.01, state, attention

    monkeypatch.setitem(FUNCTIONS, "native", wrong)
    monkeypatch.setattr(bench_layer, "keep_memory", lambda: None)  # it would, for other tests
    monkeypatch.setattr(sys, "argv", ["bench_layer.py", *QUICK, "--csv", str(tmp_path / "no.csv")])
    with pytest.raises(SystemExit, match="native is wrong at"):
        bench_layer.main()
    assert not (tmp_path / "no.csv").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(sys.prefix) / "include/oneapi/dnnl/dnnl.hpp").exists(),
    reason="oneDNN is not installed: make bench does that",
)
def test_onednns_layers_take_part_where_every_sequence_is_as_long(tmp_path: Path) -> None:
    path = tmp_path / "here.csv"
    run(
        "bench_layer.py", *QUICK, "--onednn", "--threads", "1", "--only", "native",
        "--csv", str(path),
    )  # fmt: skip
    rows = rows_of(path)
    theirs = [row for row in rows if row["backend"] == "oneDNN"]
    assert {row["cell"] for row in theirs} == {"GRU", "GRU reset_after", "LSTM", "RNN"}
    assert {row["ragged"] for row in theirs} == {"False"}
    for row in theirs:
        assert 0 < float(row["error"]) < 1e-4
        assert float(row["onednn_ratio_median"]) == 1
    for row in rows:
        assert bool(row["onednn_ratio_median"]) == (row["ragged"] == "False") or (
            row["gate"] == "torch"  # which comes before them in a round
        )
    page = run("performance_page.py", str(path))
    assert "on 1 thread, and what was reached: `native` over oneDNN's" in page
    assert "| oneDNN's GRU, `reset_after` | oneDNN |" in page


def test_without_onednn_it_is_said_how_to_get_it(bench_layer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(bench_layer, "keep_memory", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bench_layer.py", *QUICK, "--onednn"])
    importlib.import_module("bench_onednn").library.cache_clear()
    with pytest.raises(SystemExit, match="pip install onednn-cpu-gomp onednn-devel-cpu-gomp"):
        bench_layer.main()


def test_quartiles_are_numpys(bench_layer) -> None:
    values = np.random.default_rng().normal(size=17).tolist()
    found = bench_layer.quartiles(values)
    np.testing.assert_allclose(
        [found["q1"], found["median"], found["q3"]], np.quantile(values, [0.25, 0.5, 0.75])
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.slow
def test_peak_memory_counts_the_arrays_of_a_step() -> None:
    """An RNN's step at this size holds at least its output and the gradient of its input."""
    peak = int(run("bench_memory.py", "RNN", "none", "native", "400,100,100,100"))
    one = 400 * 100 * 100 * 4
    assert 1.5 * one < peak < 12 * one


def test_a_precision_of_another_device_is_refused(bench_layer, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_layer.py", "--precisions", "tf32"])
    with pytest.raises(SystemExit, match="2"):
        bench_layer.main()
    assert "on cpu precision is one of float32" in capsys.readouterr().err


@pytest.mark.gpu
def test_every_contender_of_a_gpu_in_every_precision(tmp_path: Path) -> None:
    path = tmp_path / "gpu.csv"
    run("bench_layer.py", *QUICK, "--device", "cuda", "--csv", str(path))
    rows = rows_of(path)
    assert {r["precision"] for r in rows} == {"tf32", "ieee", "bf16"}
    assert {r["backend"] for r in rows if r["precision"] == "tf32" and r["ragged"] == "False"} == {
        "torch", "equations", "scan", "scan, CUDA graph", "triton", "triton, CUDA graph"
    }  # fmt: skip
