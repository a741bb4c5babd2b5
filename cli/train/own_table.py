"""`cva train --table`: learns a column of any table or file of customers, without orders."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.own_table import PREFIX, name_of, open_table
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.own_table.columns import Table
    from cva_sql.models_onnx.own_table.model import Judged

MIN_ROWS = 50
FOLDS = 5  # of a table without time, by a hash of the key
STARTS = (1 / 2, 2 / 3, 5 / 6)  # shares of the rows, by time, from which on a fold is tested
NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|BOOLEAN|DECIMAL.*)$")
OWN = re.compile(r"v\d+|prediction|cva_value|cva_fold")  # names within the ONNX file, or our query


@dataclass(frozen=True)
class Wanted:
    """What is to be learned: a column of a table or file, whose rows go by `key`."""

    table: str
    key: str
    target: str
    time: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class TrainedTable:
    """What `cva train --table` found; `version` is deployed unless only the mean did best."""

    name: str
    version: str
    is_deployed: bool
    function: str
    judged: Judged
    tested: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As it is printed for programs."""
        return {
            "name": self.name,
            "version": self.version,
            "is_deployed": self.is_deployed,
            "function": self.function,
            "loss": self.judged.loss,
            "tested": self.tested,
            "rows": self.judged.rows,
            "scores": self.judged.scores,
            "notes": list(self.notes),
        }


def train_table(shop: ResolvedShop, wanted: Wanted) -> TrainedTable:
    """Reads, judges on unseen rows, fits, exports and deploys as kind predict_<name>."""
    from cva_sql.cli.shop.model_store import store_model
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.deployment import settle
    from cva_sql.models_onnx.own_table.model import export, learn, make_manifest
    from cva_sql.udfs.manifest import read_manifest

    name = name_of(wanted.table, wanted.name)
    kind = f"{PREFIX}{name}"
    with step("reading"):
        table, notes, dates = read_table(shop, wanted)
    with step(f"learning {wanted.target} from {len(table):,} rows"):
        judged, candidate, preprocessing = learn(table)
        onnx = export(candidate, preprocessing, table)
    training = {
        "table": Path(wanted.table).name, "key": wanted.key, "column": wanted.target,
        "time": wanted.time, "rows": len(table),
    }  # fmt: skip
    manifest = make_manifest(kind, onnx, preprocessing, judged, training, dates)
    manifest = read_manifest(store_model(shop.models_dir, onnx, manifest))
    is_better = judged.best != "mean"
    settled = settle(
        shop.models_dir, manifest, is_better=is_better, reason=judged.reason, kind=kind
    )
    tested = (
        f"forward in time, on rows from {', '.join(dates)} on"
        if table.is_forward
        else f"in {FOLDS} parts by {wanted.key}, as there is no --time: customers of a later time "
        "may be told worse"
    )
    return TrainedTable(
        name, manifest.version, settled.is_deployed, f"cva_{kind}", judged, tested, notes
    )


def read_table(shop: ResolvedShop, wanted: Wanted) -> tuple[Table, tuple[str, ...], list[str]]:
    """The rows to learn from, what was left out of them and why, and the dates of the folds."""
    import duckdb

    from cva_sql.cli.shop.connection import reason_of

    con, relation = open_table(shop, wanted.table)
    try:
        types = {row[0]: row[1] for row in con.execute(f"describe from {relation}").fetchall()}
        _check_columns(wanted, types)
        return _read(con, relation, wanted, types)
    except duckdb.Error as error:
        raise UsageError(f"--table {wanted.table} cannot be read: {reason_of(error)}") from None
    finally:
        con.close()


