"""Loads files that arrived, each with a note of it in one transaction, so that a kill loses none
and no file counts twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cva_sql.cli.load.arrivals import Arrival
from cva_sql.cli.load.by_preset import prepare_export, write_all
from cva_sql.cli.load.connection import connected, transaction
from cva_sql.cli.load.formats.source import FOUND_OUT
from cva_sql.cli.load.inputs import FROM, read_inputs
from cva_sql.cli.load.preset_source import forget_last
from cva_sql.cli.load.table import Into, Ready, Wanted, prepare_files, write
from cva_sql.cli.presets.preset import Preset, presets
from cva_sql.cli.shop.connection import connect, find_relation
from cva_sql.cli.shop.files import FULL
from cva_sql.cli.shop.progress import count_of, say
from cva_sql.cli.shop.sql_text import one_line
from cva_sql.cli.shop.tables import make_table
from cva_sql.cli.watch.folder import Arrived, State, reject
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.load.report import LoadReport

TABLE = "cva_watched_files"
WHERE = f"main.{TABLE}"
COLUMNS = {  # name -> (type, comment)
    "name": ("varchar", "the file, as it is called in the watched folder"),
    "bytes": ("bigint", "its size when it was loaded"),
    "modified_ns": ("bigint", "when it was written, in nanoseconds since 1970"),
    "kind": ("varchar", "the raw table or preset that it was read as"),
    "row_count": ("bigint", "rows that it brought"),
    "loaded_at": ("timestamp", "when it was loaded, UTC"),
}


@dataclass(frozen=True)
class Reading:
    """How files are read: the preset of those whose name says nothing, and what the user says."""

    preset: Preset | None
    wanted: Wanted
    into: Into


@dataclass(frozen=True)
class Taken:
    """What became of files: how many were loaded with how many rows, and which were rejected.

    `done` are those that are not to be read again as they are.
    """

    files: int
    rows: int
    rejected: tuple[str, ...]
    done: tuple[str, ...] = ()


def loaded_before(db: Path) -> dict[str, State]:
    """The files that the database has notes of: name -> what they were when they were loaded."""
    if not db.is_file():
        return {}
    con = connect(db, read_only=True)
    try:
        if find_relation(con, "main", TABLE) is None:
            return {}
        rows = con.execute(f"select name, bytes, modified_ns from {WHERE}").fetchall()
    finally:
        con.close()
    return {name: (size, modified) for name, size, modified in rows}


def load_arrivals(db: Path, folder: Path, files: Sequence[Arrived], how: Reading) -> Taken:
    """Loads the files, the first first; one that cannot be is moved to `rejected/`.

    Raises CvaError where the database cannot be written: then the rest is not loaded.
    """
    count, rows, rejected, done = 0, 0, list[str](), list[str]()
    with connected(db, how.into.timezone, sum(file.bytes for file in files)) as con:
        for file in files:
            try:
                reports = _load(con, file, how)
            except FileNotFoundError:
                continue  # taken away again
            except Poison as error:
                if _is_changed(file):
                    continue  # it is read again once it has settled
                done += _reject(folder, file, str(error))
                rejected.append(file.name)
                continue
            count, rows = count + 1, rows + sum(report.loaded.rows for report in reports)
            done.append(file.name)
            for report in reports:
                _say_lost(file, report)
    return Taken(count, rows, tuple(rejected), tuple(done))


def _is_changed(file: Arrived) -> bool:
    """Whether somebody has written the file since it was found."""
    try:
        now = file.path.stat()
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != file.state


def _reject(folder: Path, file: Arrived, reason: str) -> list[str]:
    """Moves a file away and says why; its name where it stays, so that it is said once."""
    try:
        place = reject(folder, file, reason)
    except CvaError as error:
        say(str(error))
        return [file.name]
    say(f"rejected {place.relative_to(folder)}: {reason}")
    return []


NOT_ITS_FAULT = re.compile("out of memory|has been invalidated|too many open files", re.IGNORECASE)


class Poison(Exception):
    """Why a file cannot be loaded, in one line."""


@contextmanager
def _poison_in_one_line(file: Arrived) -> Iterator[None]:
    """Raises Poison for what is wrong with the file, and lets pass what is not its fault."""
    import duckdb

    try:
        yield
    except FileNotFoundError:
        raise
    except (duckdb.FatalException, duckdb.OutOfMemoryException):
        raise
    except (CvaError, duckdb.Error, OSError, UnicodeError) as error:
        if FULL.search(str(error)) or NOT_ITS_FAULT.search(str(error)):
            raise
        if not file.path.exists():
            raise FileNotFoundError from None
        raise Poison(one_line(error)) from None


def _load(con: DuckDBPyConnection, file: Arrived, how: Reading) -> tuple[LoadReport, ...]:
    """What a file brought; Poison where it cannot be read, CvaError where it cannot be written."""
    zone = ZoneInfo(how.into.timezone)
    modified = datetime.fromtimestamp(file.modified_ns / 1e9, zone).replace(tzinfo=None)
    arrival = Arrival(file.name, modified)
    into = Into(how.into.schema, append=True, timezone=how.into.timezone, arrival=arrival)
    _clear(con)
    preset = presets().get(file.kind or "") or (how.preset if file.kind is None else None)
    with _poison_in_one_line(file):
        ready = _prepare(con, file, preset, how, into)
    with transaction(con):
        reports = write_all(con, ready, into) if preset else (write(con, ready[0], into),)
        kind, count = preset.name if preset else str(file.kind), sum(r.loaded.rows for r in reports)
        note(con, file.name, file.state, kind, count)
    return reports


def _prepare(
    con: DuckDBPyConnection, file: Arrived, preset: Preset | None, how: Reading, into: Into
) -> tuple[Ready, ...]:
    if preset is not None:
        inputs = read_inputs(con, [file.path], FOUND_OUT)
        return prepare_export(con, preset, inputs, how.wanted, into).ready
    if file.kind is None:
        raise CvaError(
            f"{file.name} does not say by its name which table it is of; call it e.g."
            f" orders-{file.path.name}, put it into a folder orders, or name a --preset"
        )
    return (prepare_files(con, file.kind, [file.path], how.wanted, into, FOUND_OUT),)


def note(con: DuckDBPyConnection, name: str, state: State, kind: str, rows: int) -> None:
    """Notes what a file or table was when it was loaded or published, in the place of before."""
    if find_relation(con, "main", TABLE) is None:
        make_table(con, WHERE, COLUMNS)
    con.execute(f"delete from {WHERE} where name = ?", [name])
    con.execute(
        f"insert into {WHERE} values (?, ?, ?, ?, ?, now() at time zone 'UTC')",
        [name, *state, kind, rows],
    )


def _clear(con: DuckDBPyConnection) -> None:
    """Drops the temporary relations of the file before, and lets go of it."""
    con.execute(f"detach database if exists {FROM}")
    forget_last(con, keeps=())


def _say_lost(file: Arrived, report: LoadReport) -> None:
    """Says what of a file could not be used; what was fine is said by its number alone."""
    for column in report.unreadable:
        say(
            f"{file.name}: {column.column} could not be read in {count_of(column.values, 'row')},"
            f" e.g. {column.example!r}"
        )
    for name, missing in report.missing.items():
        say(f"{file.name}: without {name}: {count_of(missing, 'row')}")
