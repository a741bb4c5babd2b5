"""Table cva_runs: what each command did to a shop, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from cva_sql.cli.shop.connection import connect, find_relation, reason_of
from cva_sql.cli.shop.files import room_in
from cva_sql.cli.shop.owner import Owned, claim
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.tables import make_table
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

P = ParamSpec("P")
Found = TypeVar("Found")
Command = Callable[Concatenate["ResolvedShop", P], Found]

TABLE = "cva_runs"
WHERE = f"main.{TABLE}"  # one for the database, whatever schema the marts have
COLUMNS = {  # name -> (type, comment)
    "started_at": ("timestamp", "when the command began, UTC"),
    "command": ("varchar", "run, train, load orders, …"),
    "finished_at": ("timestamp", "when it ended, UTC; null while it runs and where it was killed"),
    "duration_seconds": ("double", "how long it took"),
    "outcome": ("varchar", "ok, failed, killed, or running"),
    "reason": ("varchar", "why it failed, in one line"),
    "as_of_date": ("date", "the date that was looked from"),
    "row_count": ("bigint", "customers of a run, examples of a training, rows of another table"),
    "rejected_row_count": ("bigint", "raw rows that could not be used"),
    "model_version": ("varchar", "the model that scores, or that was trained"),
    "cva_version": ("varchar", "the version of cva"),
}
RUN_VARIABLE = "CVA_RUN_ID"  # says to dbt whose rows the history gets
RUNNING, OK, FAILED, KILLED = "running", "ok", "failed", "killed"
UNPUBLISHED = {FAILED: "failed", KILLED: "was killed", RUNNING: "did not end"}


@dataclass
class Entry:
    """What a command found, for its row; it fills in what it knows."""

    as_of: str | None = None
    rows: int | None = None
    rejected: int | None = None
    model_version: str | None = None

    def fill(self, other: Entry) -> None:
        """Takes over what another one says."""
        self.__dict__.update(other.__dict__)


def recording(
    command: str, tell: Callable[[Any], Entry], *folders: Owned
) -> Callable[[Command[P, Found]], Command[P, Found]]:
    """Decorates what a command does to a shop: it leaves a row, and `tell` says what it found.

    Before it begins, the folders it writes are the shop's own, dbt's among them; a disk that runs
    full is said with the bytes that are needed.
    """

    def decorate(call: Command[P, Found]) -> Command[P, Found]:
        @wraps(call)
        def do(shop: ResolvedShop, /, *arguments: P.args, **options: P.kwargs) -> Found:
            place, needed = shop.db.parent, shop.db.stat().st_size
            with room_in(place, needed):
                claim(shop, Owned.WORK, *folders)
                with recorded(shop.db, command) as entry:
                    with room_in(place, needed):  # here too: the row has the same reason
                        found = call(shop, *arguments, **options)
                    entry.fill(tell(found))
            return found

        return do

    return decorate


@contextmanager
def recorded(db: Path, command: str) -> Iterator[Entry]:
    """Writes the command's row, at its start and at its end, however that comes.

    No connection is open in between. A row that a killed command left is closed by the next one,
    which holds the shop's lock.
    """
    started, clock, entry = _now(), time.monotonic(), Entry()
    with _connected(db) as con:
        _begin(con, started, command)
    try:
        yield entry
    except BaseException as error:
        try:
            with _connected(db) as con:
                write_end(con, started, clock, entry, error)
        except CvaError as unwritten:  # the reason it failed is what has to be said
            say(f"  {TABLE} could not be written: {unwritten}")
        raise
    with _connected(db) as con:
        write_end(con, started, clock, entry)


@contextmanager
def recorded_in(con: DuckDBPyConnection, command: str) -> Iterator[Entry]:
    """The same for a command that has its connection open, and is done in one transaction.

    A row is written at its end alone: what was killed has done nothing.
    """
    import duckdb

    started, clock, entry = _now(), time.monotonic(), Entry()
    try:
        yield entry
    except BaseException as error:
        with suppress(duckdb.Error):  # of a database that is full or damaged: that is the reason
            if not _is_new(con):
                _make(con)
                _insert(con, started, command)
                write_end(con, started, clock, entry, error)
        raise
    _make(con)
    _insert(con, started, command)
    write_end(con, started, clock, entry)


def running_since(db: Path) -> datetime:
    """When the command that runs now began, as its row says, UTC."""
    con = connect(db, read_only=True)
    try:
        ((started,),) = con.execute(
            f"select max(started_at) from {WHERE} where outcome = '{RUNNING}'"
        ).fetchall()
    finally:
        con.close()
    return cast("datetime", started)


def run_id_of(moment: datetime) -> str:
    """What a run that began then is called: its folder in `published`, its rows in the history."""
    return moment.strftime("%Y%m%dT%H%M%S%f")


def say_unpublished(con: DuckDBPyConnection) -> None:
    """Says where the last run was not published: the tables may be what it left."""
    if find_relation(con, "main", TABLE) is None:
        return
    last = con.execute(
        f"select outcome, coalesce(reason, '') from {WHERE} where command = 'run'"
        " order by started_at desc limit 1"
    ).fetchone()
    if last and last[0] in UNPUBLISHED:
        why = f": {last[1]}" if last[1] else ""
        say(f"the last run {UNPUBLISHED[last[0]]}, and these tables may be what it left{why}")


def write_end(
    con: DuckDBPyConnection,
    started: datetime,
    clock: float,
    entry: Entry,
    error: BaseException | None = None,
) -> None:
    """Completes the row that began at `started`."""
    values: dict[str, Any] = {
        "finished_at": _now(),
        "duration_seconds": round(time.monotonic() - clock, 3),
        "outcome": FAILED if error else OK,
        "reason": _reason(error) if error else None,
        "as_of_date": entry.as_of,
        "row_count": entry.rows,
        "rejected_row_count": entry.rejected,
        "model_version": entry.model_version,
    }
    con.execute(
        f"update {WHERE} set {', '.join(f'{name} = ?' for name in values)} "
        f"where started_at = ? and outcome = '{RUNNING}'",
        [*values.values(), started],
    ).fetchall()


def _begin(con: DuckDBPyConnection, started: datetime, command: str) -> None:
    _make(con)
    con.execute(f"update {WHERE} set outcome = '{KILLED}' where outcome = '{RUNNING}'").fetchall()
    _insert(con, started, command)


def _insert(con: DuckDBPyConnection, started: datetime, command: str) -> None:
    from importlib.metadata import version

    con.execute(
        f"insert into {WHERE} (started_at, command, outcome, cva_version) values (?, ?, ?, ?)",
        [started, command, RUNNING, version("cva-sql")],
    ).fetchall()


def _make(con: DuckDBPyConnection) -> None:
    if find_relation(con, "main", TABLE) is None:
        make_table(con, WHERE, COLUMNS)


def _is_new(con: DuckDBPyConnection) -> bool:
    """Whether the database has no table yet: one that a failed load leaves is removed."""
    return not con.execute(
        "select 1 from information_schema.tables where table_catalog = current_database() "
        "and table_schema <> 'information_schema' limit 1"
    ).fetchall()


@contextmanager
def _connected(db: Path) -> Iterator[DuckDBPyConnection]:
    import duckdb

    con = connect(db)
    try:
        yield con
    except duckdb.Error as error:
        raise CvaError(f"{db}: {WHERE} cannot be written: {reason_of(error)}") from None
    finally:
        con.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, CvaError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return " ".join(f"{type(error).__name__}: {error}".split())[:1000]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
