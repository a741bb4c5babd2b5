"""Publishing: one immutable folder per run, one symlink renamed onto it. Readers never wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.run.marts import Mart, find_marts
from cva_sql.cli.shop.connection import connect, reason_of
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE, ResolvedShop
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEPT_RUNS = 3  # the current one and two to look back at; older ones are removed
UNFINISHED = ".unfinished-"
# The first that holds the types of all tables, as the DuckDB in most BI tools is not the newest.
# Ours fit the oldest; a table of the user's own with a VARIANT needs 1.5.
STORAGE_VERSIONS = ("v1.0.0", "v1.5.0", "latest")


def publish(shop: ResolvedShop, run_id: str) -> Path:
    """Copies the tables into `published/<run_id>` and points `published/current` at it.

    The folder gets its name only when it is complete and on disk, and the link is replaced by a
    rename, so that a reader sees the former run or this one and a kill leaves the former.
    """
    root = shop.published
    root.mkdir(parents=True, exist_ok=True)
    for stale in root.glob(f"{UNFINISHED}*"):
        if stale.is_symlink() or not stale.is_dir():  # rmtree refuses a link to a folder
            stale.unlink()
        else:
            shutil.rmtree(stale, ignore_errors=True)
    work = root / f"{UNFINISHED}{run_id}"
    work.mkdir()
    _copy_tables(shop, work)
    for path in [*work.iterdir(), work]:
        _sync(path)
    final = root / run_id
    work.rename(final)
    link = root / f"{UNFINISHED}link-{run_id}"
    link.symlink_to(run_id)
    link.replace(root / CURRENT)
    _sync(root)
    _remove_old(root)
    return final


def _copy_tables(shop: ResolvedShop, folder: Path) -> None:
    con = connect(shop.db)
    try:
        marts = find_marts(shop, con)
        for version in STORAGE_VERSIONS:
            too_new = _copy_into(con, marts, folder, version)
            if too_new is None:
                return
            say(f"  {PUBLISHED_FILE} needs a DuckDB later than {version}: {too_new}")
    finally:
        con.close()


def _copy_into(
    con: DuckDBPyConnection, marts: Sequence[Mart], folder: Path, version: str
) -> str | None:
    """Why DuckDB's files of this version cannot hold a table; None once all are copied."""
    import duckdb

    file = folder / PUBLISHED_FILE
    con.execute(f"attach '{_quoted(file)}' as published (storage_version '{version}')").fetchall()
    mart: Mart | None = None
    try:
        for mart in marts:
            name = quoted(mart.name)
            con.execute(f"create table published.{name} as from {mart.sql}").fetchall()
            con.execute(
                f"copy published.{name} to '{_quoted(folder / mart.name)}.parquet' (format parquet)"
            ).fetchall()
        con.execute("detach published").fetchall()
    except duckdb.Error as error:
        reason = f"{mart} cannot be published: {reason_of(error)}"
        if "storage version" not in reason or version == STORAGE_VERSIONS[-1]:
            raise CvaError(reason) from None
        con.execute("detach database if exists published").fetchall()
        for path in folder.iterdir():
            path.unlink()
        return reason
    return None


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_old(root: Path) -> None:
    current = (root / CURRENT).resolve().name
    runs = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    for path in runs[:-KEPT_RUNS]:
        if path.name != current:
            shutil.rmtree(path, ignore_errors=True)
