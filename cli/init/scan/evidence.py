"""What speaks for and against a proposed mapping, in words and numbers."""

from __future__ import annotations

from cva_sql.cli.init.scan.marks import kept_rows
from cva_sql.cli.init.scan.match import SURE, UNIQUE, Proposal, TableMatch, key_of, parents
from cva_sql.cli.init.scan.tables import EXACT_ROWS, SAMPLE_ROWS, Table, as_id, overlap
from cva_sql.cli.load.doubts import ALIKE, ONE_EACH, SHARE, advised, find_doubts
from cva_sql.cli.shop.column_meanings import table_score
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import (
    canonical_tables,
    raw_tables,
    status_meaning,
    statuses_line,
)
from cva_sql.cli.shop.sql_text import listed

VARS = {  # where it is settled
    ALIKE: " cva_customer_key: lower(trim(customer_id))",
    ONE_EACH: "; cva_orders_columns: {customer_id: … of the person}",
    SHARE: " cva_eligible_customers leaves it out of the scores",
}
FEW = 0.5  # fewer ids than this found in the other table: they are of something else


def add_evidence(proposal: Proposal) -> None:
    """Fills evidence, and doubts of tables and columns."""
    for match in proposal.tables.values():
        match.evidence[:0] = [_say_name(match), *_say_keys(match)]
        match.evidence += [
            *_say_times(match),
            *_say_amounts(match),
            *_say_overlaps(proposal, match),
        ]
        if match.table.is_sampled:
            match.evidence.append(f"values: looked at in a sample of about {SAMPLE_ROWS:,} rows")
        _add_doubts(match)


def percent(share: float) -> str:
    return "under 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def _say_name(match: TableMatch) -> str:
    score = table_score(match.role, match.table.name)
    says = {1.0: match.role, 0.5: "nothing"}.get(score, "something else")
    return f"{match.table.rows:,} rows; the name says {says}"


def _say_keys(match: TableMatch) -> list[str]:
    lines = []
    key = key_of(raw_tables()[match.role].of or match.role) or ""
    column = match.source(key)
    table = match.table
    if column is not None and table.rows:
        filled, distinct = table.filled(column.name), table.distinct(column.name)
        per_id = filled / max(distinct, 1)
        is_exact = table.rows <= EXACT_ROWS
        once = filled == distinct if is_exact else distinct >= UNIQUE * filled
        about = "" if is_exact else "about "
        often = "each once" if once else f"{per_id:.2f} rows each"
        ids = distinct if is_exact else min(distinct, filled)
        lines.append(f"{key}: {about}{ids:,} ids, {often}")
        if match.role == "orders" and not once and not match.is_lines:
            lines.append("orders with a repeated id: one is used, the others are rejects")
    for name, (kind, is_required) in canonical_tables()[match.role].items():
        column = match.source(name)
        share = table.null_share(column.name) if column and is_required and table.rows else 0
        if share:
            lines.append(f"{name}: {percent(share)} of rows have none: rejects")
        if (
            column
            and kind in ("id", "person")
            and is_required
            and column.type in ("DOUBLE", "FLOAT")
        ):
            lines.append(f"{name}: {column.type} with whole numbers, read without the .0")
    return lines


def _say_times(match: TableMatch) -> list[str]:
    lines = []
    for name, (kind, is_required) in canonical_tables()[match.role].items():
        column = match.source(name)
        if kind != "time" or column is None or column.first is None:
            continue
        span = match.table.span(column.name)
        if span and (is_required or column.shares.get("future")):
            lines.append(f"{name}: {span[0]} to {span[1]}")
        if column.shares.get("future"):
            share = column.shares["future"]
            match.doubts += _doubt(match, name, f"{percent(share)} of values are in the future")
    return lines


def _doubt(match: TableMatch, name: str, why: str) -> list[str]:
    """Most of the values against it is a doubt; a few become rejects, and are only said."""
    column = match.source(name)
    future = column.shares.get("future", 0) if column else 0
    if future > FEW and not match.columns[name].doubt:
        match.columns[name].doubt = why
    else:
        match.evidence.append(f"{name}: {why} and will be rejects")
    return []


def _say_amounts(match: TableMatch) -> list[str]:
    lines = []
    for name in ("amount", "refund_amount", "unit_price", "quantity", "rating"):
        column = match.source(name)
        if column is None or column.first is None:
            continue
        span = f"{name}: {shortened(match.columns[name].expression)}"
        if match.columns[name].is_product:
            lines.append(f"{span}, as no column is the amount")
            continue
        negative = column.shares.get("negative", 0)
        below = f", {percent(negative)} below 0" if negative else ""
        lines.append(f"{span} from {column.first} to {column.last}{below}")
        if name == "refund_amount" and negative > FEW:
            match.columns[name].expression = f"-({match.columns[name].expression})"
            lines.append("refund_amount: mostly below 0, so its sign is turned")
    return lines


def _say_overlaps(proposal: Proposal, match: TableMatch) -> list[str]:
    lines = []
    for name, role in parents().items():
        parent = proposal.tables.get(role)
        column, key = match.source(name), parent.source(name) if parent else None
        if parent is None or column is None or key is None or parent.table is match.table:
            continue
        if not match.table.rows or not parent.table.rows or match.role == role or match.parts:
            continue
        share = overlap(match.table, column, parent.table, key)
        lines.append(f"{name}: {share:.1%} of ids are in {parent.table.name}")
        if share < FEW and not match.columns[name].doubt:
            match.columns[name].doubt = f"only {share:.1%} of ids are in {parent.table.name}"
    return lines


