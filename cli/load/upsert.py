"""A later load of rows that are there already: what changed replaces them, the rest is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.arrivals import (
    FILE,
    SINCE,
    STATUS,
    VERSION,
    date_statuses,
    keep_first_statuses,
    version,
)
from cva_sql.cli.load.report import Changes
from cva_sql.cli.shop.package import RawTable
from cva_sql.cli.shop.sql_text import column_names, literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Rows of this load and those of the table that they meet, with `cva_key`; what becomes of a key.
NEW, KNOWN, JUDGED = "temp.cva_new", "temp.cva_known", "temp.cva_judged"


def newest_versions(con: DuckDBPyConnection, table: RawTable, *, dates: bool = True) -> int:
    """Leaves in READ the rows with the newest updated_at of each key; how many older ones go.

    An order whose status changed with a version gets that version's updated_at as its
    status_changed_at, where it has none, so that earlier dates see the order as it was; unless
    `dates` is false.
    """
    names = column_names(con, f"from {rows.READ}")
    key = _key(names, table)
    if VERSION not in names or not rows.repeated_keys(con, rows.READ, key):
        return 0
    by = ", ".join(key)
    if dates and STATUS in names and SINCE in table.columns:
        _date_statuses(con, names, by)
    before = rows.count_rows(con, rows.READ)
    con.execute(
        f"create or replace temp table cva_read as select * exclude (cva_newest) from (select *,"
        f" max({VERSION}) over (partition by {by}) as cva_newest from {rows.READ})"
        f" where {key[0]} is null or cva_newest is null or {VERSION} = cva_newest"
    )
    return before - rows.count_rows(con, rows.READ)


def _date_statuses(con: DuckDBPyConnection, names: list[str], by: str) -> None:
    """The newest status began with the first version that has it, after the last with another."""
    given = SINCE if SINCE in names else "cast(null as timestamp)"
    taken = f"* exclude (cva_now, cva_other{f', {SINCE}' if SINCE in names else ''})"
    con.execute(
        f"create or replace temp table cva_read as with named as (select *, max_by({STATUS},"
        f" {VERSION}) over (partition by {by}) as cva_now from {rows.READ}), told as (select *,"
        f" max({VERSION}) filter ({STATUS} is distinct from cva_now) over (partition by {by})"
        f" as cva_other from named) select {taken}, coalesce({given},"
        f" min(case when {VERSION} > cva_other then {VERSION} end) over (partition by {by}))"
        f" as {SINCE} from told"
    )


def upsert(
    con: DuckDBPyConnection,
    target: str,
    relation: str,
    table: RawTable,
    timezone: str,
    *,
    is_arrival: bool = False,
) -> Changes:
    """Brings the rows of `relation` into `target`, in the caller's transaction.

    Rows go by `table.replaces`: those of one value together take the place of those that are there,
    unless these have a later updated_at; without a value, by the whole row. Columns of the table
    that the load does not bring keep their values. The table has every column of the load. Those of
    an arrival are also no older where the file's name comes later.
    """
    brought = column_names(con, f"from {relation}")
    by = key_of(brought, table)
    has_statuses = STATUS in brought and SINCE in table.columns
    _meet(con, target, relation, by)
    if has_statuses and is_arrival:
        keep_first_statuses(con, target, by)
    elif has_statuses:
        _keep_status_times(con, target, brought, timezone)
    _judge(con, brought, is_arrival=is_arrival)
    changes = _count_changes(con, brought)
    _replace(con, target, brought)
    if is_arrival:
        _name_newest_files(con, target)
    if is_arrival and has_statuses:
        date_statuses(con, target, by)
    return changes


def _meet(con: DuckDBPyConnection, target: str, relation: str, by: str) -> None:
    """Makes NEW, and KNOWN of the rows of the table with its keys."""
    con.execute(f"create temp table cva_new as select *, {by} as cva_key from {relation}")
    con.execute(
        f"create temp table cva_known as select *, {by} as cva_key,"
        f" rowid as cva_row from {target} where cva_key in (select cva_key from {NEW})"
    )


def _count_changes(con: DuckDBPyConnection, brought: list[str]) -> Changes:
    """Rows by what becomes of them, before it does."""
    # Of whole rows, those that are there already are none that was changed.
    states = dict(
        con.execute(
            "select state, sum(row_count)::bigint from ("
            f"select 'unchanged' as state, known_rows as row_count from {JUDGED} where is_more"
            f" union all select if(is_more, 'inserted', state), new_rows - if(is_more, known_rows,"
            f" 0) from {JUDGED}) group by 1"
        ).fetchall()
    )
    return Changes(
        inserted=int(states.get("inserted", 0)),
        updated=int(states.get("updated", 0)),
        unchanged=int(states.get("unchanged", 0)),
        older=int(states.get("older", 0)),
        moved=_moved(con) if {"order_id", "customer_id"} <= set(brought) else 0,
    )


def _name_newest_files(con: DuckDBPyConnection, target: str) -> None:
    """A row that came again unchanged is of the newest file that has it."""
    con.execute(
        f"update {target} as t set {FILE} = was.newest.file from (select cva_row,"
        f" j.newest from {KNOWN} join {JUDGED} as j using (cva_key)"
        " where j.state = 'unchanged' and j.newest > j.known_newest) as was"
        " where t.rowid = was.cva_row"
    )


def key_of(brought: list[str], table: RawTable) -> str:
    """SQL: a row's key as one text, of a load with these columns."""
    return _cva_key(_key(brought, table), [name for name in brought if name != FILE])


