"""The raw tables of a shop as staging reads them, and which of them `cva load` made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.load.forgotten import LOADED, of_visitors
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.package import RawTable, macro_value, raw_tables
from cva_sql.cli.shop.sql_text import bind, column_names, literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

Who = Callable[[str], str]  # SQL of an id -> SQL: whether it is the id of whom it is about
WhoseOrder = Callable[[str, str | None], str]  # SQL of order_id and store -> SQL
KEY = "cva_key_id"  # the id that cva_customer_key makes of a row, as staging does
ROW = "cva_row"  # the rowid of a table that cva made


@dataclass(frozen=True)
class RawSource:
    """A raw table of the shop. `relation` names it in SQL, `rows` is a query of canonical columns.

    `is_own`: `cva load` made it, so that its rows may go, by ROW. `has_key`: KEY is among them.
    """

    table: str
    relation: str
    is_own: bool
    line: RawTable
    columns: tuple[str, ...]
    rows: str
    has_key: bool

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.relation.replace('"', "")

    @property
    def people(self) -> tuple[str, ...]:
        """SQL of the ids of persons in a row; an account without one goes by the customer key."""
        names = [name for name in self.columns if self.line.columns[name][0] == "person"]
        if self.has_key and "customer_id" in self.columns:
            return (f"coalesce(customer_id, {KEY})",)
        if self.has_key and "customer_id" in self.line.columns:
            return (KEY,)
        return tuple(names)

    def of(self, who: Who, is_order: WhoseOrder | None = None) -> str | None:
        """SQL over `rows`: whether a row is theirs; None where none can be.

        `is_order` says whether an order is theirs and nobody else's, and so whose a row is that
        names nobody. A visit that names nobody is of whom its visitor was named as last.
        """
        conditions = [who(person) for person in self.people]
        if self.people and {"visitor_id", "occurred_at"} <= set(self.columns):
            conditions.append(of_visitors(self.people[0], who, f"({self.rows})"))
        if is_order is not None and "order_id" in self.columns and self.table != "orders":
            nobody = "".join(f"{person} is null and " for person in self.people)
            store = "store" if "store" in self.columns else None
            conditions.append(f"({nobody}{is_order('order_id', store)})")
        return " or ".join(f"coalesce({one}, false)" for one in conditions) or None


def raw_sources(con: DuckDBPyConnection, shop: ResolvedShop) -> list[RawSource]:
    """The raw tables that are there and whose rows may be of people."""
    found = []
    for table, line in raw_tables().items():
        relation = find_relation(con, *shop.raw_table(table))
        names = {name for name, (kind, _) in line.columns.items() if kind == "person"}
        if relation is not None and (names or "order_id" in line.columns):
            found.append(_source(con, shop, table, relation))
    return found


def orders_of(sources: Sequence[RawSource], who: Who) -> WhoseOrder:
    """SQL: whether an order is theirs and nobody else's, by its id, or by it and the store."""
    given = [source for source in sources if source.table == "orders"]
    theirs = given[0].of(who) if given else None
    if theirs is None:
        return lambda order_id, store: "false"
    orders = given[0]

    def is_order(order_id: str, store: str | None) -> str:
        alone = f"select order_id from ({orders.rows}) group by 1 having bool_and({theirs})"
        said = f"{order_id} in ({alone})"
        if store is None or "store" not in orders.columns:
            return said
        both = f"select (order_id, store) from ({orders.rows}) group by 1 having bool_and({theirs})"
        return f"({said} or ({order_id}, {store}) in ({both}))"

    return is_order


def _source(con: DuckDBPyConnection, shop: ResolvedShop, table: str, relation: str) -> RawSource:
    line, is_own = raw_tables()[table], _is_loaded(con, relation)
    present = column_names(con, f"from {relation}")
    option = f"cva_{table}_columns"
    given = line.chosen(shop.vars.get(option) or {}, present)
    select = ", ".join(f"({text}) as {quoted(name)}" for name, text in given.items())
    bind(con, option, f"select {select or '1'} from {relation}", present)
    types = {
        name: kind
        for name, kind, *_ in con.execute(f"describe select {select} from {relation}").fetchall()
    }
    zone = {"cva_timezone": str(shop.var("cva_timezone"))}
    values = [
        macro_value("casts.sql", "cast_kind", f"({text})", kind, types[name], settings=zone)
        + f" as {name}"
        for name, text in given.items()
        for kind in [line.columns[name][0]]
    ]
    others = [quoted(name) for name in present if name.lower() not in given]
    row = [f"rowid as {ROW}"] if is_own else []
    rows = f"select {', '.join([*row, *values, *others])} from {relation}"
    key = _key(con, shop, rows)
    if key is not None:
        rows = f"select *, {key} as {KEY} from ({rows})"
    return RawSource(table, relation, is_own, line, tuple(given), rows, key is not None)


def _key(con: DuckDBPyConnection, shop: ResolvedShop, rows: str) -> str | None:
    """SQL: the id made of the customer key; None where there is none over these columns."""
    import duckdb

    given = shop.var("cva_customer_key")
    if not given:
        return None
    aside = con.cursor()  # where an error ends no transaction
    try:
        described = aside.execute(
            f"describe select (\n{given}\n) as value from ({rows})"
        ).fetchall()
    except duckdb.Error:  # over columns that another table has
        return None
    finally:
        aside.close()
    value = macro_value("casts.sql", "cast_kind", f"(\n{given}\n)", "person", described[0][1])
    return f"'key-' || md5({value})"


def _is_loaded(con: DuckDBPyConnection, relation: str) -> bool:
    """Whether `cva load` made the table: its comment says so."""
    said = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name ="
        f" current_database() and starts_with(comment, {literal(LOADED)})"
    ).fetchall()
    return relation in {f"{quoted(schema)}.{quoted(table)}" for schema, table in said}
