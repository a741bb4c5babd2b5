"""What is watched: a folder that files arrive in, or a table that somebody else fills."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from cva_sql.cli.shop.connection import connect, find_relation
from cva_sql.cli.shop.history import OK
from cva_sql.cli.shop.history import TABLE as RUNS
from cva_sql.cli.shop.lock import locked
from cva_sql.cli.shop.shop import CURRENT
from cva_sql.cli.watch.arriving import (
    TABLE,
    WHERE,
    Reading,
    Taken,
    load_arrivals,
    loaded_before,
    note,
)
from cva_sql.cli.watch.folder import Settling, State, new_files
from cva_sql.udfs.errors import CvaError
from cva_sql.udfs.sessions import DEPLOYED_FILE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

NOTHING = Taken(0, 0, ())
AT_MOST = 100  # files of a round, so that a backlog is published by and by
Data = tuple[object, ...]  # what changes when there is something to run for


class Source(Protocol):
    """Where rows come from."""

    def take(self) -> Taken:
        """Loads what arrived since."""

    def has_more(self) -> bool:
        """Whether there is more to take at once."""

    def is_waiting(self) -> bool:
        """Whether something is there that cannot be taken yet."""

    def state(self, shop: ResolvedShop) -> Data | None:
        """What is to be run for; None where the published tables are of it."""

    def remember(self, shop: ResolvedShop, state: Data) -> None:
        """Notes that a run published `state`."""


@dataclass
class Folder:
    """Files in a folder; those that were written within `settle` seconds may not be whole."""

    path: Path
    db: Path
    how: Reading
    settling: Settling
    _known: dict[str, State] | None = None
    _is_full: bool = False
    _waiting: int = 0
    _seen: tuple[Data, Data | None] | None = None

    def take(self) -> Taken:
        if self._known is None:
            self._known = loaded_before(self.db)
        files, self._waiting = new_files(self.path, self._known, self.settling)
        self._is_full = len(files) > AT_MOST
        if not files:
            return NOTHING
        files = files[:AT_MOST]
        self._seen = None
        taken = load_arrivals(self.db, self.path, files, self.how)
        self._known |= {file.name: file.state for file in files if file.name in taken.done}
        return taken

    def has_more(self) -> bool:
        return self._is_full

    def is_waiting(self) -> bool:
        return self._waiting > 0

    def state(self, shop: ResolvedShop) -> Data | None:
        """The last load; None where a run began after it, with the model that is deployed.

        The database is looked at once after each load, run and deployment, so that other commands
        can write it.
        """
        around: Data = (_deployed_at(shop), (shop.published / CURRENT).exists())
        if self._seen is None or self._seen[0] != around:
            self._seen = around, self._look(shop, around)
        return self._seen[1]

    def _look(self, shop: ResolvedShop, around: Data) -> Data | None:
        if not self.db.is_file():
            return None
        with locked(self.db):  # not between the turns of a command that writes
            con = connect(self.db, read_only=True)
        try:
            if find_relation(con, *shop.raw_table("orders")) is None:
                return None
            loaded = None
            if find_relation(con, "main", TABLE) is not None:
                ((loaded,),) = con.execute(f"select max(loaded_at) from {WHERE}").fetchall()
            return None if _ran_since(con, shop, loaded) else (loaded, *around)
        finally:
            con.close()

    def remember(self, shop: ResolvedShop, state: Data) -> None:
        """The run's own row says it."""
        self._seen = None


@dataclass
class Table:
    """A table of the shop's database, of which the count and a hash of its rows are kept."""

    schema: str
    name: str
    _seen: tuple[Data, Data | None] | None = None

    def take(self) -> Taken:
        return NOTHING

    def has_more(self) -> bool:
        return False

    def is_waiting(self) -> bool:
        return False

    def state(self, shop: ResolvedShop) -> Data | None:
        """The table's rows; None where those are what was published last."""
        log = shop.db.with_name(f"{shop.db.name}.wal")
        seen = (_modified(shop.db), _modified(log), _deployed_at(shop))
        if self._seen is None or self._seen[0] != seen:  # somebody wrote the database
            self._seen = seen, self._look(shop)
        return self._seen[1]

    def _look(self, shop: ResolvedShop) -> Data | None:
        with locked(shop.db):
            con = connect(shop.db, read_only=True)
        try:
            relation = find_relation(con, self.schema, self.name)
            if relation is None:
                raise CvaError(f"{self.schema}.{self.name} is gone; expected a table to look at")
            ((count, rows_hash),) = con.execute(
                f"select count(*), coalesce(sum(hash(t)::hugeint), 0) % 9007199254740993"
                f" from {relation} as t"
            ).fetchall()
            now = (int(count), int(rows_hash))
            is_known = _ran_since(con, shop, None) and self._published(con) == now
        finally:
            con.close()
        return None if is_known else (*now, _deployed_at(shop))

    def _published(self, con: DuckDBPyConnection) -> State | None:
        if find_relation(con, "main", TABLE) is None:
            return None
        rows = con.execute(
            f"select bytes, modified_ns from {WHERE} where name = ?", [self._key]
        ).fetchall()
        return rows[0] if rows else None

    @property
    def _key(self) -> str:
        return f"table {self.schema}.{self.name}"

    def remember(self, shop: ResolvedShop, state: Data) -> None:
        seen = cast("State", state[:2])
        con = connect(shop.db)
        try:
            note(con, self._key, seen, self.name, seen[0])
        finally:
            con.close()


def _ran_since(con: DuckDBPyConnection, shop: ResolvedShop, loaded: object) -> bool:
    """Whether a run that was published began after the load and the deployment."""
    if find_relation(con, "main", RUNS) is None or not (shop.published / CURRENT).exists():
        return False
    ((count,),) = con.execute(
        f"select count(*) from main.{RUNS} where command = 'run' and outcome = '{OK}'"
        " and started_at > coalesce(?, '-infinity'::timestamp)"
        " and started_at > coalesce(to_timestamp(?) at time zone 'UTC', '-infinity'::timestamp)",
        [loaded, _deployed_at(shop)],
    ).fetchall()
    return bool(count)


def _deployed_at(shop: ResolvedShop) -> float | None:
    """When another model began to score, in seconds since 1970."""
    return _modified(shop.models_dir / DEPLOYED_FILE)


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
