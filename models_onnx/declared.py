"""What the modules of a package declare in an attribute: a registry that is a folder."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any


def declared(package: ModuleType, attribute: str) -> list[Any]:
    """The attribute of every module of a package that has one, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [import_module(f"{package.__name__}.{name}") for name in names]
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
