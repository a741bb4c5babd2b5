"""The packaged dbt project: where it is and what its macros declare."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any


def project_dir() -> Path:
    """The folder of the packaged dbt project; it may be read-only."""
    return Path(str(files("cva_sql.dbt_project")))


def macro_value(file: str, macro: str, *arguments: str) -> Any:
    """What a macro of the package that needs no database returns, so that it is declared once.

    The text that it renders where it returns nothing.
    """
    module, returned = _macros(file)
    returned.clear()
    rendered = getattr(module, macro)(*arguments)
    return returned[0] if returned else rendered


@cache
def _macros(file: str) -> tuple[Any, list[Any]]:
    """The macros of a file, and the list that what they return is put into."""
    import jinja2

    returned: list[Any] = []
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals["return"] = returned.append
    source = (project_dir() / "macros" / file).read_text(encoding="utf-8")
    return environment.from_string(source).module, returned


def canonical_tables() -> dict[str, dict[str, tuple[str, bool]]]:
    """table -> column -> (kind, required), as `macros/canonical_tables.sql` declares them."""
    tables = macro_value("canonical_tables.sql", "canonical_tables")
    return {
        table: {name: (kind, required) for name, (kind, required) in columns.items()}
        for table, columns in tables.items()
    }
