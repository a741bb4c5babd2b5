"""Tables that have to be loaded first: order lines to sum, and one table kept in several parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from cva_sql.cli.init.scan.marks import kept_rows
from cva_sql.cli.init.scan.match import (
    NEAR,
    Match,
    Proposal,
    TableMatch,
    match_columns,
    match_table,
)
from cva_sql.cli.init.scan.tables import SAMPLE_ROWS, Table, as_id, overlap
from cva_sql.cli.shop.package import canonical_tables, raw_tables
from cva_sql.cli.shop.sql_text import literal, name_in_sql, quoted

CONSTANT = 0.95  # share of orders whose lines all have one amount: it is the order's, not a line's
COPY = 0.95  # share of ids that another table has too: it is a copy, not a part


@dataclass(frozen=True)
class Part:
    """A table that is read into the canonical one; from `until` on, the next part has the rows."""

    match: TableMatch
    until: str | None = None


def join_parts(
    proposal: Proposal, options: dict[str, list[TableMatch]], tables: list[Table]
) -> None:
    """Adds the loads that are needed before a run, and what they are needed for."""
    for role, best in list(proposal.tables.items()):
        parts = _parts(proposal, best, options[role])
        if best.parts or (len(parts) == 1 and not best.is_lines):
            continue
        if len(parts) > 1 and role not in ("orders", "order_items"):
            others = ", ".join(p.match.table.name for p in parts if p.match is not best)
            best.doubts.append(f"or is it {others}?")
            continue
        best.parts = tuple(part.match.table for part in parts)
        names = " and ".join(table.shown for table in best.parts)
        if best.is_lines:
            best.doubts.append(f"{names}: order LINES, one row per product; sum them with cva load")
        if len(parts) > 1:
            best.doubts.append(f"{names} are parts of one table; cva reads one")
            best.evidence += _say_parts(parts)
        proposal.loads.append(_load(proposal, role, parts, tables))


def _parts(proposal: Proposal, best: TableMatch, options: list[TableMatch]) -> list[Part]:
    """The tables that hold the rows of one, the earliest first."""
    required = [name for name in ("order_id", "customer_id", "product_id") if name in best.columns]
    found = [best]
    for other in options:
        is_alike = all(name in other.columns for name in required)
        is_near = other.score > best.score - NEAR and other.is_lines == best.is_lines
        if other is best or not is_alike or not is_near:
            continue
        name = required[0] if required else ""
        mine, theirs = best.source(name), other.source(name)
        if mine is None or theirs is None:
            continue
        if best.role in ("orders", "order_items"):
            share = overlap(other.table, theirs, best.table, mine)
            if share >= COPY and other.table.rows <= best.table.rows:
                best.evidence.append(
                    f"{other.table.name} left out: {share:.1%} of its ids are in it too"
                )
                continue
        found.append(other)
    if len(found) == 1:
        return [Part(best)]
    time = {m.table.name: _first_time(m) for m in found}
    found.sort(key=lambda m: (time[m.table.name] or "", m.table.name))
    parts = []
    for match, after in zip(found, [*found[1:], None], strict=True):
        until = time[after.table.name] if after and _shared_ids(match, after) else None
        parts.append(Part(match, until))
    return parts


def _time_source(match: TableMatch) -> Match | None:
    """The time of an order; order lines are looked at as orders for it."""
    if match.role == "orders":
        return match.columns.get("ordered_at")
    as_orders = match_table("orders", match.table)
    return as_orders.columns.get("ordered_at") if as_orders else None


def _first_time(match: TableMatch) -> str | None:
    time = _time_source(match)
    if time is None:
        return None
    value = match.table.value(f"select min({time.expression})::varchar from {match.table.relation}")
    return None if value is None else str(value)


def _shared_ids(match: TableMatch, other: TableMatch) -> int:
    mine, theirs = match.source("order_id"), other.source("order_id")
    if mine is None or theirs is None:
        return 0
    ids, others = (as_id(quoted(c.name), c.type) for c in (mine, theirs))
    return int(
        match.table.value(
            f"select count(distinct {ids}) from {match.table.relation} where {ids} in "
            f"(select {others} from {other.table.relation} where {quoted(theirs.name)} is not null)"
        )
    )


def _say_parts(parts: list[Part]) -> list[str]:
    lines = [f"{p.match.table.name}: {p.match.table.rows:,} rows{_say_span(p)}" for p in parts]
    for part, after in pairwise(parts):
        shared = _shared_ids(part.match, after.match)
        cut = f"; the first is cut at {part.until}" if part.until else ""
        lines.append(
            f"{shared:,} order ids are both in {part.match.table.name} and in "
            f"{after.match.table.name}{cut}"
        )
    return lines


def _say_span(part: Part) -> str:
    time = _time_source(part.match)
    span = part.match.table.span(time.source) if time else None
    return f", {span[0]} to {span[1]}" if span else ""


def _load(proposal: Proposal, role: str, parts: list[Part], tables: list[Table]) -> str:
    query = orders_query(parts) if role == "orders" else items_query(role, parts)
    schema, options = load_schema(proposal, role, tables), ""
    if parts[0].match.is_lines:
        is_product = parts[0].match.columns["amount"].is_product
        options = (
            " --amount-per line" if is_product else " --lines"
        )  # which asks where it is unclear
        if all(_is_order_amount(part.match) for part in parts):
            options = " --amount-per order"
            said = "amount: the same on each line of an order, so it is not summed"
            parts[0].match.evidence.append(said)
    return command(proposal, role, query, schema, options)


def load_schema(proposal: Proposal, role: str, tables: list[Table]) -> str:
    """Where to load it: beside the shop's tables, unless one of them has its name."""
    is_taken = any(table.name.lower() == role for table in tables)
    schema = proposal.schema
    if is_taken:
        schema = "raw" if proposal.schema.lower() != "raw" else "loaded"
        proposal.questions.append(
            f"{proposal.schema}.{role} has that name already, so it is loaded into {schema}: then "
            f"set cva_raw_schema: {schema}, drop cva_{role}_identifier, and give {schema} views of "
            "your other tables"
        )
        proposal.hidden[role] = f"{proposal.schema}.{role} cannot be read as it is"
    return schema


