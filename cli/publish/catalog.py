"""What lies in a schema of PostgreSQL, whose it is, and what publishing there would do to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cva_sql.cli.publish.tables import Table
from cva_sql.cli.publish.types import type_of
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from psycopg import Connection

MARK = re.compile(r"Published by cva from (.+ [0-9a-f]{12})\. Columns: ([0-9a-f]{12})\Z")
LONGEST = 63  # bytes of a name; PostgreSQL would cut a longer one
RELATIONS = """
select c.relname, c.relkind::text, obj_description(c.oid, 'pg_class') as comment,
    (select coalesce(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod))
        order by a.attnum), '[]')
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s order by c.relname
"""
VIEWS = """
select distinct t.relname, a.attname, v.oid::regclass::text
from pg_depend d
join pg_rewrite r on r.oid = d.objid
join pg_class v on v.oid = r.ev_class
join pg_class t on t.oid = d.refobjid
join pg_namespace n on n.oid = t.relnamespace
left join pg_attribute a
    on a.attrelid = t.oid and a.attnum = d.refobjsubid and d.refobjsubid > 0
where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
    and n.nspname = %s and v.oid <> t.oid
order by 1, 3
"""


@dataclass(frozen=True)
class Relation:
    """What has a name in the schema; `owner` is the database that published it, None for none."""

    is_table: bool
    columns: Mapping[str, str]
    owner: str | None
    is_changed: bool


@dataclass(frozen=True)
class Change:
    """A published table and the columns that it gets and loses there."""

    table: Table
    columns: Mapping[str, str]
    is_new: bool = False
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What publishing does: fills tables, drops what is no longer published, or empties it."""

    filled: list[Change] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


def marked(table: Table, columns: Mapping[str, str], owner: str) -> str:
    """The comment on a table, which says last who published it and as what."""
    mark = f"Published by cva from {owner}. Columns: {_digest(columns)}"
    return f"{table.comment}\n\n{mark}" if table.comment else mark


def make_plan(
    con: Connection[Any], schema: str, tables: Sequence[Table], owner: str, *, is_to_adopt: bool
) -> Plan:
    """Compares what is published with the schema; raises CvaError where it would harm something."""
    found = _read_relations(con, schema)
    wanted = {table.name: {c.name: type_of(c, table) for c in table.columns} for table in tables}
    _check_names([schema, *wanted, *(name for columns in wanted.values() for name in columns)])
    there = [name for name in wanted if name in found]
    for name in there:
        _check_ours(schema, name, found[name], owner, is_to_adopt=is_to_adopt)
    owners = {owner, *(found[name].owner for name in there)}
    views, plan = con.execute(VIEWS, [schema]).fetchall(), Plan()
    for table in tables:
        change = _change(table, wanted[table.name], found.get(table.name))
        _check_views(schema, change, views)
        plan.filled.append(change)
    read = {name for name, *_ in views}
    for name in sorted(found.keys() - wanted.keys()):
        if found[name].is_table and found[name].owner in owners:
            (plan.emptied if name in read else plan.dropped).append(name)
    return plan


def _read_relations(con: Connection[Any], schema: str) -> dict[str, Relation]:
    found = {}
    for name, kind, comment, columns in con.execute(RELATIONS, [schema]).fetchall():
        mark, types = MARK.search(comment or ""), dict(columns)
        is_changed = mark is not None and mark[2] != _digest(types)
        found[name] = Relation(kind == "r", types, mark[1] if mark else None, is_changed)
    return found


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if len(name.encode()) > LONGEST:
            raise CvaError(
                f"{name} is a name of more than {LONGEST} bytes, which PostgreSQL would cut; give a"
                " shorter one"
            )


def _check_ours(schema: str, name: str, found: Relation, owner: str, *, is_to_adopt: bool) -> None:
    """Raises CvaError for what cva did not make, and for what it made of another database."""
    place, elsewhere = f"{schema}.{name}", "or publish elsewhere, by ?schema=NAME in the URL"
    if not found.is_table or found.owner is None:
        raise CvaError(f"{place} is there and not cva's; rename it, {elsewhere}")
    if found.is_changed:
        raise CvaError(
            f"{place} has other columns than cva gave it; put yours into a table of your own and"
            f" drop this one, {elsewhere}"
        )
    if found.owner != owner and not is_to_adopt:
        raise CvaError(
            f"{place} is of another database, {found.owner}, and this is {owner}; if it was renamed"
            f" or moved, say --adopt, {elsewhere}"
        )


def _change(table: Table, columns: Mapping[str, str], found: Relation | None) -> Change:
    if found is None:
        return Change(table, columns, is_new=True)
    former = found.columns
    dropped = tuple(name for name, kind in former.items() if columns.get(name) != kind)
    added = tuple(name for name, kind in columns.items() if former.get(name) != kind)
    return Change(table, columns, dropped=dropped, added=added)


def _check_views(schema: str, change: Change, views: Sequence[tuple[str, str, str]]) -> None:
    """Raises CvaError where a view reads a column that goes."""
    for table, column, view in views:
        if table == change.table.name and column in change.dropped:
            raise CvaError(
                f"{view} reads {schema}.{table}.{column}, which "
                f"{'has another type' if column in change.columns else 'is no longer published'};"
                f" change it or drop it first: drop view {view}"
            )


def _digest(columns: Mapping[str, str]) -> str:
    """The same for the same columns in any order: one that is added stands last."""
    said = "\n".join(f"{name}\t{kind}" for name, kind in sorted(columns.items()))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
