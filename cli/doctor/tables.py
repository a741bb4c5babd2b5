"""What `cva doctor` reads from the database; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cva_sql.cli.doctor.orders import (
    Outliers,
    find_doubtful_customers,
    find_doubtful_statuses,
    find_outliers,
)
from cva_sql.cli.doctor.staging import REJECTS, Staging, staged
from cva_sql.cli.load.doubts import Doubt, unknown_types
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.package import canonical_tables, raw_tables
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.sql_text import column_names, literal, one_line

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LATE_GAPS = 3  # times the gap that 95 % of the past ones did not exceed
NEWEST = "int_cva__newest_order_day"


@dataclass(frozen=True)
class Table:
    """A canonical table as the database has it; `relation` is None where it has none.

    `columns` maps canonical names to SQL; `missing` are optional ones without any. `first` and
    `last` span the facts up to now, `usual_gap_days` is the 95th percentile of the gaps between
    days that have one. `rejects` counts rows that are not used, by reason; None where unknown.
    `unknown_types` are types of events that nobody knows, with how many.
    """

    name: str
    relation: str | None = None
    rows: int = 0
    columns: dict[str, str] | None = None
    missing: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    age_days: int | None = None
    usual_gap_days: float | None = None
    rejects: dict[str, int] | None = None
    problem: str | None = None
    unknown_types: tuple[tuple[str, int], ...] = ()

    @property
    def is_late(self) -> bool:
        """Whether the newest fact is older than the table's own rhythm explains."""
        if self.age_days is None or self.usual_gap_days is None:
            return False
        return self.age_days > LATE_GAPS * max(self.usual_gap_days, 1)


@dataclass(frozen=True)
class Build:
    """What the last build left: customer_value, who scored it, texts by status ('' is fine)."""

    as_of: str
    customers: int
    statuses: dict[str, int]
    model_hashes: tuple[str, ...]
    model_versions: tuple[str, ...]
    text_statuses: dict[str, int]


@dataclass(frozen=True)
class Findings:
    """All that the database says. `doubtful_statuses` may be no sale and still count,
    `unknown_statuses` no list knows.

    `customers` are the doubts about their ids.
    `newest` is the newest day with an order that is believed, `doubted` the newest that is not, and
    `doubt` says why. `problem` says why the tables could not be staged at all.
    """

    tables: tuple[Table, ...]
    are_rejects_of_last_build: bool
    outliers: Outliers | None
    doubtful_statuses: dict[str, int]
    unknown_statuses: dict[str, int]
    build: Build | None
    foreign_tables: int
    problem: str | None = None
    newest: str | None = None
    doubted: str | None = None
    doubt: str | None = None
    customers: tuple[Doubt, ...] = ()


def look_at_database(con: DuckDBPyConnection, shop: ResolvedShop) -> Findings:
    """Looks at every canonical table and at what was built."""
    tables = [_look_at_table(con, shop, name) for name in canonical_tables()]
    foreign = _count_foreign_tables(con, shop, tables)
    build = _read_build(con, shop)
    if not any(table.relation for table in tables):
        return Findings(tuple(tables), False, None, {}, {}, build, foreign)
    with staged(con, shop) as staging:
        tables = [_add_staging(con, shop, staging, table) for table in tables]
        rejects = _read_rejects(con, staging)
        if rejects is not None:
            tables = [replace(table, rejects=rejects.get(table.name, {})) for table in tables]
        return Findings(
            tuple(tables),
            staging.is_of_last_build,
            find_outliers(con, staging),
            *find_doubtful_statuses(con, shop, staging),
            build,
            foreign,
            staging.problem or _problem_of_absent(staging, tables),
            *_read_newest(con, shop, staging, tables),
            customers=find_doubtful_customers(con, staging),
        )


def _problem_of_absent(staging: Staging, tables: Sequence[Table]) -> str | None:
    """What keeps dbt from staging even a table that the shop has not; None where one has it."""
    if any(table.problem for table in tables):
        return None
    return next(iter(staging.problems.values()), None)


def _look_at_table(con: DuckDBPyConnection, shop: ResolvedShop, name: str) -> Table:
    """The user's table as it is, before anything is made of it."""
    import duckdb

    relation = find_relation(con, *shop.raw_table(name))
    if relation is None:
        return Table(name)
    table = Table(name, relation.replace('"', ""))
    mapped = shop.vars.get(f"cva_{name}_columns")
    try:
        rows = int(con.execute(f"select count(*) from {relation}").fetchall()[0][0])
        present = column_names(con, f"from {relation}")
    except duckdb.Error as error:
        return replace(table, problem=f"{table.relation} cannot be read: {one_line(error)}")
    expected = canonical_tables()[name]
    chosen = raw_tables()[name].chosen(mapped if isinstance(mapped, Mapping) else {}, present)
    columns = {column: str(text) for column, text in chosen.items() if column in expected}
    missing = [c for c, (_, required) in expected.items() if c not in columns and not required]
    return replace(table, rows=rows, columns=columns, missing=tuple(missing))


