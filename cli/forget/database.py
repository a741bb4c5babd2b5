"""Takes people who are forgotten out of a shop's database, and out of its file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.forget.texts import delete_readings
from cva_sql.cli.person.holdings import holdings
from cva_sql.cli.person.raw import ROW, RawSource, raw_sources
from cva_sql.cli.shop.connection import connect, find_relation, reason_of
from cva_sql.cli.shop.files import room_in, sync, unfinished, written_to
from cva_sql.cli.shop.forgotten import Tombstones, add_orders, read_tombstones
from cva_sql.cli.shop.limits import duckdb_limits
from cva_sql.cli.shop.sql_text import literal
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

SAID = (("main", "cva_runs"), (None, "cva_training_runs"))  # tables with a reason in words


@contextmanager
def writing(db: Path) -> Iterator[DuckDBPyConnection]:
    """A connection whose changes are all kept, in the file itself, or none of them."""
    import duckdb

    con = connect(db)
    try:
        con.begin()
        yield con
        con.commit()
        con.execute("checkpoint").fetchall()
    except duckdb.Error as error:
        raise CvaError(f"{db}: {reason_of(error)}") from None
    finally:
        con.close()


def note_orders(con: DuckDBPyConnection, sources: Sequence[RawSource], known: Tombstones) -> None:
    """Notes the orders that only they have: their lines, and reviews that name nobody, are theirs.

    By order_id; where somebody else has the same one, by it and the store.
    """
    for source in sources:
        theirs = source.of(known.is_customer)
        if source.table == "orders" and theirs is not None:
            has_store = "store" in source.columns
            add_orders(con, known, source.rows, theirs, has_store=has_store)


def delete_people(shop: ResolvedShop) -> dict[str, int]:
    """Deletes every row of who is forgotten in the tables that cva made; rows by table."""
    with writing(shop.db) as con:
        known = read_tombstones(con)
        if known is None:
            return {}
        sources = raw_sources(con, shop)
        deleted = delete_readings(con, sources, known.is_customer, known.is_order)
        for source in sources:
            theirs = source.of(known.is_customer, known.is_order)
            if source.is_own and theirs is not None:
                rows = con.execute(
                    f"delete from {source.relation} where rowid in"
                    f" (select {ROW} from ({source.rows}) where {theirs})"
                ).fetchall()
                deleted[source.shown] = int(rows[0][0])
        for one in holdings(con, shop, [source.relation for source in sources]):
            if one.is_ours:
                rows = con.execute(
                    f"delete from {one.relation} where {one.of(known.is_customer)}"
                ).fetchall()
                deleted[one.shown] = deleted.get(one.shown, 0) + int(rows[0][0])
        _redact(con, shop, known)
    return {name: count for name, count in deleted.items() if count}


def _redact(con: DuckDBPyConnection, shop: ResolvedShop, known: Tombstones) -> None:
    """Takes ids out of what commands said of their failures."""
    for schema, table in SAID:
        relation = find_relation(con, schema or shop.schema, table)
        if relation is None:
            continue
        said = con.execute(
            f"select distinct reason from {relation} where reason is not null"
        ).fetchall()
        for (reason,) in said:
            if (other := known.redacted(reason)) != reason:
                con.execute(
                    f"update {relation} set reason = ? where reason = ?", [other, reason]
                ).fetchall()


def rewrite(db: Path) -> None:
    """Writes the database anew, without what deleted rows left in its file.

    The copy gets the file's name once it is whole and on disk, so that a kill leaves the former.
    """
    import duckdb

    target = db.resolve()
    with room_in(target.parent, target.stat().st_size), written_to(target.parent):
        folder = unfinished(target)
        folder.mkdir(mode=0o700)
        new = folder / target.name
        con = duckdb.connect(":memory:", config={**duckdb_limits()})
        try:
            con.execute(f"attach {literal(str(target))} as cva_old (read_only)")
            con.execute(
                f"attach {literal(str(new))} as cva_new (storage_version {literal(_version(con))})"
            )
            con.execute(f"set temp_directory = {literal(str(folder / 'tmp'))}")
            con.execute("copy from database cva_old to cva_new").fetchall()
            con.execute("detach cva_new").fetchall()
            shutil.copymode(target, new)
            sync(new)
            # The former is held open until here, so that nobody writes it any more.
            new.replace(target)
            sync(target.parent)
        except duckdb.Error as error:
            raise CvaError(f"{db} could not be written anew: {reason_of(error)}") from None
        finally:
            con.close()
            shutil.rmtree(folder, ignore_errors=True)


def _version(con: DuckDBPyConnection) -> str:
    """The storage version of the former file, for whoever opens it with an older DuckDB."""
    rows = con.execute(
        "select tags['storage_version'] from duckdb_databases() where database_name = 'cva_old'"
    ).fetchall()
    return str(rows[0][0] or "latest").removesuffix("+")
