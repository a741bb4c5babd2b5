"""Rebuilds the features on data cut at a past date and lists those that differ."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.places import WORK_FOLDER

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.check_features.cut import Cut
    from cva_sql.cli.shop.shop import ResolvedShop


FOLDER = "check"  # in the shop's .cva/, and gone afterwards
IDENTITY = "int_cva__customer_ids"  # who is one person is no fact of a time: as it is known today
SCHEMA = "cva_check"  # in the copy: what the features were before the cut
TOLERANCE = 1e-9  # relative; a user's sum of DOUBLE may depend on the order of rows


@dataclass(frozen=True)
class Difference:
    """A feature that changes when the future is taken away, with a customer as example."""

    feature: str
    model: str
    customers: int
    example: str
    whole: str | None
    cut: str | None


@dataclass(frozen=True)
class Check:
    """What was compared and found. `notes` are what the comparison cannot tell."""

    as_of: str
    customers: int
    features: int
    tables: list[Cut]
    differences: list[Difference]
    notes: list[str]


def check_shop(shop: ResolvedShop, day: date | None = None) -> Check:
    """Builds the features as of `day` twice and compares; by default a horizon before the end."""
    from cva_sql.cli.check_features.cut import cut_tables
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.texts import read_texts

    with copied(shop) as copy:
        day = _checked_day(copy, day)
        variables = {
            "cva_spine": "scoring",
            "cva_as_of": day.isoformat(),
            "cva_text_vectors": read_texts(copy, before=day).vectors,
            "cva_udfs": True,
            "cva_every_family": True,
        }
        with step(f"building features as of {day} from the whole tables"):
            _build(copy, variables)
        con = connect(copy.db)
        try:
            con.execute(f"create schema {SCHEMA}")
            con.execute(f"create table {SCHEMA}.whole as from {copy.schema}.customer_features")
        finally:
            con.close()
        with step("taking away what came later"):
            tables, notes = cut_tables(copy, day, variables)
        if not any(table.rows > table.left for table in tables):  # the newest fact is later
            raise CvaError(f"no row from {day} on could be taken away, so nothing was compared")
        with step("building them again"):
            _build(copy, variables, exclude=[IDENTITY])
        con = connect(copy.db)
        try:
            return _compare(con, copy, day, tables, notes)
        finally:
            con.close()


@contextmanager
def copied(shop: ResolvedShop) -> Iterator[ResolvedShop]:
    """The shop with a copy of its database, removed once the block is left."""
    from cva_sql.cli.shop.connection import connect

    con = connect(shop.db)
    con.execute("checkpoint").fetchall()  # else part of it may be in a second file
    con.close()
    # The macro that cuts rows does so in a folder .cva/check alone.
    own = shop.work_dir if shop.work_dir.name == WORK_FOLDER else shop.work_dir / WORK_FOLDER
    folder = own / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        size, free = shop.db.stat().st_size, shutil.disk_usage(folder).free
        if free < 2 * size:
            raise CvaError(
                f"a copy of {shop.db} needs {2 * size / 1e9:,.1f} GB and {folder} has "
                f"{free / 1e9:,.1f} GB left; make room there"
            )
        shutil.copyfile(shop.db, folder / shop.db.name)
        yield shop.elsewhere(folder / shop.db.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if own != shop.work_dir:
            with suppress(OSError):  # of somebody else's files in it
                own.rmdir()


def _checked_day(shop: ResolvedShop, day: date | None) -> date:
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.examples import read_history

    with step("looking at the history"):
        newest = replace(shop, vars={**shop.vars, "cva_as_of": None})
        history = read_history(newest, shop.schema)
    first, end = history.first_order, history.as_of
    if first is None:
        raise CvaError("there is no valid order to look at; see table cva_rejects")
    if day is None:
        horizon = timedelta(days=shop.horizon_days)
        day = end - horizon if end - horizon > first else first + (end - first) / 2
    if not first < day < end:
        raise UsageError(f"--as-of is {day}; expected a date after {first} and before {end}")
    return day


def _build(shop: ResolvedShop, variables: Mapping[str, Any], exclude: Sequence[str] = ()) -> None:
    from cva_sql.cli.shop.dbt_runner import run_dbt

    run_dbt(
        shop,
        "run",
        select=["+customer_features"],
        exclude=exclude,
        variables=variables,
        from_scratch=True,
    )


def _compare(
    con: DuckDBPyConnection, shop: ResolvedShop, day: date, tables: list[Cut], notes: list[str]
) -> Check:
    cut = f"{shop.schema}.customer_features"
    names = [row[0] for row in con.execute(f"describe {cut}").fetchall()]
    features = [name for name in names if name not in ("customer_id", "as_of_date")]
    models = {
        line["name"]: str(line.get("model", ""))
        for line in shop.var("cva_feature_catalog_extra") or []
        if isinstance(line, dict) and "name" in line
    }
    keys = "customer_id, as_of_date"
    repeated = con.execute(
        f"select count(*), count(distinct ({keys})) from {SCHEMA}.whole"
    ).fetchall()[0]
    if repeated[0] != repeated[1]:
        raise CvaError(
            f"customer_features has {repeated[0] - repeated[1]:,} rows too many: a model in "
            "cva_feature_catalog_extra has several rows per customer_id and as_of_date"
        )
    differences = _row_differences(con, cut)
    for name in features:
        found = _first_difference(con, cut, name)
        if found is not None:
            differences.append(Difference(name, models.get(name, ""), *found))
    return Check(day.isoformat(), repeated[0], len(features), tables, differences, notes)


def _first_difference(con: DuckDBPyConnection, cut: str, name: str) -> tuple[Any, ...] | None:
    """How many customers differ, the first of them, and both values as text."""
    column = '"' + name.replace('"', '""') + '"'
    a, b = f"whole.{column}", f"cut.{column}"
    differs = f"{a} is distinct from {b}"
    if con.execute(f"select typeof({column}) from {cut} limit 1").fetchall() == [("DOUBLE",)]:
        limit = f"{TOLERANCE} * greatest(abs({a}), abs({b}))"
        differs += f" and not coalesce(abs({a} - {b}) <= {limit}, false)"
    rows = con.execute(
        f"select count(*) over (), customer_id, cast({a} as varchar), cast({b} as varchar) "
        f"from {SCHEMA}.whole as whole inner join {cut} as cut using (customer_id, as_of_date) "
        f"where {differs} order by customer_id limit 1"
    ).fetchall()
    return rows[0] if rows else None


def _row_differences(con: DuckDBPyConnection, cut: str) -> list[Difference]:
    """Customers who are there only before, or only after the cut."""
    rows = con.execute(
        "select count(*) over (), customer_id, "
        "case when whole.as_of_date is not null then 'there' end, "
        "case when cut.as_of_date is not null then 'there' end "
        f"from {SCHEMA}.whole as whole full outer join {cut} as cut using (customer_id) "
        "where whole.as_of_date is null or cut.as_of_date is null order by customer_id limit 1"
    ).fetchall()
    return [Difference("(the customer's row)", "", *row) for row in rows]
