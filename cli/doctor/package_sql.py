"""The package's own SQL without dbt: to look at a shop in a second, and to write nothing."""

from __future__ import annotations

import datetime as datetime_module
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.package import project_dir
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Macro = Callable[..., Any]
PACKAGE = "cva"


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(frozen=True)
class Result:
    """What `run_query` gives a macro."""

    rows: list[tuple[Any, ...]]


class PackageSql:
    """Renders macros and models of the package for the tables of a connection.

    A model becomes a temporary view or table of its name, with those it refers to, so that the
    database may be open for reading alone. Only what staging and its neighbours use of dbt is here.
    Rules that the dbt project in `project` overrides are taken from it. Errors are CvaErrors.
    """

    def __init__(
        self, con: DuckDBPyConnection, variables: Mapping[str, Any], project: Path | None = None
    ) -> None:
        self._con = con
        self._vars = {**_default_vars(), **variables}
        self._made: set[str] = set()
        self._configs: list[dict[str, Any]] = []  # of the models being rendered, one in the other
        self._environment = _new_environment()
        self._environment.globals.update(self._globals())
        self._macros = SimpleNamespace()
        self._environment.globals[PACKAGE] = self._macros
        for path in sorted((project_dir() / "macros").glob("*.sql")):
            vars(self._macros).update(self._read_macros(path))
        self._own: dict[str, Macro] = {}
        for path in sorted((project / "macros").rglob("*.sql")) if project else []:
            self._own.update(self._read_own_macros(path))

    def macro(self, name: str, *arguments: Any) -> Any:
        """What a macro returns, or else renders."""
        return _rendered(name, getattr(self._macros, name), *arguments)

    def var(self, name: str, default: Any = None) -> Any:
        """A dbt var: the shop's, else the package's default."""
        return self._vars.get(name, default)

    def model(self, name: str) -> str:
        """The name of a temporary relation with the model's rows."""
        if name not in self._made:
            paths = list((project_dir() / "models").rglob(f"{name}.sql"))
            source = paths[0].read_text(encoding="utf-8")
            self._configs.append({})
            query = _rendered(name, self._template(source).render)
            kind = "table" if self._configs.pop().get("materialized") == "table" else "view"
            self._con.execute(f"create temp {kind} {quoted(name)} as {query}").fetchall()
            self._made.add(name)
        return f"temp.main.{quoted(name)}"

    def relation(self, schema: str, table: str) -> str | None:
        """A table or view of the database, however its name is spelt; None where there is none."""
        rows = self._con.execute(
            "select table_schema, table_name from information_schema.tables where "
            "table_catalog = current_database() and lower(table_schema) = lower(?) "
            "and lower(table_name) = lower(?)",
            [schema, table],
        ).fetchall()
        return f"{quoted(rows[0][0])}.{quoted(rows[0][1])}" if rows else None

    def columns(self, relation: str) -> list[str]:
        """The columns of a relation, in its order."""
        return [row[0] for row in self._con.execute(f"describe {relation}").fetchall()]

    def _read_macros(self, path: Path) -> dict[str, Macro]:
        module = self._template(path.read_text(encoding="utf-8")).module
        return {
            name: _returning(value)
            for name, value in vars(module).items()
            if callable(value) and not name.startswith("_")
        }

    def _read_own_macros(self, path: Path) -> dict[str, Macro]:
        """A user's macros; none from a file with what only dbt understands."""
        import jinja2

        try:
            return self._read_macros(path)
        except jinja2.TemplateError:
            return {}

    def _template(self, source: str) -> Any:
        environment = self._environment
        code = _compiled(source)
        return environment.template_class.from_code(environment, code, environment.globals)

    def _globals(self) -> dict[str, Any]:
        """What dbt offers to macros and models, as far as they use it."""
        adapter = SimpleNamespace(
            dispatch=self._dispatch,
            quote=quoted,
            get_relation=lambda database, schema, identifier: self.relation(schema, identifier),
            get_columns_in_relation=lambda relation: [
                SimpleNamespace(name=name) for name in self.columns(relation)
            ],
        )
        return {
            "adapter": adapter,
            "config": lambda **settings: self._configs[-1].update(settings) or "",
            "exceptions": SimpleNamespace(raise_compiler_error=_raise_error),
            "execute": True,
            "fromjson": json.loads,
            "modules": SimpleNamespace(re=re, datetime=datetime_module),
            "log": lambda *_, **__: "",
            "ref": lambda *names: self.model(names[-1]),
            "return": _raise_return,
            "run_query": lambda query: Result(self._con.execute(query).fetchall()),
            "run_started_at": datetime.now(UTC),
            "target": SimpleNamespace(database=None, schema="main", type="duckdb"),
            "tojson": json.dumps,
            "var": self.var,
        }

    def _dispatch(self, name: str, package: str = PACKAGE) -> Macro:
        macro: Macro | None = None
        for macros in (self._own, vars(self._macros)):
            macro = macro or macros.get(f"duckdb__{name}") or macros.get(f"default__{name}")
        if macro is None:
            raise CvaError(f"the package has no macro {name}; install it anew")
        return macro


def _new_environment() -> Any:
    import jinja2

    return jinja2.Environment(
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], undefined=jinja2.StrictUndefined
    )


@cache  # as many as the package has files; most of the time would go here
def _compiled(source: str) -> Any:
    return _new_environment().compile(source)


def _rendered(name: str, render: Macro, *arguments: Any) -> Any:
    """What `render` gives; a CvaError where the package asks for more of dbt than is here."""
    import jinja2

    try:
        return render(*arguments)
    except jinja2.TemplateError as error:
        raise CvaError(f"{name} cannot be rendered without dbt: {error}; use: cva run") from None


def _default_vars() -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    text = (project_dir() / "dbt_project.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["vars"])


def _returning(macro: Macro) -> Macro:
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return macro(*arguments, **named)
        except _Return as returned:
            return returned.value

    return call


def _raise_return(value: Any = None) -> None:
    raise _Return(value)


def _raise_error(message: str) -> None:
    raise CvaError(message)