def _add_doubts(match: TableMatch) -> None:
    for name in raw_tables()[match.role].required:
        column = match.columns.get(name)
        if column is not None and not column.is_sure:
            why = column.doubt or f"score {column.score:.2f}"
            expression = shortened(column.expression)
            match.doubts.append(f"{name} = {expression} is not sure: {why}")
    if match.score < SURE:
        match.doubts.append(f"score {match.score:.2f} is below {SURE}")
    unsafe = [c for c in "\"'`;\\" if c in match.table.name] or "{" in match.table.name
    if unsafe or not match.table.name.isprintable():
        match.doubts.append("its name cannot be a dbt var: make a view with a plain name")


def add_open_questions(
    proposal: Proposal, tables: list[Table], incomplete: dict[str, TableMatch]
) -> None:
    """What the user has to answer, and what was left out."""
    for role, match in proposal.tables.items():
        proposal.questions += [f"{role}: {doubt}" for doubt in (*match.doubts, *match.asked)]
        for name, column in match.columns.items():
            is_required = canonical_tables()[role][name][1]
            if not column.is_sure and not is_required:
                why = column.doubt or f"score {column.score:.2f}"
                expression = shortened(column.expression)
                proposal.questions.append(f"{role}.{name} = {expression}? {why}")
    orders = proposal.tables.get("orders")
    for role, match in incomplete.items():
        proposal.questions.append(
            f"{match.table.name} looks like {role}, but has no {listed(match.missing)}"
        )
    if orders is None and "orders" not in incomplete:
        proposal.questions.append("no table looks like orders, the one that cva needs")
    elif orders is not None:
        proposal.questions += [*_ask_statuses(proposal, orders), *_ask_customers(orders)]
    if orders is None and proposal.loads:
        proposal.to_settle += ["cva_raw_schema"] if "orders" in proposal.hidden else []
    else:
        proposal.to_settle += _to_settle(proposal, orders or incomplete.get("orders"))
    used = {m.table.name for m in proposal.tables.values()}
    used |= {table.name for m in proposal.tables.values() for table in m.parts}
    others = [t.name for t in tables if t.name not in used]
    if others:
        proposal.questions.append(f"not used: {listed(others)}")
    for role in canonical_tables():
        chosen = proposal.tables.get(role)
        named = [t for t in tables if t.name.lower() == role]
        if named and (chosen is None or chosen.table is not named[0]):
            proposal.hidden[role] = f"{named[0].shown} does not look like {role}"


def _to_settle(proposal: Proposal, orders: TableMatch | None) -> list[str]:
    """What of orders is open, as the project's vars or the printed load call it."""
    required = raw_tables()["orders"].required
    found = orders.columns if orders else {}
    unsure = [name for name in required if name not in found or not found[name].is_sure]
    if orders is not None and orders.parts:
        moved = ["cva_raw_schema"] if "orders" in proposal.hidden else []
        return [*(["in the cva load above " + ", ".join(unsure)] if unsure else []), *moved]
    if unsure:
        where = [] if orders and not orders.missing else ["cva_orders_identifier"]
        return [*where, f"cva_orders_columns ({', '.join(unsure)})"]
    return [] if orders is None or orders.is_sure else ["cva_orders_identifier"]


def _ask_statuses(proposal: Proposal, orders: TableMatch) -> list[str]:
    column = orders.source("status")
    if column is None or not column.is_text or not orders.table.rows:
        return []
    amount = orders.columns.get("amount")
    money = f"sum(try_cast({amount.expression} as double))" if amount else "null"
    status = f"({orders.columns['status'].expression})"
    rows = orders.table.con.execute(
        f"select trim({status}), count(*), {money}, {status_meaning(status)} as meaning "
        f"from {orders.table.sample} group by 1, 4 order by 2 desc, 1"
    ).fetchall()
    said = []
    for kind in ("asked", "unknown"):
        found = [row[:3] for row in rows if row[3] == kind]
        if found:
            settled = "name those that do not in the var cva_status_cancelled"
            if kind == "asked" and not orders.parts:
                proposal.to_settle.append("cva_status_cancelled or cva_status_counts")
            both = f"{settled}, those that do in cva_status_counts"
            said.append(statuses_line(kind, found, both if kind == "asked" else settled))
    return said


def _ask_customers(orders: TableMatch) -> list[str]:
    """What is odd about the ids of customers, with where it is settled."""
    customer, amount = orders.source("customer_id"), orders.columns.get("amount")
    if customer is None or amount is None or orders.parts:
        return []
    ids = as_id(f"({orders.columns['customer_id'].expression})", customer.type)
    kept = f" where {kept_rows(orders)}" if orders.left_out else ""
    money = f"try_cast({amount.expression} as decimal(18, 4))"
    relation = f"{orders.table.relation}{kept}"
    query = f"select nullif({ids}, '') as customer_id, {money} as amount from {relation}"
    found = find_doubts(orders.table.con, f"({query})", "orders")
    return [f"orders.{advised(doubt, VARS)}" for doubt in found]
