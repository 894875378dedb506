"""The house: rooms on floors; an import goes down, never up, sideways or round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "eleatt_bench"

FLOORS = (
    {"nn", "common"},
    {"config", "data", "runs", "launch"},
    {"training", "tables"},
    {"sweeps", "report"},
    {"cli"},
    {"api", "__main__"},
)
"""From the ground up; docs/architecture.md says what each room is for."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, start=1) for room in rooms}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the name of every module of this package that ``path`` imports, ever."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name of the module"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                name = inner if inner in MODULES else str(node.module)
                if name in MODULES:
                    yield node.lineno, name


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_its_floor() -> None:
    rooms = {room_of(module) for module in MODULES}
    unplaced = sorted(rooms - FLOOR_OF.keys())
    assert not unplaced, (
        f"{unplaced} is no room of the plan: put the code into one of {sorted(FLOOR_OF)}, or give "
        "the new room a floor here and a line in docs/architecture.md"
    )
    assert rooms == FLOOR_OF.keys(), "a room of the plan is gone: take it out here and in docs/"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = room_of(module_of(path))
    for line, module in imports(path):
        other = room_of(module)
        assert other == own or FLOOR_OF[other] < FLOOR_OF[own], (
            f"{path}:{line}: {own} (floor {FLOOR_OF[own]}) imports {module} (floor "
            f"{FLOOR_OF[other]}). Move what both need to a room below {own}, or hand it in from "
            "above as an argument"
        )


def test_no_file_imports_itself_through_others() -> None:
    graph = {module_of(path): {name for _, name in imports(path)} for path in FILES}
    for module, needed in graph.items():
        # A package's own file may gather what its modules define.
        needed.discard(module)
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}; break it where one "
                    "of them needs the least of the other")  # fmt: skip


def test_no_name_is_used_for_many_files() -> None:
    names = [path.name for path in FILES if path.name != "__init__.py"]
    often = sorted({name for name in names if names.count(name) > 2})
    assert not often, f"{often} are three files or more: call them by what tells them apart"


def test_a_name_means_one_class() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    twice = {name: places for name, places in homes.items() if len(places) > 1}
    assert not twice, f"one name, several classes: {twice}"
