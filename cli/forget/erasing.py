"""Erases people wherever a shop keeps something of them: first who it is, then one place a step.

Whom to erase is read from the tombstones in each step, so that a rerun goes on where a kill ended
it, whatever is left of the person by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cva_sql.cli.shop.history import Entry, recording
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.forgotten import Tombstones
    from cva_sql.cli.shop.shop import ResolvedShop

STAGING = "stg_cva__*"
TRAINING = "cva_train_cva"  # where training has its own


@dataclass(frozen=True)
class Forgotten:
    """What was erased: rows by table of the database, published rows, runs and files that went.

    `people` counts those who were asked for, `new` those of them who were not forgotten before.
    `left` are tables and files that are not cva's and have them, `notes` what else to know.
    """

    people: int
    new: int
    rows: dict[str, int]
    published_rows: int
    removed_runs: int
    removed_files: tuple[str, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class Erasure:
    """What the steps have found so far; `ids` are known by name in this call alone."""

    ids: tuple[str, ...]
    rows: dict[str, int] = field(default_factory=dict)
    published_rows: int = 0
    removed_runs: int = 0
    removed_files: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def forget_people(
    shop: ResolvedShop, customers: Sequence[str], *, even_if_unknown: bool = False
) -> Forgotten:
    """Erases these customers, each with every id that is theirs; all of them, or none.

    A customer of whom nothing is there raises UsageError, and is noted as forgotten alone where
    `even_if_unknown`. Killed or failed half-way, the same call goes on.
    """
    from cva_sql.cli.shop.owner import Owned, check_owner

    for one in (Owned.PUBLISHED, Owned.MODELS):
        check_owner(shop, one)
    # Before there is a row in cva_runs, which would name whom nobody knows.
    with _in_a_line(shop):
        ids, new = _find(shop, list(dict.fromkeys(customers)), even_if_unknown=even_if_unknown)
    return _erase(shop, ids, len(set(customers)), new)


@recording("forget", lambda found: Entry(rows=found.people))
def _erase(shop: ResolvedShop, ids: tuple[str, ...], people: int, new: int) -> Forgotten:
    """Notes the ids as forgotten, then does each step."""
    from cva_sql.cli.shop.progress import step

    erasure = Erasure(ids)
    for name, do in STEPS.items():
        with step(name), _in_a_line(shop):
            do(shop, erasure)
    return Forgotten(
        people,
        new,
        dict(sorted(erasure.rows.items())),
        erasure.published_rows,
        erasure.removed_runs,
        tuple(erasure.removed_files),
        tuple(erasure.left),
        tuple(erasure.notes),
    )


@contextmanager
def _in_a_line(shop: ResolvedShop) -> Iterator[None]:
    """Raises CvaError for what DuckDB says of the database."""
    import duckdb

    from cva_sql.cli.shop.connection import reason_of

    try:
        yield
    except duckdb.Error as error:
        raise CvaError(f"{shop.db}: {reason_of(error)}") from None


def _find(
    shop: ResolvedShop, customers: Sequence[str], *, even_if_unknown: bool
) -> tuple[tuple[str, ...], int]:
    """Every id of the customers, and how many of these were not forgotten before."""
    from cva_sql.cli.person.holdings import holdings
    from cva_sql.cli.person.identity import any_of, ids_of_person
    from cva_sql.cli.person.manifests import customers_in_manifests
    from cva_sql.cli.person.raw import raw_sources
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.forgotten import read_tombstones

    named = frozenset[str]().union(*customers_in_manifests(shop).values())
    con = connect(shop.db, read_only=True)
    try:
        sources = raw_sources(con, shop)
        tables = holdings(con, shop, [source.relation for source in sources])
        known, ids, new = read_tombstones(con), set[str](), 0
        for customer in customers:
            theirs = ids_of_person(con, shop, customer)
            ids |= set(theirs)
            if known is not None and known.is_named(customer):
                continue
            who = any_of(theirs)
            places = [(s.rows, said) for s in sources if (said := s.of(who)) is not None]
            places += [(f"from {one.relation}", one.of(who)) for one in tables]
            is_let = even_if_unknown or not named.isdisjoint(theirs)
            if not is_let and not any(_has(con, *place) for place in places):
                raise UsageError(
                    f"nothing is kept of customer {customer!r}, so nobody was forgotten; leave"
                    " them out, or keep a file from bringing them in later: --even-if-unknown"
                )
            new += 1
    finally:
        con.close()
    return tuple(sorted(ids)), new


def _note(shop: ResolvedShop, erasure: Erasure) -> None:
    """Writes the tombstones, before anything is erased."""
    from cva_sql.cli.forget.database import note_orders, writing
    from cva_sql.cli.forget.models import told_apart
    from cva_sql.cli.person.identity import any_of
    from cva_sql.cli.person.raw import raw_sources
    from cva_sql.cli.shop.forgotten import add_tombstones

    with writing(shop.db) as con:
        erasure.notes += told_apart(con, shop, any_of(erasure.ids))
        known = add_tombstones(con, erasure.ids)
        note_orders(con, raw_sources(con, shop), known)


def _has(con: DuckDBPyConnection, rows: str, condition: str) -> bool:
    return bool(con.execute(f"select 1 from ({rows}) where {condition} limit 1").fetchall())


def _leave_out(shop: ResolvedShop, erasure: Erasure) -> None:
    """Names tables of the user's own that have them, and lets staging leave them out there."""
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.forgotten import read_tombstones

    con = connect(shop.db)
    try:
        known = read_tombstones(con)
        if known is None:
            return
        own, others = _tables_of_others(con, shop, known)
        schemas = _staged_schemas(con)
    finally:
        con.close()
    erasure.left += [
        f"{one}, which has no mark of cva load; staging leaves them out" for one in own
    ]
    erasure.left += [f"{one}, a table of your own" for one in others]
    if own and schemas:
        try:
            _stage_anew(shop, is_trained=TRAINING in schemas)
        except CvaError as error:
            erasure.notes.append(f"staging could not be built anew, which cva run does: {error}")


