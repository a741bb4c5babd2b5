"""`cva check-features`: does a feature look past as_of_date? Take the future away, and see."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import typer

from cva_sql.cli.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    open_shop,
    parse_date,
)
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.cut_tables import Cut
    from cva_sql.cli.dbt import Shop

FOLDER = "check"  # in the shop's .cva/, and gone afterwards
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


def check_features(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Find features that look into the future, your own included, on a copy of the database.

    Builds them as of a past date twice: from the whole tables, and from tables without what came
    on that date or later. Names each feature that differs and exits with 1. Nothing is left behind.
    """
    from cva_sql.cli.dbt import exclusive

    shop = open_shop(
        db,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        project=project,
    )
    day = parse_date(as_of, "--as-of") if as_of is not None else None
    with exclusive(shop):
        result = check_shop(shop, day)
    print(json.dumps(asdict(result), indent=2) if as_json else describe(result))
    if result.differences:
        raise typer.Exit(1)


def check_shop(shop: Shop, day: date | None = None) -> Check:
    """Builds the features as of `day` twice and compares; by default a horizon before the end."""
    from cva_sql.cli.cut_tables import cut_tables
    from cva_sql.cli.options import connect
    from cva_sql.cli.progress import step
    from cva_sql.cli.training_data import read_texts

    with copied(shop) as copy:
        day = _checked_day(copy, day)
        vectors = read_texts(copy, before=day).vectors
        with step(f"building features as of {day} from the whole tables"):
            _build(copy, day, vectors)
        con = connect(copy.db)
        try:
            con.execute(f"create schema {SCHEMA}")
            con.execute(f"create table {SCHEMA}.whole as from {copy.schema}.customer_features")
        finally:
            con.close()
        with step("taking away what came later"):
            tables, notes = cut_tables(copy, day)
        with step("building them again"):
            _build(copy, day, vectors)
        con = connect(copy.db)
        try:
            return _compare(con, copy, day, tables, notes)
        finally:
            con.close()


@contextmanager
def copied(shop: Shop) -> Iterator[Shop]:
    """The shop with a copy of its database, removed once the block is left."""
    from cva_sql.cli.options import connect

    con = connect(shop.db)
    con.execute("checkpoint").fetchall()  # else part of it may be in a second file
    con.close()
    folder = shop.work_dir / FOLDER
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
        yield replace(shop, db=folder / shop.db.name, models_dir=shop.models_dir.resolve())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked_day(shop: Shop, day: date | None) -> date:
    from cva_sql.cli.progress import step
    from cva_sql.cli.training_data import read_history

    with step("looking at the history"):
        newest = replace(shop, vars={**shop.vars, "cva_as_of": None})
        history = read_history(newest, shop.schema)
    first, end = history.first_order, history.as_of
    if first is None:
        raise CvaError("there is no valid order to look at; see table cva_rejects")
    if day is None:
        horizon = timedelta(days=int(shop.vars.get("cva_horizon_days", 90)))
        day = end - horizon if end - horizon > first else first + (end - first) / 2
    if not first < day < end:
        raise UsageError(f"--as-of is {day}; expected a date after {first} and before {end}")
    return day


def _build(shop: Shop, day: date, vectors: str | None) -> None:
    from cva_sql.cli.dbt import run_dbt

    run_dbt(
        shop,
        "run",
        select=["+customer_features"],
        variables={
            "cva_spine": "scoring",
            "cva_as_of": day.isoformat(),
            "cva_text_vectors": vectors,
            "cva_udfs": True,
        },
        from_scratch=True,
    )


def _compare(
    con: DuckDBPyConnection, shop: Shop, day: date, tables: list[Cut], notes: list[str]
) -> Check:
    cut = f"{shop.schema}.customer_features"
    names = [row[0] for row in con.execute(f"describe {cut}").fetchall()]
    features = [name for name in names if name not in ("customer_id", "as_of_date")]
    models = {
        line["name"]: str(line.get("model", ""))
        for line in shop.vars.get("cva_feature_catalog_extra") or []
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


def describe(result: Check) -> str:
    """The result for a person."""
    lines = [
        f"features as of {result.as_of}: {result.features} of {result.customers:,} customers, "
        "built from the whole tables and from tables without what came later"
    ]
    for table in result.tables:
        why = f"by {table.by}" if table.by else "no column to cut by, taken whole"
        gone = table.rows - table.left
        lines.append(f"  {table.name}: {gone:,} of {table.rows:,} rows less, {why}")
    lines += [f"  note: {note}" for note in result.notes]
    for found in result.differences:
        model = f" (model {found.model})" if found.model else ""
        lines.append(
            f"{found.feature}{model} looks into the future: it differs for {found.customers:,} "
            f"customers, e.g. {found.example}: {found.whole or 'null'} from the whole tables, "
            f"{found.cut or 'null'} without what came later"
        )
    if result.differences:
        lines.append("a model trained on these knows what it should predict; keep rows on or after")
        lines.append("as_of_date out, e.g. where ordered_at < spine.as_of_date")
    else:
        lines.append("no feature looks into the future")
    return "\n".join(lines)