def _check_columns(wanted: Wanted, types: dict[str, str]) -> None:
    asked = [("--key", wanted.key), ("--target", wanted.target), ("--time", wanted.time)]
    for option, name in asked:
        if name is not None and name not in types:
            raise UsageError(f"{option} {name}: {wanted.table} has {', '.join(types)}")
    named = [name for _, name in asked if name is not None]
    if len(set(named)) < len(named):
        raise UsageError(f"--key, --target and --time have to be columns apart: {', '.join(named)}")
    if not NUMBERS.match(types[wanted.target]):
        raise UsageError(
            f"--target {wanted.target} is {types[wanted.target]}; expected a column of numbers"
        )
    if wanted.time and not types[wanted.time].startswith(("DATE", "TIMESTAMP")):
        raise UsageError(f"--time {wanted.time} is {types[wanted.time]}; expected dates or times")


def _read(
    con: DuckDBPyConnection, relation: str, wanted: Wanted, types: dict[str, str]
) -> tuple[Table, tuple[str, ...], list[str]]:
    from cva_sql.models_onnx.own_table.columns import usable

    rows, needed, notes = _whole_rows(con, relation, wanted)
    numbers, texts, odd = _split_columns(types, needed)
    notes += odd
    table = _make_table(con, rows, wanted, numbers, texts)
    kept, left_out = usable(table, [*numbers, *texts])
    notes += [f"{name} is left out: {why}" for name, why in left_out.items()]
    if not kept:
        raise CvaError(
            f"{wanted.table} has no column to learn {wanted.target} from; " + _why(notes)
        )
    table = replace(
        table,
        numbers={n: c for n, c in table.numbers.items() if n in kept},
        categories={n: c for n, c in table.categories.items() if n in kept},
    )
    return table, tuple(notes), _fold_dates(con, rows, wanted)


def _whole_rows(
    con: DuckDBPyConnection, relation: str, wanted: Wanted
) -> tuple[str, set[str], list[str]]:
    """The rows that can be learned from, the columns that each of them has, and what is said."""
    from cva_sql.cli.shop.sql_text import quoted

    key, target, notes = quoted(wanted.key), quoted(wanted.target), list[str]()
    needed = {wanted.key: f"{key} is not null", wanted.target: f"isfinite({target}::double)"}
    if wanted.time:
        needed[wanted.time] = f"{quoted(wanted.time)} is not null"
    for name, condition in needed.items():
        counted = f"select count(*) from {relation} where not coalesce({condition}, false)"
        without = con.execute(counted).fetchall()[0][0]
        if without:
            notes.append(f"{without:,} rows without {name} are left out")
    rows = f"(select * from {relation} where {' and '.join(needed.values())})"
    _check_rows(con, rows, wanted, key)
    return rows, set(needed), notes


def _split_columns(
    types: dict[str, str], needed: set[str]
) -> tuple[list[str], list[str], list[str]]:
    """The columns that are numbers, those that are texts, and what is said of the others."""
    names = [n for n in types if n not in needed and not OWN.fullmatch(n)]
    notes = [
        f"{name} is left out: the file has that name for something of its own; rename the column"
        for name in types
        if OWN.fullmatch(name) and name not in needed
    ]
    numbers = [n for n in names if NUMBERS.match(types[n])]
    texts = [n for n in names if types[n] == "VARCHAR"]
    notes += [
        f"{name} is {types[name]} and left out; give it as a number of days, or as text"
        for name in names
        if name not in numbers and name not in texts
    ]
    return numbers, texts, notes


