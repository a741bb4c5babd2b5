"""What to do next, as `cva doctor` says it: with the commands that can be run as they are."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from cva_sql.cli.doctor.machine import ValueState
from cva_sql.cli.doctor.tables import Findings, Table
from cva_sql.cli.load.doubts import ALIKE, ONE_EACH, SHARE, advised, one_person
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.sql_text import literal, name_in_sql, quoted

MANY_REJECTS = 0.2  # of a table's rows: more is rather a mapping than dirt
SOON_DAYS = 30  # a rule that won is not tried again before so many days of new facts
DOUBTS = {  # what is done about each
    ALIKE: " Keep this var if so",
    ONE_EACH: "; the person's column goes into cva_orders_columns",
    SHARE: " cva_eligible_customers leaves it out of the scores",
}


@dataclass(frozen=True)
class Advice:
    """Something worth doing, and the command that does it as printed; None where none can."""

    text: str
    command: str | None = None


def advise(
    shop: ResolvedShop, model: ValueState, findings: Findings, *, is_fine: bool
) -> Iterator[Advice]:
    """What to do next, the most urgent first; nothing where all is well.

    Where something is broken, or statuses have to be settled first, no other run is advised.
    """
    tables = {table.name: table for table in findings.tables}
    if tables["orders"].relation is None:
        yield _about_missing_orders(shop, findings)
        return
    if not tables["orders"].rows:
        yield Advice(f"there are no orders yet; load some{_load(shop, 'orders')}")
        return
    if tables["orders"].problem:
        return
    newest = findings.newest
    if is_fine:
        yield from _about_doubt(shop, findings)
        yield from _about_statuses(shop, findings)
    can_run = is_fine and not findings.doubtful_statuses
    yield from _about_outliers(shop, findings, tables["orders"])
    yield from _about_customers(shop, findings, tables["orders"], can_run=can_run)
    yield from _about_rejects(shop, findings)
    yield from _about_late_tables(shop, findings)
    if can_run:
        yield from _about_model(shop, model, newest)
        yield from _about_build(shop, model, findings, newest)


def _cva(shop: ResolvedShop, command: str, **variables: object) -> str:
    """The command with the options that name the shop, its vars changed by `variables`."""
    own = shop.project
    known = own.vars if own else {}
    settings = {k: v for k, v in {**shop.vars, **variables}.items() if known.get(k) != v}
    said = shop.command(command)
    if settings and command.split()[0] in ("run", "train"):
        said += f" --vars {shlex.quote(json.dumps(settings, ensure_ascii=False))}"
    return said


def _load(shop: ResolvedShop, table: str) -> str:
    """How the table is loaded, for the end of a text; nothing where `cva load` does not fill it."""
    if shop.raw_table(table)[1] != table or shop.var(f"cva_{table}_columns"):
        return ""
    schema = str(shop.var("cva_raw_schema"))
    schema = f" --schema {shlex.quote(schema)}" if schema != "raw" else ""
    load = shop.command(f"load {table} FILE --append{schema}")
    return f", your file in place of FILE: {load}"


def _scan(shop: ResolvedShop) -> str:
    """The command that finds out which of the database's tables is which."""
    folder = str(shop.project.root) if shop.project else f"{shop.db.stem}_project"
    return f"cva init {shlex.quote(folder)} --scan {shlex.quote(str(shop.db))}"


def _query(shop: ResolvedShop, statement: str) -> str:
    quoted = f'"{statement}"' if not set(statement) & set('"$`\\!') else shlex.quote(statement)
    return _cva(shop, f"sql {quoted}")


def _about_missing_orders(shop: ResolvedShop, findings: Findings) -> Advice:
    if findings.build is not None:
        return Advice(
            "the tables were built from orders of another name; name them: cva_raw_schema and"
            " cva_orders_identifier in --vars" + (", or look" if findings.foreign_tables else ""),
            _scan(shop) if findings.foreign_tables else None,
        )
    if findings.foreign_tables:
        found = count_of(findings.foreign_tables, "other table")
        return Advice(f"no table of orders; {found} may hold them", _scan(shop))
    return Advice(f"no table of orders; load one{_load(shop, 'orders')}")


def _about_doubt(shop: ResolvedShop, findings: Findings) -> Iterator[Advice]:
    if findings.doubt is None or findings.doubted is None:
        return
    as_of = date.fromisoformat(findings.doubted) + timedelta(days=1)
    yield Advice(
        f"{findings.doubt}; correct a mistake at the source",
        _cva(shop, f"run --as-of {as_of}"),
    )


