"""Which raw table files of no known vendor are, by their columns and values."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.init.scan.marks import kept_rows
from cva_sql.cli.init.scan.match import (
    NEAR,
    SURE,
    Match,
    Proposal,
    TableMatch,
    match_columns,
    match_table,
    read_as,
)
from cva_sql.cli.init.scan.proposal import propose
from cva_sql.cli.init.scan.tables import Table
from cva_sql.cli.load.by_preset import Filled, set_aside
from cva_sql.cli.load.inputs import Input
from cva_sql.cli.load.preset_source import forget_last
from cva_sql.cli.load.table import Into, Ready, Wanted, prepare
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import raw_tables
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Same:
    """Files with the same columns, as one table."""

    inputs: tuple[Input, ...]
    table: Table = field(compare=False)

    @property
    def names(self) -> str:
        return " and ".join(Path(one.name).name for one in self.inputs)


def prepare_tables(
    con: DuckDBPyConnection, inputs: Sequence[Input], given: Wanted, into: Into
) -> tuple[Filled, Wanted]:
    """The raw tables that the files are, ready to be written, and what was taken as orders.

    `given` is what the user says of the orders.
    Raises UsageError where it is not sure which file or column is which, with what settles it.
    """
    groups = _same_columns(con, [one for one in inputs if not one.problem])
    proposal = propose(Path("files"), [group.table for group in groups])
    matches = dict(proposal.tables)
    if "orders" not in matches:
        matches = {"orders": _only_orders(groups, proposal, given), **matches}
    by_table = {id(group.table): group for group in groups}
    said = [f"read from {line}" for one in inputs for line in one.said]
    said += _left_alone(groups, inputs, matches)
    taken = []
    for role in (name for name in raw_tables() if name in matches):
        group, match = by_table[id(matches[role].table)], matches[role]
        own = given if role == "orders" else Wanted({}, asked=given.asked)
        taken.append((group, role, _wanted(group, match, own)))
    ready = [_prepare(con, group, role, wanted, into) for group, role, wanted in taken]
    return Filled(tuple(said), tuple(ready)), taken[0][2]


def _same_columns(con: DuckDBPyConnection, inputs: Sequence[Input]) -> list[Same]:
    """The files as tables, those with the same columns as one."""
    groups: dict[frozenset[str], list[Input]] = {}
    for one in inputs:
        groups.setdefault(frozenset(name.lower() for name in one.header), []).append(one)
    found: list[Same] = []
    for number, same in enumerate(groups.values()):
        name = Path(same[0].name).name.split(".")[0]
        if any(name == other.table.name for other in found):
            name = f"{name} {number}"
        table = Table("temp", name, True, con)
        table.relation = f"temp.cva_input_of_{number}"
        is_typed = all(one.is_typed for one in same)
        columns = "*" if is_typed else "columns(*)::varchar"
        selects = (f"select {columns} from {one.relation}" for one in same)
        con.execute(
            f"create temp view cva_input_of_{number} as {' union all by name '.join(selects)}"
        )
        found.append(Same(tuple(same), table))
    return found


def _only_orders(groups: Sequence[Same], proposal: Proposal, given: Wanted) -> TableMatch:
    """The one file as orders, which lacks columns that only the user can name."""
    required = raw_tables()["orders"].required
    if len(groups) > 1:
        found = {group: match_columns("orders", group.table).keys() for group in groups}
        best = max(groups, key=lambda group: len(found[group] & set(required)))
        lacking = [name for name in required if name not in found[best]]
        options = " ".join(f"--column {name}=…" for name in lacking or required)
        raise UsageError(
            f"no file is sure to be the orders; {best.names} is likest, and what is its"
            f" {' and its '.join(lacking or required)}? Start with it alone and add {options}"
        )
    table = groups[0].table
    role = next(iter(proposal.tables), None)
    if role is not None and not given.columns:
        raise UsageError(
            f"{groups[0].names} looks like {role}, and orders are needed; start with their file as"
            f" well, or say which columns they are: {' '.join(f'--column {n}=…' for n in required)}"
        )
    return TableMatch("orders", table, 0, match_columns("orders", table))


def _left_alone(
    groups: Sequence[Same], inputs: Sequence[Input], matches: dict[str, TableMatch]
) -> list[str]:
    """What of a folder was left alone; a UsageError for a file that was named and is no table."""
    used = {id(match.table) for match in matches.values()}
    said = []
    for group in (group for group in groups if id(group.table) not in used):
        orders = match_table("orders", group.table)
        if orders is not None and not orders.missing:
            raise UsageError(
                f"{group.names} looks like orders as {matches['orders'].table.name} does, with"
                f" other columns; start with one, then add the other: cva load orders"
                f" {group.inputs[0].name} --append --column …"
            )
        if any(one.is_named for one in group.inputs):
            taken = ", ".join(f"{match.table.name} as {role}" for role, match in matches.items())
            raise UsageError(
                f"{group.names} fits no table that is left (taken: {taken}); start without it, then"
                f" load it: cva load TABLE {group.inputs[0].name}"
            )
        said.append(f"not needed: {group.names}")
    for one in (one for one in inputs if one.problem):
        why = shortened(one.problem.removeprefix(one.name).strip(": "))
        said.append(f"left alone: {Path(one.name).name}: {why}")
    return said


def _wanted(group: Same, match: TableMatch, given: Wanted) -> Wanted:
    """What is taken of the file; raises UsageError where a column is not sure."""
    kinds = raw_tables()[match.role].columns
    columns, settle, unsure = dict(given.columns), [], []
    for name, found in match.columns.items():
        kind, is_required = kinds[name]
        if name in columns:
            continue
        why = _doubt(match, name, kind)
        if not why:
            columns[name] = _expression(match, name, found)
        elif is_required or name == "status":
            settle.append((name, _expression(match, name, found), why))
        else:
            unsure.append(f"{found.source} for {name} ({why})")
    _refuse(group, match, given, settle)
    left_out = [kept_rows(match)] if match.left_out else []
    where = " and ".join(f"({part})" for part in (*left_out, given.where or "") if part)
    taken = ", ".join(f"{name}={shortened(text)}" for name, text in columns.items())
    said = [f"taken from {group.names}: {taken}", *match.evidence]
    said += [f"not taken, as not sure: {', '.join(unsure)}"] if unsure else []
    said += match.asked
    may_be_lines = match.is_lines and not given.lines
    return replace(
        given,
        columns=columns,
        where=where or None,
        lines=None if may_be_lines else given.lines,
        said=tuple(said),
    )


def _doubt(match: TableMatch, name: str, kind: str) -> str:
    """Why it is not sure that a column is this one; how it is written, the load finds out."""
    found = match.columns[name]
    column = match.table.columns.get(found.source)
    read = read_as(match.table, column, kind) if column else None
    if found.doubt and not (read and found.doubt == read[2]):
        return found.doubt
    # An id that repeats was rated down as a key, but the lines of an order do repeat it.
    enough = SURE - NEAR if match.is_lines and name == "order_id" else SURE
    return "the name says little" if found.score < enough else ""


def _expression(match: TableMatch, name: str, found: Match) -> str:
    """SQL over the file's columns as they are written, as the load reads them by itself."""
    if found.is_product:
        lines = match_columns("order_items", match.table)
        return " * ".join(_plain(match, lines[part]) for part in ("quantity", "unit_price"))
    column = match.table.columns.get(found.source)
    kind, _ = raw_tables()[match.role].columns[name]
    read = read_as(match.table, column, kind) if column else None
    return _plain(match, found) if read and read[0] == found.expression else found.expression


