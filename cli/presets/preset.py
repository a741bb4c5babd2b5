"""A preset: how a vendor's export fills the raw tables, as its yml says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.expressions import check_expression
from cva_sql.cli.shop.package import RawTable, raw_tables
from cva_sql.cli.shop.yaml_text import parse_yaml
from cva_sql.udfs.errors import UsageError

NAMED = re.compile(r"\{(\w+)\}")  # a source in the SELECT of a part
DATES, DECIMALS = ("dmy", "mdy", "ymd"), ("point", "comma")
PRESET_KEYS = {"title", "export", "amount", "times", "offset", "dates", "decimal"}
SOURCE_KEYS = {"tells", "optional", "unless", "unused", "refuse"}
PART_KEYS = {"table", "from", "where", "test", "cancelled", "amount", "amount_per", "columns"}


@dataclass(frozen=True)
class Layout:
    """One kind of file or table that the vendor writes.

    A header is of this kind if it has all of `tells` and none of `unless`; `optional` columns may
    be missing. `unused` ones hold nothing for a raw table, `refuse` says why one cannot be used.
    """

    name: str
    tells: tuple[str, ...]
    optional: tuple[str, ...]
    unless: tuple[str, ...]
    unused: bool
    refuse: str | None


@dataclass(frozen=True)
class Part:
    """What fills one raw table: a layout, or a SELECT over `{layout}`, and the columns over it.

    Of each column the first expression whose columns are there is taken. `test` marks rows that
    are left out as trials, `cancelled` orders whose status becomes cancelled. `amount` and
    `amount_per` say what an order's amount is, where it is not the preset's, and on which rows.
    """

    table: str
    select: str
    layouts: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    where: str | None
    test: str | None
    cancelled: str | None
    amount: str | None
    amount_per: str | None


@dataclass(frozen=True)
class Preset:
    """A vendor's exports. Where several parts fill a table, the first that has its layouts does.

    `amount` and `times` say in words what an order's amount is and in which zone times are;
    `offset` is that of times that are written without one.
    """

    name: str
    title: str
    export: str
    amount: str
    times: str
    offset: str | None
    dates: str | None
    decimal: str | None
    layouts: Mapping[str, Layout]
    parts: tuple[Part, ...]

    def parts_of(self, layouts: set[str]) -> list[Part]:
        """The parts that these layouts can fill, one a table, orders first."""
        chosen: dict[str, Part] = {}
        for part in self.parts:
            if set(part.layouts) <= layouts:
                chosen.setdefault(part.table, part)
        return [chosen[table] for table in raw_tables() if table in chosen]


@cache
def presets() -> dict[str, Preset]:
    """The packaged presets by name."""
    folder = Path(str(files("cva_sql.cli.presets")))
    return {path.stem: read_preset(path) for path in sorted(folder.glob("*.yml"))}


def read_preset(path: Path) -> Preset:
    """The preset in a yml file; raises UsageError that names what is wrong with it."""
    try:
        said = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    _check_keys(path, said, PRESET_KEYS | {"layouts", "tables"}, {"title", "layouts", "tables"})
    layouts = {name: _layout(path, name, line) for name, line in said["layouts"].items()}
    for key, known in (("dates", DATES), ("decimal", DECIMALS)):
        if said.get(key, known[0]) not in known:
            raise UsageError(f"{path}: {key} is {said[key]}; expected {' or '.join(known)}")
    return Preset(
        name=path.stem,
        title=said["title"],
        export=said.get("export", ""),
        amount=said.get("amount", ""),
        times=said.get("times", ""),
        offset=said.get("offset"),
        dates=said.get("dates"),
        decimal=said.get("decimal"),
        layouts=layouts,
        parts=tuple(_part(path, line, layouts) for line in said["tables"]),
    )


def _layout(path: Path, name: str, line: Any) -> Layout:
    _check_keys(path, line, SOURCE_KEYS, {"tells"})
    return Layout(
        name=name,
        tells=tuple(line["tells"]),
        optional=tuple(line.get("optional", ())),
        unless=tuple(line.get("unless", ())),
        unused=bool(line.get("unused", False)),
        refuse=line.get("refuse"),
    )


def _part(path: Path, line: Any, layouts: Mapping[str, Layout]) -> Part:
    _check_keys(path, line, PART_KEYS, {"table", "columns"})
    table = line["table"]
    if table not in raw_tables():
        raise UsageError(f"{path}: {table} is no table; expected {', '.join(raw_tables())}")
    select = str(line.get("from", next(iter(layouts))))
    named = (select,) if select in layouts else tuple(dict.fromkeys(NAMED.findall(select)))
    unknown = [name for name in named if name not in layouts]
    if unknown or not named:
        raise UsageError(
            f"{path}: from of {table} names {unknown[0] if unknown else 'nothing'}; expected one"
            f" of {', '.join(layouts)}, or a SELECT over {{{next(iter(layouts))}}}"
        )
    _check_columns(path, table, line["columns"], raw_tables()[table])
    for key in ("where", "test", "cancelled"):
        if line.get(key) is not None:
            check_expression(str(line[key]), f"{path}: {key} of {table}")
    return Part(
        table=table,
        select=select,
        layouts=named,
        columns={name: _alternatives(value) for name, value in line["columns"].items()},
        where=line.get("where"),
        test=line.get("test"),
        cancelled=line.get("cancelled"),
        amount=line.get("amount"),
        amount_per=line.get("amount_per"),
    )


def _alternatives(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _check_columns(path: Path, table: str, columns: Any, raw: RawTable) -> None:
    for name in columns:
        if name not in raw.columns:
            expected = ", ".join(raw.columns)
            raise UsageError(f"{path}: {table} has no column {name}; expected {expected}")


def _check_keys(path: Path, said: Any, known: set[str], needed: set[str]) -> None:
    if not isinstance(said, dict):
        raise UsageError(f"{path}: expected keys and values, found {str(said)[:60]!r}")
    wrong = [*(set(said) - known), *(needed - set(said))]
    if wrong:
        what = "is missing" if wrong[0] in needed else "is no key"
        raise UsageError(f"{path}: {wrong[0]} {what}; expected {', '.join(sorted(known))}")