def _about_statuses(shop: ResolvedShop, findings: Findings) -> Iterator[Advice]:
    if not findings.doubtful_statuses:
        return
    named = [f"{status!r} ({n:,})" for status, n in findings.doubtful_statuses.items()]
    known = shop.var("cva_status_cancelled") or []
    yield Advice(
        f"orders of status {', '.join(named)} count; if they are no sale, say so (else in the var "
        "cva_status_counts)",
        _cva(shop, "run", cva_status_cancelled=[*known, *findings.doubtful_statuses]),
    )


def _about_outliers(shop: ResolvedShop, findings: Findings, orders: Table) -> Iterator[Advice]:
    outliers = findings.outliers
    if outliers is None or not outliers.count:
        return
    ids = ", ".join(literal(order.order_id) for order in outliers.named)
    yield Advice(
        f"{count_of(outliers.count, 'order')} far larger than the others; correct mistakes at "
        "the source",
        _query(shop, f"from {_name(shop, orders)} where {_column(orders, 'order_id')} in ({ids})"),
    )


def _name(shop: ResolvedShop, table: Table) -> str:
    """The user's table in SQL."""
    return ".".join(name_in_sql(part) for part in shop.raw_table(table.name))


def _column(table: Table, name: str) -> str:
    """A canonical column over the user's table."""
    column = (table.columns or {})[name]
    return name if column.lower() == quoted(name) else f"({column})"


def _about_customers(
    shop: ResolvedShop, findings: Findings, orders: Table, *, can_run: bool
) -> Iterator[Advice]:
    """What is odd about the ids of customers, as `cva load` says it."""
    for doubt in findings.customers:
        if doubt.kind == ALIKE and shop.var("cva_customer_key"):
            continue
        look = f"from {_name(shop, orders)} limit 20"
        if doubt.kind == ALIKE and can_run:
            key = one_person("customer_id")
            yield Advice(advised(doubt, DOUBTS), _cva(shop, "run", cva_customer_key=key))
            continue
        if doubt.kind == SHARE:
            ids = ", ".join(map(literal, doubt.ids))
            look = f"from {_name(shop, orders)} where {_column(orders, 'customer_id')} in ({ids})"
            look += " limit 20"
        yield Advice(advised(doubt, DOUBTS), _query(shop, look))


def _about_rejects(shop: ResolvedShop, findings: Findings) -> Iterator[Advice]:
    for table in findings.tables:
        count = sum((table.rejects or {}).values())
        if count <= MANY_REJECTS * table.rows:
            continue
        text = f"{count:,} of {table.rows:,} rows of {table.name} are not used; see why"
        if findings.are_rejects_of_last_build:
            built = f"{name_in_sql(f'{shop.schema}_cva')}.stg_cva__{table.name}"
            yield Advice(
                text, _query(shop, f"from {built} where reject_reason is not null limit 20")
            )
        elif table.relation is not None:
            yield Advice(text, _query(shop, f"from {_name(shop, table)} limit 20"))


def _about_late_tables(shop: ResolvedShop, findings: Findings) -> Iterator[Advice]:
    late = [table for table in findings.tables if table.is_late]
    if late:
        named = ", ".join(f"{table.name} ({table.age_days} days)" for table in late)
        yield Advice(
            f"nothing new for far longer than usual: {named}; load what came since"
            f"{_load(shop, late[0].name)}"
        )


def _about_model(shop: ResolvedShop, model: ValueState, newest: str | None) -> Iterator[Advice]:
    if model.problem or newest is None:
        return
    if model.trained_as_of is None:
        yield Advice("no model was trained; the packaged rule scores", _cva(shop, "train"))
        return
    as_of = model.as_of or model.trained_as_of
    age = (date.fromisoformat(newest) - date.fromisoformat(as_of)).days
    if age > (model.horizon_days or SOON_DAYS):
        yield Advice(
            f"the model was trained {age} days before the newest order; train it anew",
            _cva(shop, "train"),
        )
    elif not model.gives_reasons:
        yield Advice(
            f"model {model.version} is from before scores had reasons; train it anew",
            _cva(shop, "train"),
        )


def _about_build(
    shop: ResolvedShop, model: ValueState, findings: Findings, newest: str | None
) -> Iterator[Advice]:
    build = findings.build
    if build is None:
        yield Advice("customer_value was not built yet", _cva(shop, "run"))
    elif newest is not None and build.as_of <= newest:
        yield Advice(
            f"customer_value is as of {build.as_of}, the newest order of {newest}; build it anew",
            _cva(shop, "run"),
        )
    elif build.model_hashes and model.sha256 and build.model_hashes != (model.sha256,):
        yield Advice(
            f"customer_value was scored by {', '.join(build.model_versions)}, deployed is "
            f"{model.version}; score anew",
            _cva(shop, "run"),
        )
