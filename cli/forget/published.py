"""Publishes the tables without people who are forgotten, and removes the runs that have them."""

from __future__ import annotations

import shutil
from pathlib import Path

from cva_sql.cli.person.holdings import holdings
from cva_sql.cli.run.marts import Mart
from cva_sql.cli.run.publish import copy_marts, publish_files, remove_run, runs_in, sweep
from cva_sql.cli.shop.connection import connect, reason_of
from cva_sql.cli.shop.files import written_to
from cva_sql.cli.shop.forgotten import Tombstones
from cva_sql.cli.shop.history import run_id_of, running_since
from cva_sql.cli.shop.own_project import DEFAULT_SCHEMA
from cva_sql.cli.shop.owner import Owned, check_owner
from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE, ResolvedShop
from cva_sql.udfs.errors import CvaError

FOLDER = "forget"  # in the shop's .cva/, for the time of the command


def republish(shop: ResolvedShop, known: Tombstones) -> tuple[int, int]:
    """Takes them out of what readers open; how many rows went, and how many runs were removed.

    What was published last is published again without their rows: a reader sees the former run or
    this one. Earlier runs that have them are removed.
    """
    if not shop.published.is_dir():
        return 0, 0
    check_owner(shop, Owned.PUBLISHED)
    with written_to(shop.published):
        sweep(shop.published)
    current = shop.published / CURRENT
    file, rows = current / PUBLISHED_FILE, 0
    if file.is_file() and (rows := _count(file, shop, known)):
        folder = shop.work_dir / FOLDER
        try:
            publish_files(
                shop,
                run_id_of(running_since(shop.db)),
                lambda out: _write_without(file, shop, known, folder, out),
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return rows, _remove_runs(shop, known)


def _count(file: Path, shop: ResolvedShop, known: Tombstones) -> int:
    """How many published rows are theirs; raises CvaError where the file cannot be read."""
    import duckdb

    con = connect(file, read_only=True)
    try:
        theirs = known.beside(con).is_customer
        counts = [
            con.execute(f"select count(*) from {one.relation} where {one.of(theirs)}").fetchall()
            for one in holdings(con, shop)
        ]
        return sum(int(count[0][0]) for count in counts)
    except duckdb.Error as error:
        raise CvaError(f"{file} cannot be read: {reason_of(error)}") from None
    finally:
        con.close()


def _write_without(
    file: Path, shop: ResolvedShop, known: Tombstones, aside: Path, out: Path
) -> None:
    """Writes what is published into `out`, but for their rows; `aside` is where it is copied to."""
    shutil.rmtree(aside, ignore_errors=True)  # what a killed command left
    aside.mkdir(parents=True, mode=0o700)
    copy = aside / PUBLISHED_FILE
    shutil.copyfile(file, copy)
    con = connect(copy)
    try:
        theirs = known.beside(con).is_customer
        for one in holdings(con, shop):
            con.execute(f"delete from {one.relation} where {one.of(theirs)}").fetchall()
        names = con.execute(
            "select table_name from duckdb_tables() where database_name = current_database()"
            " order by table_oid"
        ).fetchall()
        copy_marts(con, [Mart(DEFAULT_SCHEMA, name) for (name,) in names], out, DEFAULT_SCHEMA)
    finally:
        con.close()


def _remove_runs(shop: ResolvedShop, known: Tombstones) -> int:
    """Removes the runs but the current one that have somebody forgotten; how many there were."""
    current = (shop.published / CURRENT).resolve().name
    removed = 0
    for run in runs_in(shop.published):
        if run.name != current and _has_them(run, shop, known):
            with written_to(shop.published):
                remove_run(run)
            removed += 1
    return removed


def _has_them(run: Path, shop: ResolvedShop, known: Tombstones) -> bool:
    """Whether a former run has rows of theirs; one that cannot be read is taken to have them."""
    try:
        return _count(run / PUBLISHED_FILE, shop, known) > 0
    except CvaError:
        return True
