"""The wheel, installed where there is nothing else of this project."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("eleatt_bench-*.whl")
    return built


def install(folder: Path, *what: str) -> Path:
    """A new environment with ``what`` and, beneath, the libraries of this one; its programs."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", *what], check=True, env=libraries())
    return programs


def libraries() -> dict[str, str]:
    """An environment in which this interpreter's libraries can be imported, but not its .pth."""
    return {"PYTHONPATH": sysconfig.get_paths()["purelib"], "PATH": "/usr/bin:/bin"}


def run(program: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [program, *arguments], cwd=cwd, env=libraries(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_configs_the_plugin_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "configs").rglob("*.yaml"):
        assert f"eleatt_bench/configs/{path.relative_to(ROOT / 'configs')}" in names
    assert "hydra_plugins/eleatt_bench.py" in names
    assert "hydra_plugins/__init__.py" not in names
    assert "eleatt_bench/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "eleatt_bench",
        "hydra_plugins",
    }


@pytest.mark.parametrize("editable", [False, True])
def test_an_installed_package_works_in_an_empty_folder(
    wheel: Path, editable: bool, tmp_path: Path
) -> None:
    what = ["--editable", str(ROOT)] if editable else [str(wheel)]
    program = install(tmp_path / "venv", *what) / "eleatt-bench"
    empty = tmp_path / "empty"
    empty.mkdir()
    configs = "configs" if editable else "eleatt_bench/configs"
    assert configs in run(program, "doctor", cwd=empty)
    sweep = ["train", "-m", "experiment=digits", "trainer.max_epochs=1", "model=gru,lstm"]
    assert "2 done, 0 failed" in run(program, *sweep, cwd=empty)
    table = ["table", "digits", "trainer.max_epochs=1"]
    assert "2 of 18 runs are done" in run(program, *table, cwd=empty)
