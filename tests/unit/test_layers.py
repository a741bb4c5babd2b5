"""Who may import whom: folders, rooms of the command line, and no module in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {  # folder -> what it may not import
    "udfs": {"models_onnx", "cli"},
    "models_onnx": {"cli"},
    "dbt_project": {"udfs", "models_onnx", "cli"},
    "cli": set[str](),
}
# The rooms of the command line: each may import those before it. What a shop is comes first, then
# the rooms that fill it, those that look at it, and last those that do what several others do.
ROOMS = (
    "shop",
    "readings",
    "presets",
    "load",
    "init",
    "sql",
    "report",
    "embed",
    "score",
    "explain",
    "run",
    "drift",
    "train",
    "finetune",
    "recommend",
    "evaluate",
    "check_features",
    "backfill",
    "audience",
    "publish",
    "models",
    "alerts",
    "person",
    "forget",
    "doctor",
    "demo",
    "start",
    "watch",
    "export_model",
    "app",
)


def name_of(path: Path) -> str:
    """The import name of a file; what users import lies in cli/public."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[:2] == ["cli", "public"]:
        parts = parts[2:]
    if parts and parts[-1] == "__init__":
        parts.pop()
    return ".".join(["cva_sql", *parts])


@cache
def modules() -> Mapping[str, Path]:
    return {name_of(path): path for d in FOLDERS for path in (ROOT / d).rglob("*.py")}


def statements(nodes: Iterable[ast.AST], *, is_lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that are run, with `is_lazy` those inside functions too."""
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if not is_for_types and (is_lazy or not is_function):
            yield from statements(ast.iter_child_nodes(node), is_lazy=is_lazy)


@cache
def imports(name: str, *, is_lazy: bool) -> frozenset[str]:
    """The modules of ours that a module imports."""
    found = set()
    body = ast.parse(modules()[name].read_text(encoding="utf-8")).body
    for node in statements(body, is_lazy=is_lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {n if n in modules() else node.module for n in inner}
    return frozenset(found & modules().keys())


def part(name: str, place: int) -> str:
    parts = name.split(".")
    return parts[place] if len(parts) > place else ""


def test_no_module_is_imported_in_a_circle() -> None:
    graph = {name: imports(name, is_lazy=False) for name in modules()}
    assert len(graph) > 100
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_folder_imports_none_above_it() -> None:
    upward = [
        f"{name} imports {other}"
        for name in modules()
        for other in imports(name, is_lazy=True)
        if part(other, 1) in FOLDERS.get(part(name, 1), set())
    ]
    assert upward == []


def test_a_room_imports_none_after_it() -> None:
    """Imports inside functions count: an order that holds only at start is none."""
    rooms = {part(name, 2) for name in modules() if part(name, 1) == "cli"} - {""}
    assert rooms == set(ROOMS)
    upward = [
        f"{name} imports {other}"
        for name in modules()
        if part(name, 1) == "cli" and part(name, 2)
        for other in imports(name, is_lazy=True)
        if part(other, 1) == "cli" and part(other, 2)
        if ROOMS.index(part(other, 2)) > ROOMS.index(part(name, 2))
    ]
    assert upward == []


def test_what_users_import_is_above_all_and_imported_by_none() -> None:
    public = {name_of(path) for path in (ROOT / "cli" / "public").glob("*.py")}
    assert "cva_sql.api" in public
    users = [
        f"{name} imports {other}"
        for name in modules().keys() - public
        for other in imports(name, is_lazy=True)
        if other in public
    ]
    assert users == []
