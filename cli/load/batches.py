"""Rows of a database's driver as a table of DuckDB, batch by batch, with the driver's types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.formats.source import unique_names
from cva_sql.cli.shop.sql_text import quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

BATCH = "cva_batch"
MOST_DIGITS = 38  # of DuckDB's decimals


def fill_table(
    con: DuckDBPyConnection,
    target: str,
    header: Sequence[str],
    batches: Iterable[Sequence[Sequence[Any]]],
) -> None:
    """Makes the table `target` of the rows; a column takes the type that holds all its values."""
    import pyarrow as pa

    names = unique_names(header)
    types: list[str | None] = [None] * len(names)  # None while there is no value
    listed = ", ".join(f"{quoted(name)} varchar" for name in names)
    kind = "temp table" if target.startswith("temp.") else "table"
    con.execute(f"create {kind} {target} ({listed})")
    for rows in batches:
        arrays = [_as_array(values) for values in zip(*rows, strict=True)]
        con.register(BATCH, pa.table(dict(zip(names, arrays, strict=True))))
        described = [row[1] for row in con.execute(f"describe {BATCH}").fetchall()]
        for place, (found, array) in enumerate(zip(described, arrays, strict=True)):
            if array.null_count == len(array):
                continue
            known = types[place]
            common = found if known is None else _common_type(con, known, found)
            if common != known:
                types[place] = common
                con.execute(f"alter table {target} alter {quoted(names[place])} type {common}")
        con.execute(f"insert into {target} from {BATCH}")
        con.unregister(BATCH)


def _as_array(values: Sequence[Any]) -> pa.Array:
    """The values with the type that all of them have; as texts where that is none of a column."""
    import pyarrow as pa

    try:
        array = pa.array(values)
        is_long = pa.types.is_decimal(array.type) and array.type.precision > MOST_DIGITS
        is_other = pa.types.is_nested(array.type) or isinstance(array.type, pa.BaseExtensionType)
        if not (is_long or is_other):
            return array
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        pass
    return pa.array([None if value is None else _as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _common_type(con: DuckDBPyConnection, first: str, other: str) -> str:
    """The type that takes values of both: text where DuckDB has no other."""
    import duckdb

    if first == other:
        return first
    if "VARCHAR" in (first, other):
        return "VARCHAR"
    try:
        union = f"select null::{first} as value union all select null::{other}"
        return str(con.execute(f"describe {union}").fetchall()[0][1])
    except duckdb.Error:
        return "VARCHAR"
