"""The packaged dbt project: where it is and what its macros declare."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cva_sql.cli.shop.sql_text import quoted

Macro = Callable[..., Any]
NO_OWN_STATUSES = {"cva_status_counts": (), "cva_status_cancelled": ()}  # the package's words alone


def project_dir() -> Path:
    """The folder of the packaged dbt project; it may be read-only."""
    return Path(str(files("cva_sql.dbt_project")))


def macro_value(
    file: str, macro: str, *arguments: Any, settings: Mapping[str, Any] | None = None
) -> Any:
    """What a macro of the package that needs no database returns, so that it is declared once.

    The text that it renders where it returns nothing. Macros that it calls are DuckDB's;
    `settings` are the dbt vars that they ask for.
    """
    package = _package()
    package.settings = settings or {}
    return package.macros(file)[macro](*arguments)


def opted_out(customers: str) -> str:
    """SQL: the customers who object to being profiled, by a relation like stg_cva__customers."""
    return str(macro_value("opt_out.sql", "opted_out_of", customers))


def ticket_hash() -> str:
    """SQL over subject and body: the hash of a ticket's whole text, as texts are read."""
    return str(macro_value("engine.sql", "text_hash", macro_value("words.sql", "ticket_text")))


@dataclass(frozen=True)
class RawTable:
    """A raw table as `macros/raw_tables.sql` declares it; what each part means is said there."""

    role: str
    date: str | None
    of: str | None
    since: tuple[str, ...]
    key: tuple[str, ...]
    replaces: tuple[str, ...]
    tells: frozenset[str]
    columns: dict[str, tuple[str, bool]]  # (kind, required)
    column_names: dict[str, str]  # what the shop may call each
    contact: frozenset[str]
    aliases: dict[str, str]
    name: frozenset[str]
    words: dict[str, str]

    @property
    def required(self) -> tuple[str, ...]:
        """Its columns that cannot be missing, in its order."""
        return tuple(name for name, (_, needed) in self.columns.items() if needed)

    @property
    def times(self) -> tuple[str, ...]:
        """Its columns that are times, in its order."""
        return tuple(name for name, (kind, _) in self.columns.items() if kind == "time")

    def chosen(self, expressions: Mapping[str, str], present: Sequence[str]) -> dict[str, str]:
        """SQL of its columns over a table that has the columns `present`; not of those it lacks.

        The user's expression comes first, then the column of that name, then that of its alias, as
        in `raw_expressions` of `macros/source_or_empty.sql`.
        """
        same = {name.lower(): quoted(name) for name in present}
        found = {
            name: expressions.get(name) or same.get(name) or same.get(self.aliases.get(name, ""))
            for name in self.columns
        }
        return {name: text for name, text in found.items() if text}


@cache
def raw_tables() -> dict[str, RawTable]:
    """The raw tables by name."""
    return {
        table: RawTable(
            role=line["role"],
            date=line.get("date"),
            of=line.get("of"),
            since=tuple(line.get("since", ())),
            key=tuple(line["key"]),
            replaces=tuple(line.get("replaces", line["key"])),
            tells=frozenset(line.get("tells", ())),
            columns={name: (kind, needed) for name, (kind, needed, _) in line["columns"].items()},
            column_names={name: names for name, (_, _, names) in line["columns"].items()},
            contact=frozenset(line.get("contact", ())),
            aliases=dict(line.get("aliases", {})),
            name=frozenset(line["name"].split()),
            words=dict(line.get("words", {})),
        )
        for table, line in macro_value("raw_tables.sql", "raw_tables").items()
    }


def canonical_tables() -> dict[str, dict[str, tuple[str, bool]]]:
    """table -> column -> (kind, required), of the columns that staging has."""
    return {
        table: {name: spec for name, spec in line.columns.items() if name not in line.contact}
        for table, line in raw_tables().items()
    }


def status_meaning(status: str, counts: Sequence[str] = (), cancelled: Sequence[str] = ()) -> str:
    """SQL over a status: counts, cancelled, asked or unknown, by the package's words and these."""
    settings = {"cva_status_counts": counts, "cva_status_cancelled": cancelled}
    return str(macro_value("order_statuses.sql", "status_meaning", status, settings=settings))


def statuses_line(
    kind: str, rows: Sequence[tuple[Any, ...]], settled: str, noun: str = "orders"
) -> str:
    """What is asked or unknown of rows (status, count, money), and the option that settles it."""
    return str(macro_value("order_statuses.sql", f"statuses_{kind}", rows, settled, noun))


class _Return(Exception):
    """Leaves a macro, as dbt's return() does."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Package:
    """The package's macros, each file read when one of its macros is first asked for."""

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}
        self._read: dict[str, dict[str, Macro]] = {}

    def macros(self, file: str) -> dict[str, Macro]:
        """The macros of a file by name."""
        if file not in self._read:
            module = self._environment().from_string(_source(file)).module
            self._read[file] = {
                name: _returning(value) for name, value in vars(module).items() if callable(value)
            }
        return self._read[file]

    def __getattr__(self, name: str) -> Macro:
        """What `cva.name` is in a macro."""
        if name == "setting":
            return self.settings.__getitem__
        return self._find(name)

    def _find(self, *names: str) -> Macro:
        for name in names:
            if name in _files_of_macros():
                return self.macros(_files_of_macros()[name])[name]
        raise AttributeError(f"the package has no macro {' or '.join(names)}")

    def _environment(self) -> Any:
        import jinja2

        environment = jinja2.Environment(extensions=["jinja2.ext.do"])
        environment.globals["cva"] = self
        environment.globals["adapter"] = SimpleNamespace(
            dispatch=lambda name, _: self._find(f"duckdb__{name}", f"default__{name}")
        )
        environment.globals["return"] = _raise_return
        return environment


@cache
def _package() -> _Package:
    return _Package()


@cache
def _files_of_macros() -> dict[str, str]:
    """The file of each macro."""
    return {
        name: path.name
        for path in (project_dir() / "macros").glob("*.sql")
        for name in re.findall(r"{%-?\s*macro\s+(\w+)", path.read_text(encoding="utf-8"))
    }


def _source(file: str) -> str:
    return (project_dir() / "macros" / file).read_text(encoding="utf-8")


def _returning(macro: Macro) -> Macro:
    def call(*arguments: Any) -> Any:
        try:
            return macro(*arguments)
        except _Return as returned:
            return returned.value

    return call


def _raise_return(value: Any = None) -> None:
    raise _Return(value)
