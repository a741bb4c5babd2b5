"""Publishing: one immutable folder per run, one symlink renamed onto it. Readers never wait."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.run.comments import copy_comments
from cva_sql.cli.run.marts import Mart, find_marts
from cva_sql.cli.shop.connection import connect, reason_of
from cva_sql.cli.shop.files import room_in, size_of, sync, written_to
from cva_sql.cli.shop.owner import Owned, claim
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE, ResolvedShop
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEPT_RUNS = 3  # the current one and two to look back at; older ones are removed
UNFINISHED = ".unfinished-"
RUN_ID = re.compile(r"\d{8}T\d{12}")
RUN_MARKER = ".cva_run"  # in the folder of each run: its own name
# A tool that opens the file for writing would lock the next reader out, or change what is read.
READ_ONLY, READ_ONLY_FOLDER = 0o444, 0o555
# The first that holds the types of all tables, as the DuckDB in most BI tools is not the newest.
# Ours fit the oldest; a table of the user's own with a VARIANT needs 1.5.
STORAGE_VERSIONS = ("v1.0.0", "v1.5.0", "latest")


def publish(shop: ResolvedShop, run_id: str) -> Path:
    """Copies the tables into `published/<run_id>` and points `published/current` at it.

    The folder gets its name only when it is complete and on disk, and the link is replaced by a
    rename, so that a reader sees the former run or this one and a kill leaves the former. Raises
    CvaError, with nothing left behind, where the folder cannot be written.
    """
    return publish_files(shop, run_id, lambda folder: _copy_tables(shop, folder))


def publish_files(shop: ResolvedShop, run_id: str, fill: Callable[[Path], None]) -> Path:
    """The same of what `fill` writes into a folder."""
    root = shop.published
    check_place(shop)
    try:
        with room_in(root, _needed(shop)), written_to(root):
            sweep(root)
            return _publish(root, run_id, fill)
    finally:
        with suppress(OSError):
            sweep(root)


def sweep(root: Path) -> None:
    """Removes what a run that was killed or failed left in a folder of published runs."""
    for left in _unfinished(root):
        remove_run(left)


def check_place(shop: ResolvedShop) -> None:
    """Raises CvaError where what is published could not be put in its place."""
    claim(shop, Owned.PUBLISHED)
    current = shop.published / CURRENT
    if current.is_symlink():
        target = current.readlink()
        if not RUN_ID.fullmatch(str(target)):
            raise CvaError(f"{current} is a link to {target}, not to a run of cva's; remove it")
    elif current.exists():
        raise CvaError(f"{current} is no link of cva's; move it out of the way")


def _publish(root: Path, run_id: str, fill: Callable[[Path], None]) -> Path:
    work = root / f"{UNFINISHED}{run_id}"
    work.mkdir()
    fill(work)
    (work / RUN_MARKER).write_text(f"{run_id}\n", encoding="utf-8")
    for path in [*work.iterdir(), work]:
        sync(path)
        path.chmod(READ_ONLY_FOLDER if path == work else READ_ONLY)
    final = root / run_id
    work.rename(final)
    link = root / f"{UNFINISHED}link-{run_id}"
    link.symlink_to(run_id)
    link.replace(root / CURRENT)
    sync(root)
    _remove_old(root)
    return final


def _needed(shop: ResolvedShop) -> int:
    """About how many bytes a run takes: as many as the former one, or as the whole database."""
    former = shop.published / CURRENT
    if former.exists():
        return size_of(former.iterdir())
    return shop.db.stat().st_size


def _copy_tables(shop: ResolvedShop, folder: Path) -> None:
    con = connect(shop.db)
    try:
        copy_marts(con, find_marts(shop, con), folder, shop.schema)
    finally:
        con.close()


def copy_marts(con: DuckDBPyConnection, marts: Sequence[Mart], folder: Path, schema: str) -> None:
    """Writes the tables, and the macros of the schema, into files that as many as can may read."""
    for version in STORAGE_VERSIONS:
        too_new = _copy_into(con, marts, folder, version, schema)
        if too_new is None:
            return
        say(f"  {PUBLISHED_FILE} needs a DuckDB later than {version}: {too_new}")


def _copy_into(
    con: DuckDBPyConnection, marts: Sequence[Mart], folder: Path, version: str, schema: str
) -> str | None:
    """Why DuckDB's files of this version cannot hold a table; None once all are copied."""
    import duckdb

    file = folder / PUBLISHED_FILE
    mart: Mart | None = None
    try:
        con.execute(
            f"attach {literal(str(file))} as published (storage_version '{version}')"
        ).fetchall()
        for mart in marts:
            name = quoted(mart.name)
            con.execute(f"create table published.{name} as from {mart.sql}").fetchall()
            copy_comments(con, mart, f"published.{name}")
            con.execute(
                f"copy published.{name} to {literal(f'{folder / mart.name}.parquet')}"
                " (format parquet)"
            ).fetchall()
        mart = None
        _copy_macros(con, schema)
        con.execute("detach published").fetchall()
    except duckdb.Error as error:
        reason = f"{mart or file} cannot be published: {reason_of(error)}"
        if "storage version" not in reason or version == STORAGE_VERSIONS[-1]:
            raise CvaError(reason) from None
        con.execute("detach database if exists published").fetchall()
        for path in folder.iterdir():
            path.unlink()
        return reason
    return None


def _copy_macros(con: DuckDBPyConnection, schema: str) -> None:
    """Makes the package's table macros over what was copied."""
    macros = con.execute(
        "select function_name, parameters, macro_definition from duckdb_functions() "
        "where function_type = 'table_macro' and starts_with(function_name, 'cva_') "
        "and database_name = current_database() and schema_name = ? order by 1",
        [schema],
    ).fetchall()
    for name, parameters, definition in macros:
        for spelling in (schema, quoted(schema)):
            definition = definition.replace(f"FROM {spelling}.", "FROM ")
        con.execute(
            f"create macro published.{quoted(name)}({', '.join(parameters)}) as table {definition}"
        ).fetchall()


def _remove_old(root: Path) -> None:
    """Removes runs but the newest; nothing that a run of cva's did not make."""
    current = (root / CURRENT).readlink().name
    for path in runs_in(root)[:-KEPT_RUNS]:
        if path.name != current:
            with suppress(OSError):  # the next run tries again
                remove_run(path)


def runs_in(root: Path) -> list[Path]:
    """The folders that runs of cva's made, the oldest first."""
    return sorted(path for path in root.iterdir() if _is_run(path))  # by time: it is their name


def published_runs(root: Path) -> set[str]:
    """The names of the runs that are kept in a folder of published runs."""
    return {path.name for path in root.iterdir() if _is_run(path)} if root.is_dir() else set()


def _unfinished(root: Path) -> list[Path]:
    """What a run that was killed or failed left."""
    name = re.compile(rf"{re.escape(UNFINISHED)}(link-)?{RUN_ID.pattern}")
    return [path for path in root.iterdir() if name.fullmatch(path.name)]


def _is_run(path: Path) -> bool:
    """Whether a run made the folder: by its name, and by the marker that has the same."""
    if not RUN_ID.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        return False
    try:
        return (path / RUN_MARKER).read_text(encoding="utf-8").strip() == path.name
    except (OSError, UnicodeError):
        return False


def remove_run(path: Path) -> None:
    """Removes a run's folder, or a link."""
    if path.is_symlink() or not path.is_dir():  # rmtree refuses a link to a folder
        path.unlink()
        return
    path.chmod(0o755)  # nothing in a read-only folder can be removed
    shutil.rmtree(path)