def _tables_of_others(
    con: DuckDBPyConnection, shop: ResolvedShop, known: Tombstones
) -> tuple[list[str], list[str]]:
    """Raw tables that have them and no mark of cva load, and other tables that are not cva's."""
    from cva_sql.cli.person.holdings import holdings
    from cva_sql.cli.person.raw import raw_sources

    sources = raw_sources(con, shop)
    own = [
        source.shown
        for source in sources
        if not source.is_own
        and (said := source.of(known.is_customer)) is not None
        and _has(con, source.rows, said)
    ]
    others = [
        one.shown
        for one in holdings(con, shop, [source.relation for source in sources])
        if not one.is_ours and _has(con, f"from {one.relation}", one.of(known.is_customer))
    ]
    return own, others


def _staged_schemas(con: DuckDBPyConnection) -> set[str]:
    """The schemas that staging was built in."""
    found = con.execute(
        "select distinct schema_name from duckdb_views() where database_name = current_database()"
        " and starts_with(view_name, 'stg_cva__')"
    ).fetchall()
    return {schema for (schema,) in found}


def _stage_anew(shop: ResolvedShop, *, is_trained: bool) -> None:
    from cva_sql.cli.shop.dbt_runner import run_dbt

    run_dbt(shop, "run", select=[STAGING], variables={"cva_spine": "scoring"})
    if is_trained:
        variables = {"cva_spine": "training"}
        run_dbt(shop, "run", select=[STAGING], variables=variables, schema="cva_train")


def _delete(shop: ResolvedShop, erasure: Erasure) -> None:
    from cva_sql.cli.forget.database import delete_people

    erasure.rows |= delete_people(shop)


def _redact_models(shop: ResolvedShop, erasure: Erasure) -> None:
    from cva_sql.cli.forget.models import redact_manifests
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.forgotten import read_tombstones

    con = connect(shop.db)
    try:
        if (known := read_tombstones(con)) is not None:
            notes, left = redact_manifests(con, shop, known)
            erasure.notes += notes
            erasure.left += left
    finally:
        con.close()


def _rewrite(shop: ResolvedShop, erasure: Erasure) -> None:
    from cva_sql.cli.forget.database import rewrite

    rewrite(shop.db)


def _republish(shop: ResolvedShop, erasure: Erasure) -> None:
    from cva_sql.cli.forget.published import republish

    if (known := _known(shop)) is not None:
        erasure.published_rows, erasure.removed_runs = republish(shop, known)


def _clear(shop: ResolvedShop, erasure: Erasure) -> None:
    from cva_sql.cli.forget.leftovers import clear_pages, clear_work

    clear_work(shop)
    if (known := _known(shop)) is not None:
        removed, left = clear_pages(shop, known, erasure.ids)
        erasure.removed_files += removed
        erasure.left += left


def _known(shop: ResolvedShop) -> Tombstones | None:
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.forgotten import read_tombstones

    con = connect(shop.db, read_only=True)
    try:
        return read_tombstones(con)
    finally:
        con.close()


STEPS: dict[str, Callable[[ResolvedShop, Erasure], None]] = {
    "noting whom": _note,
    "tables of your own": _leave_out,
    "tables": _delete,
    "models": _redact_models,
    "the database's file": _rewrite,
    "published runs": _republish,
    "logs and files": _clear,
}