def _key(names: list[str], table: RawTable) -> list[str]:
    """The columns that rows of this table go by; none where they have not the first."""
    key = [name for name in table.replaces if name in names]
    return key if key[:1] == list(table.replaces[:1]) else []


def _cva_key(key: list[str], brought: list[str]) -> str:
    """SQL: a row's key as one text; the whole row where it has none."""
    whole = f"concat('=', row({', '.join(brought)}))"
    if not key:
        return whole
    parts = ", ".join(f"coalesce({name}::varchar, chr(30))" for name in key)
    return f"case when {key[0]} is null then {whole} else concat_ws(chr(31), {parts}) end"


def _keep_status_times(
    con: DuckDBPyConnection, target: str, brought: list[str], timezone: str
) -> None:
    """A status that changed without a time of its own did so at updated_at, else with this load."""
    there = column_names(con, f"from {KNOWN}")
    since = f"max({SINCE})" if SINCE in there else "cast(null as timestamp)"
    if STATUS not in there:
        return
    was = (
        f"(select cva_key, min({STATUS}) as {STATUS}, {since} as since from {KNOWN}"
        f" group by cva_key having min({STATUS}) is not distinct from max({STATUS})) as was"
    )
    other = f"cva_new.{STATUS} is distinct from was.{STATUS}"
    changed = f"{NEW} join {was} using (cva_key) where {other}"
    if SINCE not in brought and SINCE not in there and not rows.count_rows(con, changed):
        return
    if SINCE not in brought:
        con.execute(f"alter table {NEW} add column {SINCE} timestamp")
        brought.append(SINCE)
    if SINCE not in there:
        con.execute(f"alter table {KNOWN} add column {SINCE} timestamp")
        con.execute(f"alter table {target} add column {SINCE} timestamp")
    version = f"cva_new.{VERSION}" if VERSION in brought else "cast(null as timestamp)"
    now = f"date_trunc('second', timezone({literal(timezone)}, now()))"
    con.execute(
        f"update {NEW} set {SINCE} = case when {other} then coalesce({version}, {now})"
        f" else was.since end from {was}"
        f" where cva_new.cva_key = was.cva_key and cva_new.{SINCE} is null"
    )


def _judge(con: DuckDBPyConnection, brought: list[str], *, is_arrival: bool) -> None:
    """Makes JUDGED: per key its rows in the load, and whether they are new, changed or known.

    `is_more`: whole rows of which the load has more than the table.
    """
    newest = f"max({VERSION})" if VERSION in brought else "null::timestamp"
    if is_arrival:
        newest = f"max({version(brought)})"
    facts = ", ".join(name for name in brought if name != FILE)
    grouped = (
        f"select cva_key, count(*) as n, sum(hash({facts})::hugeint) as rows_hash,"
        f" {newest} as newest"
    )
    con.execute(
        f"create temp table cva_judged as with new as ({grouped} from {NEW} group by cva_key),"
        f" known as ({grouped} from {KNOWN} group by cva_key)"
        " select new.cva_key, new.n as new_rows,"
        " case when known.cva_key is null then 'inserted'"
        " when new.n = known.n and new.rows_hash = known.rows_hash"
        " or starts_with(new.cva_key, '=') and new.n <= known.n then 'unchanged'"
        " when new.newest < known.newest and not starts_with(new.cva_key, '=') then 'older'"
        " else 'updated' end as state,"
        " known.n as known_rows, new.newest, known.newest as known_newest,"
        " state = 'updated' and starts_with(new.cva_key, '=') as is_more"
        " from new left join known using (cva_key)"
    )


def _moved(con: DuckDBPyConnection) -> int:
    customers = "string_agg(distinct customer_id, chr(31) order by customer_id) as customers"
    return rows.count_rows(
        con,
        f"(select 1 from (select cva_key, {customers} from {NEW} group by 1) as new"
        f" join (select cva_key, {customers} from {KNOWN} group by 1) as known using (cva_key)"
        f" join {JUDGED} using (cva_key)"
        " where state = 'updated' and new.customers is distinct from known.customers)",
    )


def _replace(con: DuckDBPyConnection, target: str, brought: list[str]) -> None:
    """What is updated goes from the table, and the new rows come in."""
    kept = [name for name in column_names(con, f"from {target}") if name.lower() not in brought]
    listed = ", ".join([*brought, *map(quoted, kept)])
    values = ", ".join([f"n.{name}" for name in brought] + [f"was.{quoted(name)}" for name in kept])
    one = ", ".join(["cva_key", *(f"max({quoted(name)}) as {quoted(name)}" for name in kept)])
    con.execute(
        f"delete from {target} where rowid in (select cva_row from {KNOWN} join {JUDGED}"
        " using (cva_key) where state = 'updated')"
    )
    con.execute(
        f"insert into {target} ({listed}) select {values} from {NEW} as n"
        f" join {JUDGED} using (cva_key)"
        f" left join (select {one} from {KNOWN} group by cva_key having count(*) = 1) as was"
        " using (cva_key) where state in ('inserted', 'updated')"
    )
