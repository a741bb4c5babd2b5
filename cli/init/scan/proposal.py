"""`cva init --scan`: which tables of a database are which canonical tables, with the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.init.scan.evidence import add_evidence, add_open_questions
from cva_sql.cli.init.scan.guesses import guess_orders
from cva_sql.cli.init.scan.joins import can_sum, join_orders
from cva_sql.cli.init.scan.lines import join_parts
from cva_sql.cli.init.scan.marks import add_marks
from cva_sql.cli.init.scan.match import (
    POSSIBLE,
    SURE,
    Match,
    Proposal,
    TableMatch,
    match_table,
    parents,
    read_as,
)
from cva_sql.cli.init.scan.people import Person, find_person, join_person
from cva_sql.cli.init.scan.tables import READABLE, Table, list_tables, opened, overlap
from cva_sql.cli.init.scan.vendors import find_vendor
from cva_sql.cli.shop.column_meanings import table_score
from cva_sql.cli.shop.package import canonical_tables, raw_tables
from cva_sql.cli.shop.sql_text import one_line
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BY_VALUES_DISTINCT = 20  # fewer ids overlap by chance


def scan_database(db: Path, schema: str | None = None) -> Proposal:
    """The mapping of a DuckDB database's tables that their names and values speak for.

    Nothing is written. Of several schemas the one with the best tables is taken: cva reads one.
    Raises UsageError or CvaError where the database cannot be read or has no table.
    """
    with opened(db) as con:
        tables, unread = _readable_tables(con, schema)
        if not tables:
            where = f"schema {schema} of {db}" if schema else str(db)
            why = f" ({unread[0]})" if unread else ""
            raise CvaError(
                f"{where} has no table to scan{why}; load one with: cva load orders FILE"
            )
        schemas = sorted({table.schema for table in tables})
        vendor, problems = find_vendor(con, db, schemas)
        if vendor is not None:
            count = sum(table.schema == vendor.schema for table in tables)
            loads = [vendor.command]
            return Proposal(db, vendor.target, count, {}, unread, loads, vendor=vendor)
        found = {name: _match_schema([t for t in tables if t.schema == name]) for name in schemas}
        best = max(found, key=lambda name: sum(m[0].score for m in found[name].values() if m))
        own = [table for table in tables if table.schema == best]
        proposal, incomplete, person = _propose(db, best, found[best], own)
        proposal.questions[:0] = [*unread, *problems]
        _look_elsewhere(proposal, found)
        add_evidence(proposal)
        join_parts(proposal, found[best], own)
        _join_orders(proposal, incomplete, person, own)
        add_open_questions(proposal, own, incomplete)
        return proposal


def propose(db: Path, tables: list[Table]) -> Proposal:
    """Which of the tables of one schema is what, without what speaks for it."""
    proposal, incomplete, person = _propose(db, tables[0].schema, _match_schema(tables), tables)
    _join_orders(proposal, incomplete, person, tables)
    return proposal


def _propose(
    db: Path, schema: str, options: dict[str, list[TableMatch]], tables: list[Table]
) -> tuple[Proposal, dict[str, TableMatch], Person | None]:
    """The likeliest tables with what marks their rows, those that lack a column, and the person."""
    chosen = {role: found[0] for role, found in options.items() if found}
    proposal = Proposal(db, schema, len(tables), chosen)
    incomplete = _incomplete(proposal, tables)
    for match in (*proposal.tables.values(), *incomplete.values()):
        add_marks(match)
    return proposal, incomplete, _complete_orders(proposal, incomplete, tables)


def _join_orders(
    proposal: Proposal,
    incomplete: dict[str, TableMatch],
    person: Person | None,
    tables: list[Table],
) -> None:
    """Joins what orders need from other tables."""
    orders = proposal.tables.get("orders") or incomplete.get("orders")
    if orders is not None:
        join_orders(proposal, orders, person, tables)


def _readable_tables(con: DuckDBPyConnection, schema: str | None) -> tuple[list[Table], list[str]]:
    import duckdb

    tables, unread = [], []
    for table in list_tables(con, schema):
        try:
            _ = table.columns
            tables.append(table)
        except duckdb.Error as error:
            unread.append(f"{table.shown} cannot be read: {one_line(error)}")
    return tables, unread


def _match_schema(tables: list[Table]) -> dict[str, list[TableMatch]]:
    """Per role the tables that may be it, the likeliest first; none is first in two of them."""
    roles = canonical_tables()
    options = {role: [m for t in tables if (m := match_table(role, t))] for role in roles}
    for role in options:
        # Order lines only where no table has one row per order.
        options[role].sort(key=lambda m: (m.is_lines, -m.score, -m.table.rows, m.table.name))
    _relate(options)
    taken: dict[str, str] = {}
    ranked = sorted(
        (m for found in options.values() for m in found if m.score >= POSSIBLE and not m.missing),
        key=lambda m: (m.is_lines, -m.score, list(roles).index(m.role)),
    )
    first: dict[str, TableMatch] = {}
    for match in ranked:
        is_free = match.table.name not in taken or match.is_lines
        if match.role not in first and is_free:
            first[match.role] = match
            if not match.is_lines:
                taken[match.table.name] = match.role
    for role, found in options.items():
        kept = [m for m in found if m is not first.get(role)]
        kept = [m for m in kept if taken.get(m.table.name, role) == role]
        options[role] = ([first[role]] if role in first else []) + [
            m for m in kept if role in first and m.score >= POSSIBLE and not m.missing
        ]
    return options


def _relate(options: dict[str, list[TableMatch]]) -> None:
    """Finds ids that no name gave by their values: a parent's ids are in the child's column."""
    for found in options.values():
        for match in found:
            for name in match.missing:
                parent = next(iter(options.get(parents().get(name, ""), [])), None)
                key = parent.source(name) if parent else None
                if parent is None or key is None or parent.table is match.table:
                    continue
                used = {m.source for m in match.columns.values()}
                free = [c for c in match.table.columns.values() if c.name not in used]
                shares = [
                    (overlap(match.table, column, parent.table, key), column)
                    for column in free
                    if column.distinct >= BY_VALUES_DISTINCT and read_as(match.table, column, "id")
                ]
                good = [pair for pair in shares if pair[0] >= READABLE]
                if len(good) == 1:
                    share, column = good[0]
                    doubt = "" if column.is_text else "whole numbers overlap easily"
                    match.columns[name] = Match(match.table.sql(column), SURE, column.name, doubt)
                    match.score = round(
                        match.score + 0.55 * SURE / len(raw_tables()[match.role].required), 2
                    )
                    match.evidence.append(
                        f"{name}: {share:.1%} of {column.name} are in {parent.table.name}"
                    )
            match.missing = tuple(n for n in match.missing if n not in match.columns)


def _incomplete(proposal: Proposal, tables: list[Table]) -> dict[str, TableMatch]:
    """Tables that are called like a canonical one that was not found, and lack a column of it."""
    used = {match.table.name for match in proposal.tables.values()}
    incomplete: dict[str, TableMatch] = {}
    for role in canonical_tables():
        for table in tables:
            is_called_so = table_score(role, table.name) == 1 and table.name not in used
            match = match_table(role, table) if is_called_so else None
            if match is not None and match.missing and role not in proposal.tables:
                incomplete.setdefault(role, match)
    return incomplete


def _complete_orders(
    proposal: Proposal, incomplete: dict[str, TableMatch], tables: list[Table]
) -> Person | None:
    """Looks for orders by values alone where names do not tell; the person of another table."""
    orders = proposal.tables.get("orders") or incomplete.get("orders")
    if orders is not None:
        person = next(iter(find_person(orders, proposal, tables)), None)
        if person is not None:
            join_person(orders, person, proposal)
        if not orders.missing or can_sum(proposal, orders):
            return person
    used = {match.table.name for match in proposal.tables.values()}
    guessed = guess_orders([table for table in tables if table.name not in used], orders)
    if guessed is not None:
        if orders is None:
            add_marks(guessed)
        proposal.tables["orders"] = guessed
        incomplete.pop("orders", None)
    return None


def _look_elsewhere(proposal: Proposal, found: dict[str, dict[str, list[TableMatch]]]) -> None:
    for schema, options in found.items():
        for role, matches in options.items():
            if schema != proposal.schema and matches and role not in proposal.tables:
                proposal.questions.append(
                    f"{matches[0].table.shown} looks like {role}, but cva reads one schema: make "
                    f"a view of it in {proposal.schema}"
                )
