"""Reads everything that a shop keeps of one person, table by table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.alerts.api import ALERTS, State, read_alerts
from cva_sql.cli.person.holdings import Holding, holdings
from cva_sql.cli.person.identity import any_of, ids_of_person
from cva_sql.cli.person.manifests import customers_in_manifests
from cva_sql.cli.person.raw import KEY, ROW, RawSource, orders_of, raw_sources
from cva_sql.cli.person.texts import READINGS, every_text
from cva_sql.cli.shop.connection import connect, reason_of
from cva_sql.cli.shop.owner import Owned, check_owner
from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

Row = dict[str, Any]
VECTOR = "embedding"  # said by its length: nobody reads 384 numbers
VALUES = "customer_value"


@dataclass(frozen=True)
class Kept:
    """A table with rows of the person.

    `of` is raw, cva (made by it), own (of the user) or published; `meaning` is the table's comment,
    None without one.
    """

    table: str
    of: str
    meaning: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Person:
    """A person: the ids that are theirs, what customer_value says in words, and every table.

    `says` are columns of customer_value, None where the last run has no row of them. `reasons` are
    its sentences. Money is in the shop's currency. `manifests` are files of models that name them.
    """

    customer_id: str
    ids: tuple[str, ...]
    says: Row | None
    reasons: tuple[str, ...]
    tables: tuple[Kept, ...]
    manifests: tuple[str, ...] = ()


def read_person(shop: ResolvedShop, customer: str) -> Person:
    """Everything on a person, by any of their ids; raises UsageError where nothing is kept."""
    import duckdb

    con = connect(shop.db, read_only=True)
    try:
        ids = ids_of_person(con, shop, customer)
        sources = raw_sources(con, shop)
        tables = [kept for source in sources if (kept := _raw(con, source, sources, ids))]
        found = holdings(con, shop, [source.relation for source in sources])
        tables += [kept for one in found if (kept := _made(con, shop, one, ids))]
        tables += _readings(con, sources, ids)
    except duckdb.Error as error:
        raise CvaError(f"{shop.db}: {reason_of(error)}") from None
    finally:
        con.close()
    tables += _published(shop, ids)
    named = customers_in_manifests(shop).items()
    manifests = tuple(str(file) for file, theirs in named if not theirs.isdisjoint(ids))
    if not tables and not manifests:
        raise UsageError(
            f"nothing is kept of customer {customer!r} in {shop.db}; expected an id of the raw"
            " tables or of customer_value"
        )
    says = next((k.rows[-1] for k in tables if k.table == f"{shop.schema}.{VALUES}"), None)
    names = ("reason_1", "reason_2", "reason_3")
    reasons = tuple(str(says[name]) for name in names if says and says.get(name) is not None)
    return Person(ids[0], tuple(ids), says, reasons, tuple(tables), manifests)


def _raw(
    con: DuckDBPyConnection, source: RawSource, sources: Sequence[RawSource], ids: Sequence[str]
) -> Kept | None:
    who = any_of(ids)
    theirs = source.of(who, orders_of(sources, who))
    if theirs is None:
        return None
    ours = [name for name, there in ((ROW, source.is_own), (KEY, source.has_key)) if there]
    left_out = f" exclude ({', '.join(ours)})" if ours else ""
    rows = _rows(con, f"select *{left_out} from (from ({source.rows}) where {theirs})")
    return Kept(source.shown, "raw", None, rows) if rows else None


def _made(
    con: DuckDBPyConnection, shop: ResolvedShop, one: Holding, ids: Sequence[str]
) -> Kept | None:
    rows = _rows(con, f"from {one.relation} where {one.of(any_of(ids))}")
    if rows and one.shown == f"{shop.schema}.{ALERTS}":  # as of the notes since the last run
        alerts = read_alerts(shop, con, tuple(State))
        rows = tuple(alert for alert in alerts if alert["customer_id"] in ids)
    if not rows:
        return None
    meaning = con.execute(
        "select comment from duckdb_tables() where database_name = current_database()"
        " and schema_name = ? and table_name = ?",
        [one.schema, one.table],
    ).fetchall()
    return Kept(one.shown, "cva" if one.is_ours else "own", meaning[0][0], rows)


def _readings(
    con: DuckDBPyConnection, sources: Sequence[RawSource], ids: Sequence[str]
) -> list[Kept]:
    """What was read of the person's texts."""
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name ="
        " current_database() and list_contains(?, table_name) order by all",
        [list(READINGS)],
    ).fetchall()
    who = any_of(ids)
    parts = every_text(sources, who, orders_of(sources, who))
    if not parts or not tables:
        return []
    theirs = f"select text_hash from ({' union all '.join(parts)}) where is_theirs"
    found = []
    for schema, table in tables:
        rows = _rows(con, f"from {quoted(schema)}.{quoted(table)} where text_hash in ({theirs})")
        if rows:
            found.append(Kept(f"{schema}.{table}", "cva", None, rows))
    return found


def _published(shop: ResolvedShop, ids: Sequence[str]) -> list[Kept]:
    """The rows that readers see."""
    file = shop.published / CURRENT / PUBLISHED_FILE
    if not file.is_file():
        return []
    check_owner(shop, Owned.PUBLISHED)
    con = connect(file, read_only=True)
    try:
        return [
            Kept(f"{CURRENT}/{one.table}", "published", None, rows)
            for one in holdings(con, shop)
            if (rows := _rows(con, f"from {one.relation} where {one.of(any_of(ids))}"))
        ]
    finally:
        con.close()


def _rows(con: DuckDBPyConnection, query: str) -> tuple[Row, ...]:
    found = con.execute(query)
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    for row in rows:
        if row.get(VECTOR) is not None:
            row[VECTOR] = f"{len(row[VECTOR])} numbers"
    return tuple(rows)