def _make_table(
    con: DuckDBPyConnection, rows: str, wanted: Wanted, numbers: list[str], texts: list[str]
) -> Table:
    """The rows in memory; raises CvaError where there is nothing to learn or to test on."""
    import numpy as np

    from cva_sql.cli.shop.sql_text import quoted
    from cva_sql.models_onnx.own_table.columns import Table

    key, target = quoted(wanted.key), quoted(wanted.target)
    select = [f"{quoted(n)}::float as {quoted(n)}" for n in numbers]
    select += [f"coalesce({quoted(n)}, '') as {quoted(n)}" for n in texts]
    order = f"{quoted(wanted.time)}, {key}" if wanted.time else key
    fold = _fold(wanted, key)
    found = con.execute(
        f"select {', '.join([*select, f'{target}::double as cva_value', fold])} from {rows} as t "
        f"order by {order}"
    ).fetchnumpy()

    def filled(name: str, dtype: Any) -> Any:
        return np.ma.filled(np.ma.asarray(found[name], dtype=dtype), np.nan)

    table = Table(
        {n: np.where(np.isinf(x := filled(n, np.float32)), np.nan, x) for n in numbers},
        {n: np.asarray(found[n], dtype=object).astype(str).astype(object) for n in texts},
        filled("cva_value", np.float64),
        np.asarray(found["cva_fold"], dtype=np.int64),
        wanted.time is not None,
    )
    if not (table.fold > 0).any():
        raise CvaError(f"--time {wanted.time} is nearly the same in every row: leave it out")
    if table.value.min() == table.value.max():
        raise CvaError(f"{wanted.target} is {table.value[0]:g} in every row: nothing to learn")
    return table


def _why(notes: Sequence[str]) -> str:
    return "; ".join(notes) or "it has none but key and target"


def _check_rows(con: DuckDBPyConnection, rows: str, wanted: Wanted, key: str) -> None:
    """Raises CvaError for too few rows, and for a key that several rows have."""
    count = con.execute(f"select count(*) from {rows}").fetchall()[0][0]
    if count < MIN_ROWS:
        raise CvaError(f"{wanted.table} has {count} usable rows; {MIN_ROWS} or more are needed")
    twice = con.execute(
        f"select count(*), min(k) from (select {key}::varchar as k from {rows} group by 1 "
        "having count(*) > 1)"
    ).fetchall()[0]
    if twice[0]:
        raise CvaError(
            f"{wanted.table} has {twice[0]:,} values of {wanted.key} in several rows, such as "
            f"{twice[1]}; give one row a customer, e.g. by a view that groups them"
        )


def _fold(wanted: Wanted, key: str) -> str:
    from cva_sql.cli.shop.sql_text import quoted

    if not wanted.time:
        return f"1 + ('0x' || md5({key}::varchar)[1:8])::bigint % {FOLDS} as cva_fold"
    share = f"percent_rank() over (order by {quoted(wanted.time)})"
    return " + ".join(f"({share} >= {start:.6f})::int" for start in STARTS) + " as cva_fold"


def _fold_dates(con: DuckDBPyConnection, rows: str, wanted: Wanted) -> list[str]:
    """The days from which on the rows of each fold forward in time are."""
    from cva_sql.cli.shop.sql_text import quoted

    if not wanted.time:
        return []
    found = con.execute(
        f"select cva_fold, min(t)::date::varchar from (select {quoted(wanted.time)} as t, "
        f"{_fold(wanted, '')} from {rows}) where cva_fold > 0 group by 1 order by 1"
    ).fetchall()
    return [day for _, day in found]


def describe(trained: TrainedTable) -> str:
    """The result for a person."""
    judged = trained.judged
    lines = [*trained.notes]
    lines.append(
        f"loss: {judged.loss}; tested {trained.tested} ({judged.rows:,} rows never learned from)"
    )
    heads = ("", "explained", "Spearman", "nGini", "MAE", "R²")
    lines.append("  " + f"{heads[0]:<10}" + "".join(f"{head:>11}" for head in heads[1:]))
    for name, found in judged.scores.items():
        cells = "".join(f"{_cell(value):>11}" for value in found.values())
        lines.append(f"  {name:<10}{cells}")
    if trained.is_deployed:
        lines.append(f"deployed {trained.version}: {judged.reason}")
        lines.append(f"in SQL: select t.*, {trained.function}(t).prediction from … as t")
    else:
        lines.append(f"not deployed: {judged.reason}")
    return "\n".join(lines)


def _cell(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