def _add_staging(
    con: DuckDBPyConnection, shop: ResolvedShop, staging: Staging, table: Table
) -> Table:
    """The table with the span of its facts, and with what dbt says is wrong with it."""
    import duckdb

    if table.relation is None or table.problem is not None:
        return table
    if table.name in staging.problems:
        return replace(table, problem=staging.problems[table.name])
    model = f"stg_cva__{table.name}"
    times = [c for c, (kind, _) in canonical_tables()[table.name].items() if kind == "time"]
    known = set(staging.columns(con, model))
    dated = [c for c in times if c in (table.columns or {}) and c in known]
    if not dated:
        return table
    try:
        table = _add_times(con, shop, staging.model(model), table, dated[0])
        if "event_kind" in known:
            is_unknown = "event_kind is null and reject_reason is null"
            types = unknown_types(con, staging.model(model), is_unknown)
            table = replace(table, unknown_types=types)
        return table
    except duckdb.Error as error:
        return replace(table, problem=f"{table.relation} cannot be read: {one_line(error)}")


def _add_times(
    con: DuckDBPyConnection, shop: ResolvedShop, relation: str, table: Table, column: str
) -> Table:
    wall_clock = f"timezone({literal(str(shop.var('cva_timezone')))}, now())"
    fixed = shop.var("cva_now")
    now = f"cast({literal(str(fixed))} as timestamp)" if fixed else wall_clock
    first, last, age, gap = con.execute(
        f"with days as (select distinct cast({column} as date) as day from {relation} "
        f"where {column} between timestamp '1970-01-01' and {now}), "
        "gaps as (select day, day - lag(day) over (order by day) as gap from days) "
        f"select min(day)::varchar, max(day)::varchar, cast({now} as date) - max(day), "
        "quantile_cont(gap, .95) from gaps"
    ).fetchall()[0]
    return replace(table, first=first, last=last, age_days=age, usual_gap_days=gap)


def _read_rejects(con: DuckDBPyConnection, staging: Staging) -> dict[str, dict[str, int]] | None:
    """Table -> reason -> rows; None where they could not be counted."""
    if not staging.columns(con, REJECTS):
        return None
    rows = con.execute(
        f"select table_name, reason, row_count from {staging.model(REJECTS)} where row_count > 0 "
        "and reason is not null order by table_name, row_count desc, reason"
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for table, reason, count in rows:
        found.setdefault(table, {})[reason] = count
    return found


def _read_newest(
    con: DuckDBPyConnection, shop: ResolvedShop, staging: Staging, tables: list[Table]
) -> tuple[str | None, str | None, str | None]:
    """The newest day with an order that is believed, the newest that is not, and why not."""
    last = next((table.last for table in tables if table.name == "orders"), None)
    if shop.var("cva_as_of") or not staging.columns(con, NEWEST):
        return last, None, None
    believed, doubted, doubt = con.execute(
        f"select newest_date::varchar, doubted_date::varchar, doubt from {staging.model(NEWEST)}"
    ).fetchall()[0]
    # The view's idea of now is that of the build: it does not see what came since.
    is_seen = doubted is not None and doubted == last
    return (believed, doubted, doubt) if is_seen else (last, None, None)


def _read_build(con: DuckDBPyConnection, shop: ResolvedShop) -> Build | None:
    """None where customer_value was not built."""
    import duckdb

    table = find_relation(con, shop.schema, "customer_value")
    if table is None:
        return None
    try:
        rows = con.execute(
            "select max(as_of_date)::varchar, count(*), "
            "list_sort(list(distinct model_hash) filter (model_hash is not null)), "
            "list_sort(list(distinct model_version) filter (model_version is not null)) "
            f"from {table}"
        ).fetchall()
        statuses = con.execute(
            f"select score_status, count(*) from {table} group by 1 order by 1"
        ).fetchall()
    except duckdb.Error:
        return None  # a table of that name that is not ours
    as_of, customers, hashes, versions = rows[0]
    texts = find_relation(con, f"{shop.schema}_cva", "cva_text_statuses")
    read: list[Any] = []
    if texts is not None:
        read = con.execute(f"select status, review_count from {texts} order by 1").fetchall()
    return Build(
        str(as_of),
        customers,
        dict(statuses),
        tuple(hashes or ()),
        tuple(versions or ()),
        dict(read),
    )


def _count_foreign_tables(con: DuckDBPyConnection, shop: ResolvedShop, tables: list[Table]) -> int:
    """Tables of the database that are neither canonical nor of our making."""
    known = [str(table.relation) for table in tables if table.relation]
    rows = con.execute(
        "select count(*) from information_schema.tables where table_catalog = current_database() "
        "and table_schema || '.' || table_name not in (select unnest(?::varchar[])) "
        "and not (table_schema = ? or starts_with(table_schema, 'cva_') "
        "or starts_with(table_name, 'cva_') "
        "or table_name in ('customer_value', 'customer_features'))",
        [known, f"{shop.schema}_cva"],
    ).fetchall()
    return int(rows[0][0])
