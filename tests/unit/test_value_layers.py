"""The rooms of `models_onnx` and `udfs`: who may import whom, and no module a cycle."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import cva_sql.models_onnx.value as value

ROOT = Path(__file__).parents[2]
PREFIX = "cva_sql."


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return PREFIX + ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_of(path): path
    for folder in ("udfs", "models_onnx")
    for path in (ROOT / folder).rglob("*.py")
}


def imports(path: Path, *, top_level: bool) -> set[str]:
    """Our modules that a module imports, wherever it does, or where it is loaded itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            # Either a module's names or, from a package, modules.
            inner = {f"{node.module}.{name.name}" for name in node.names}
            found |= (inner & set(MODULES)) or {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith(PREFIX)}
    return found


def test_the_run_time_imports_no_model_making_and_no_command_line() -> None:
    for module, path in MODULES.items():
        allowed = [f"{PREFIX}udfs"]
        if module.startswith(f"{PREFIX}models_onnx"):
            allowed.append(f"{PREFIX}models_onnx")
        wrong = {i for i in imports(path, top_level=False) if not i.startswith(tuple(allowed))}
        assert wrong == set(), module


def test_no_subpackage_of_the_value_model_imports_one_below_it_in_its_docstring() -> None:
    order = re.findall(r"^- `(\w+)`", value.__doc__ or "", re.MULTILINE)
    there = {
        path.stem for path in (ROOT / "models_onnx" / "value").iterdir() if path.stem[0] != "_"
    }
    assert sorted(order) == sorted(there)
    for module, path in MODULES.items():
        room = module.removeprefix(f"{value.__name__}.").split(".")[0]
        if room not in order:
            continue
        above = {*order[: order.index(room) + 1]}
        for imported in imports(path, top_level=False):
            if imported.startswith(f"{value.__name__}."):
                assert imported.removeprefix(f"{value.__name__}.").split(".")[0] in above, module


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: imports(path, top_level=True) for module, path in MODULES.items()}
    # A registry imports the package whose modules it reads later, and they import the contract.
    assert list(TopologicalSorter(graph).static_order())