def _plain(match: TableMatch, found: Match) -> str:
    return match.table.sql(match.table.columns[found.source])


def _refuse(
    group: Same, match: TableMatch, given: Wanted, settle: Sequence[tuple[str, str, str]]
) -> None:
    """A UsageError that says all that is not sure, and the options that settle it."""
    why = [f"is {name} {shortened(text)}? {doubt}" for name, text, doubt in settle]
    options = [f"--column {shlex.quote(f'{name}={text}')}" for name, text, _ in settle]
    for doubt in match.doubts:
        settled, option = _settling(match, doubt)
        if settled not in given.columns and (settled != "where" or given.where is None):
            why.append(doubt)
            options.append(option)
    if not why:
        return
    if match.role != "orders":
        raise UsageError(
            f"{group.names}, taken for {match.role}: {'; '.join(why)}; start without it, then load"
            f" it: cva load {match.role} {group.inputs[0].name} --column …"
        )
    raise UsageError(
        f"{group.names}: {'; '.join(why)}; if so add {' '.join(options)}, else the right one"
    )


def _settling(match: TableMatch, doubt: str) -> tuple[str, str]:
    """What of the load settles a doubt about the rows, and the option that says yes to it."""
    if "person" in doubt:
        return "customer_id", "--column customer_id=…"
    if "are cancelled" in doubt:
        status = match.columns["status"].expression
        return "status", f"--column {shlex.quote(f'status={status}')}"
    return "where", "--where … (--where true keeps them)"


def _prepare(con: DuckDBPyConnection, group: Same, role: str, wanted: Wanted, into: Into) -> Ready:
    """The file's rows as the raw table has them."""
    forget_last(con)
    made = "source" if all(one.is_typed for one in group.inputs) else "text"
    con.execute(f"create temp view cva_{made} as from {group.table.relation}")
    return set_aside(con, prepare(con, role, group.names, wanted, into))