def command(proposal: Proposal, role: str, query: str, schema: str, options: str = "") -> str:
    """The command, to be pasted into a shell."""
    quoted_query = re.sub(r'(["$`\\])', r"\\\1", query)
    db = re.sub(r'(["$`\\])', r"\\\1", str(proposal.db))
    if re.search(r"[^\w./-]", db):
        db = f'"{db}"'
    target = schema if re.fullmatch(r"\w+", schema) else f'"{schema}"'
    return f'cva load {role} --db {db} --schema {target}{options} --query "\n{quoted_query}"'


def orders_query(parts: list[Part]) -> str:
    """Orders, or their lines, of all parts one below the other."""
    names = [
        n for n in canonical_tables()["orders"] if all(n in part.match.columns for part in parts)
    ]
    required = raw_tables()["orders"].required
    names = [n for n in names if n in required or all(p.match.columns[n].is_sure for p in parts)]
    union = "\n    union all\n".join(_select(part, names, parts) for part in parts)
    return f"select *\nfrom (\n{union}\n) as orders"


def items_query(role: str, parts: list[Part]) -> str:
    names = [n for n in canonical_tables()[role] if all(n in p.match.columns for p in parts)]
    union = "\n    union all\n".join(_select(part, names, parts) for part in parts)
    return f"select *\nfrom (\n{union}\n) as {role}"


def _select(part: Part, names: list[str], parts: list[Part]) -> str:
    match = part.match
    listed = ",\n        ".join(f"{_expression(match, n, parts)} as {n}" for n in names)
    lines = ["    select", f"        {listed}", f"    from {plain_name(match.table)}"]
    time = _time_source(match)
    conditions = [kept_rows(match)] if match.left_out else []
    if part.until and time is not None:
        conditions.append(f"{time.expression} < timestamp {literal(part.until)}")
    if conditions:
        lines.append(f"    where {' and '.join(conditions)}")
    keyword = "and" if conditions else "where"
    usual = _usual_lines(match)
    if usual:
        lines.append(f"    -- {keyword} {usual}  -- without cancellations and corrections")
    return "\n".join(lines)


def _expression(match: TableMatch, name: str, parts: list[Part]) -> str:
    expression, source = match.columns[name].expression, match.source(name)
    if name == "amount":  # sums of DOUBLE differ with the order of the rows
        return f"({expression})::decimal(18, 4)"
    types = {column.type for part in parts if (column := part.match.source(name))}
    if name.endswith("_id") and source and len(types) > 1:
        return as_id(expression, source.type)  # 13085.0 and 13085 are one id
    return expression


def plain_name(table: Table) -> str:
    """The table's name in SQL, quoted where it has to be."""
    return f"{name_in_sql(table.schema)}.{name_in_sql(table.name)}"


def _usual_lines(match: TableMatch) -> str:
    """A condition for what looks like a sale, where the table has lines that do not."""
    lines = match_columns("order_items", match.table)
    wanted = []
    for name in ("quantity", "unit_price"):
        source = match.table.columns.get(lines[name].source) if name in lines else None
        if source is not None and (source.shares.get("negative") or source.first == 0):
            wanted.append(f"{lines[name].expression} > 0")
    prefix = _cancel_prefix(match, lines)
    if prefix:
        wanted.append(f"{match.columns['order_id'].expression} not like {literal(prefix + '%')}")
    return " and ".join(wanted)


def _cancel_prefix(match: TableMatch, lines: dict[str, Match]) -> str | None:
    """The letter that ids of negative lines start with, and hardly any other."""
    order = match.source("order_id")
    if order is None or not order.is_text or "quantity" not in lines:
        return None
    rows = match.table.con.execute(
        f"select left({quoted(order.name)}, 1) as letter, count(*), "
        f"avg(({lines['quantity'].expression} < 0)::int) from {match.table.sample} "
        f"where regexp_matches(left({quoted(order.name)}, 1), '[A-Za-z]') "
        "group by 1 having avg(1) = 1 order by 2 desc, 1 limit 1"
    ).fetchall()
    is_cancelled = bool(rows) and rows[0][2] is not None and rows[0][2] >= CONSTANT
    return str(rows[0][0]) if is_cancelled else None


def _is_order_amount(match: TableMatch) -> bool:
    """Whether each line repeats the amount of its order."""
    amount = match.columns["amount"].expression
    if match.columns["amount"].is_product:
        return False
    order = quoted(match.columns["order_id"].source)
    share = match.table.value(
        "select avg(is_one::int) from (select min(amount) = max(amount) as is_one from "
        f"(select {order} as id, {amount} as amount from {match.table.relation} "
        f"limit {SAMPLE_ROWS}) group by id having count(*) > 1)"
    )
    return share is not None and share >= CONSTANT
