"""Files that arrive in any order: what is newer goes by updated_at, then by the file's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.shop.sql_text import column_names, literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.package import RawTable

FILE, PAST = "loaded_from", "status_versions"  # columns of a raw table that files arrived for
FILE_TYPE = "varchar"
PAST_TYPE = (
    "struct(updated_at timestamp, file varchar, changed timestamp, status varchar,"
    " since timestamp)[]"
)
STATUS, SINCE, VERSION = "status", "status_changed_at", "updated_at"
DIGITS = 20  # of a number in a name
SEEN = "temp.cva_ready_statuses"  # as what is ready, it outlives the next table of an export


@dataclass(frozen=True)
class Arrival:
    """A file by its name, which says what is newer, and when it was written, in the shop's zone."""

    name: str
    modified: datetime


def filled(name: str) -> str:
    """SQL: a file's name with its numbers filled up, so that texts sort as people count."""
    return (
        f"array_to_string(list_transform(regexp_extract_all({name}, '\\d+|\\D+'), lambda part:"
        " if(part[1] between '0' and '9',"
        f" lpad(part, greatest({DIGITS}, length(part))::integer, '0'), part)), '')"
    )


def version(names: list[str]) -> str:
    """SQL: what says which of two rows with one key is newer, over columns of these names."""
    updated = VERSION if VERSION in names else "null::timestamp"
    file = f"coalesce({FILE}, '')"
    return (
        f"struct_pack(updated_at := coalesce({updated}, '-infinity'::timestamp),"
        f" filled := {filled(file)}, file := {file})"
    )


def note_statuses(con: DuckDBPyConnection, key: str, table: RawTable, arrival: Arrival) -> None:
    """Makes SEEN of the statuses in READ, if any: those of rows that a newer one replaces as well.

    `key` is SQL for a row's key as one text.
    """
    names = column_names(con, f"from {rows.READ}")
    if STATUS not in names or SINCE not in table.columns:
        return
    updated = VERSION if VERSION in names else "null::timestamp"
    since = SINCE if SINCE in names else "null::timestamp"
    con.execute(
        f"create temp table cva_ready_statuses as select {key} as cva_key,"
        f" coalesce({updated}, '-infinity'::timestamp) as updated_at,"
        f" {literal(arrival.name)} as file,"
        f" coalesce({updated}, timestamp {literal(str(arrival.modified))}) as changed,"
        f" {STATUS} as status, {since} as since from {rows.READ}"
    )


def receive(
    con: DuckDBPyConnection, target: str, relation: str, table: RawTable, arrival: Arrival
) -> None:
    """Says in each row of `relation` which file it is of; a raw table gets the columns for that."""
    wanted = {FILE: FILE_TYPE}
    if STATUS in column_names(con, f"from {relation}") and SINCE in table.columns:
        wanted |= {SINCE: "timestamp", PAST: PAST_TYPE}
    there = column_names(con, f"from {target}")
    for name, sql_type in wanted.items():
        if name not in there:
            con.execute(f"alter table {target} add column {quoted(name)} {sql_type}")
    con.execute(f"alter table {relation} add column {FILE} {FILE_TYPE}")
    con.execute(f"update {relation} set {FILE} = {literal(arrival.name)}")


def keep_first_statuses(con: DuckDBPyConnection, target: str, key: str) -> None:
    """Adds to SEEN what the table's rows of its keys say, and all that was seen of them before."""
    there = column_names(con, f"from {target}")
    updated = VERSION if VERSION in there else "null::timestamp"
    of_keys = f"from {target} where {key} in (select cva_key from {SEEN})"
    con.execute(
        f"insert into {SEEN} select cva_key, coalesce(updated_at, '-infinity'::timestamp),"
        " file, changed, status, since from ("
        f"select {key} as cva_key, unnest({PAST}, recursive := true) {of_keys})"
        # What else changed the status since: a load before the first file, or between two.
        f" union all select {key}, coalesce({updated}, '-infinity'::timestamp),"
        f" coalesce({FILE}, ''), coalesce({SINCE}, {updated}), {STATUS}, {SINCE} {of_keys}"
        f" and ({PAST} is null or {PAST}[-1].status is distinct from {STATUS})"
    )


def date_statuses(con: DuckDBPyConnection, target: str, key: str) -> None:
    """Says in the table since when each order of SEEN has its status.

    That is what its newest version says, else when the first version with it was written after the
    last with another one; null where there was never another. All versions stay in PAST.
    """
    newest = f"row(updated_at, {filled('file')}, file, changed)"
    con.execute(
        f"update {target} set {PAST} = told.versions, {SINCE} = told.since from ("
        f"with seen as (select distinct * from {SEEN}),"
        f" named as (select *, arg_max_null(status, {newest}) over (partition by cva_key) as now"
        " from seen),"
        f" parted as (select *, max({newest}) filter (status is distinct from now)"
        " over (partition by cva_key) as other from named)"
        " select cva_key, list(struct_pack(updated_at := case when isfinite(updated_at)"
        " then updated_at end, file, changed, status, since)"
        f" order by {newest}, status) as versions, coalesce(arg_max_null(since, {newest}),"
        " min(changed)"
        f" filter (other is not null and {newest} > other)) as since from parted group by cva_key"
        f") as told where {key} = told.cva_key"
    )
