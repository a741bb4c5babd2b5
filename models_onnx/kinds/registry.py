"""The kinds that there are: every module of this folder with an attribute `KIND`."""

from __future__ import annotations

from cva_sql.models_onnx import kinds
from cva_sql.models_onnx.declared import declared
from cva_sql.models_onnx.kinds.contract import Kind
from cva_sql.udfs.kinds import NAME
from cva_sql.udfs.register import FUNCTIONS
from cva_sql.udfs.sessions import VALUE

FOLDERS = {"encoder"}  # of the models' folder that are no kind's


def all_kinds() -> list[Kind]:
    """The value model first, the others by name; raises ValueError for a name that is taken."""
    found: list[Kind] = declared(kinds, "KIND")
    names = [kind.name for kind in found]
    for name in names:
        is_taken = names.count(name) > 1 or name in FOLDERS or f"cva_{name}" in FUNCTIONS
        if is_taken or not NAME.fullmatch(name):
            raise ValueError(f"a kind cannot be called {name}: taken, or not of a-z, 0-9 and _")
    return sorted(found, key=lambda kind: (kind.name != VALUE, kind.name))


def other_kinds() -> list[Kind]:
    """All but the value model."""
    return [kind for kind in all_kinds() if kind.name != VALUE]
