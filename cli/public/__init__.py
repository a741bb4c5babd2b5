"""What each customer of an online shop is worth: `Shop`, and the SQL functions for a connection.

Nothing is imported before it is used, so that this package costs nothing to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cva_sql.api import Shop
    from cva_sql.udfs.errors import CvaError, ModelError, UsageError
    from cva_sql.udfs.register import register, unregister

    __version__: str

PLACES = {  # public name -> the module that has it
    "Shop": "cva_sql.api",
    "CvaError": "cva_sql.udfs.errors",
    "ModelError": "cva_sql.udfs.errors",
    "UsageError": "cva_sql.udfs.errors",
    "register": "cva_sql.udfs.register",
    "unregister": "cva_sql.udfs.register",
}

__all__ = [
    "CvaError",
    "ModelError",
    "Shop",
    "UsageError",
    "__version__",
    "register",
    "unregister",
]


def __getattr__(name: str) -> Any:
    """A public name, looked up when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("cva-sql")
    if name in PLACES:
        from importlib import import_module

        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'cva_sql' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
