"""Table cva_forgotten: who was erased, as salted hashes, so that no file brings them back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.sql_text import literal
from cva_sql.cli.shop.tables import make_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "cva_forgotten"  # dbt's staging reads it too, see macros/forgotten.sql
WHERE = f"main.{TABLE}"  # one for the database, whatever schema the marts have
COLUMNS = {  # name -> (type, comment)
    "kind": ("varchar", "customer, or order: one that nobody else has"),
    "hash": ("varchar", "sha256 of the salt and the id, in hex; of an order in a store of both"),
    "salt": ("varchar", "random, the same for the whole database"),
    "forgotten_on": ("date", "the day, UTC"),
}
CUSTOMER, ORDER = "customer", "order"
STORE_MARK = "\x1f"  # between an order_id and its store
ALERT_END = re.compile(r"@\d{4}-\d{2}-\d{2}$")  # of an alert_id, after its customer
SAID = "[forgotten]"  # in place of an id
# What an id may look like in a line of text, and digits that are as likely a count.
WORD = re.compile(r"""[^\s'"`,;:()\[\]{}<>=|]+""")
COUNT = re.compile(r"[\d.,%]{1,6}")


@dataclass(frozen=True)
class Tombstones:
    """The salt of a database, and the hashes of customers who are forgotten in it."""

    salt: str
    customers: frozenset[str]
    relation: str = WHERE

    def hash(self, text: str) -> str:
        """What stands for an id."""
        return sha256(f"{self.salt}{text}".encode()).hexdigest()

    def is_customer(self, expression: str) -> str:
        """SQL: whether a text is the id of somebody who is forgotten; never NULL."""
        return self._is(expression, CUSTOMER)

    def is_order(self, order_id: str, store: str | None = None) -> str:
        """SQL: whether an order was that of somebody who is forgotten."""
        said = self._is(order_id, ORDER)
        if store is None:
            return said
        both = f"{order_id} || {literal(STORE_MARK)} || {store}"
        return f"({said} or {self._is(both, ORDER)})"

    def _is(self, expression: str, kind: str) -> str:
        return (
            f"(sha256(concat({literal(self.salt)}, {expression})) in"
            f" (select hash from {self.relation} where kind = {literal(kind)}))"
        )

    def beside(self, con: DuckDBPyConnection) -> Tombstones:
        """The same for a connection to another database, which has no such table."""
        con.execute(f"create or replace temp table {TABLE} (kind varchar, hash varchar)").fetchall()
        con.execute(
            f"insert into temp.{TABLE} select {literal(CUSTOMER)}, unnest(?)",
            [sorted(self.customers)],
        ).fetchall()
        return replace(self, relation=f"temp.{TABLE}")

    def is_named(self, text: str) -> bool:
        """Whether a text is the id of a customer who is forgotten, or of an alert about them."""
        return self.hash(ALERT_END.sub("", text)) in self.customers

    def names_in(self, text: str, *, counts: bool = False) -> list[str]:
        """The words and quoted parts of a text that are ids of customers who are forgotten.

        `counts`: also digits that are as likely a count.
        """
        found = words_of(text, counts=counts)
        return [part for part in found if self.is_named(part)]

    def redacted(self, text: str) -> str:
        """The text with another word in the place of such ids."""
        for name in sorted(self.names_in(text), key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", SAID, text)
        return text


def words_of(text: str, *, counts: bool = False) -> list[str]:
    """The words and quoted parts of a text that may be ids, each once; `counts`: see names_in."""
    quoted = [part for mark in "'\"" for part in text.split(mark)[1::2]]
    words = [word.rstrip(".!?") for word in WORD.findall(text)]
    found = [*quoted, *(word for word in words if counts or not COUNT.fullmatch(word))]
    return [part for part in dict.fromkeys(found) if part]


def read_tombstones(con: DuckDBPyConnection) -> Tombstones | None:
    """Who is forgotten in the current database; None where nobody is."""
    if find_relation(con, "main", TABLE) is None:
        return None
    rows = con.execute(f"select kind, hash, salt from {WHERE}").fetchall()
    if not rows:
        return None
    return Tombstones(rows[0][2], frozenset(hashed for kind, hashed, _ in rows if kind == CUSTOMER))


def add_tombstones(con: DuckDBPyConnection, customers: Iterable[str]) -> Tombstones:
    """Notes customers as forgotten, each once, in the caller's transaction."""
    if find_relation(con, "main", TABLE) is None:
        make_table(con, WHERE, COLUMNS)
    known = read_tombstones(con) or Tombstones(secrets.token_hex(16), frozenset())
    new = sorted({known.hash(customer) for customer in customers} - known.customers)
    for hashed in new:
        con.execute(
            f"insert into {WHERE} (kind, hash, salt, forgotten_on) values (?, ?, ?, ?)",
            [CUSTOMER, hashed, known.salt, datetime.now(UTC).date()],
        ).fetchall()
    return Tombstones(known.salt, known.customers | set(new))


def add_orders(
    con: DuckDBPyConnection,
    known: Tombstones,
    rows: str,
    theirs: str,
    *,
    has_store: bool,
    beside: str | None = None,
) -> None:
    """Notes the orders that only they have, by order_id, and by it and the store.

    `rows` is a query of orders, `theirs` SQL over it. `beside` are orders of others, with the same
    columns.
    """
    keys = ["order_id", *([f"order_id || {literal(STORE_MARK)} || store"] if has_store else [])]
    for key in keys:
        others = f" and {key} not in (select {key} from ({beside}) where {key} is not null)"
        con.execute(
            f"insert into {WHERE} (kind, hash, salt, forgotten_on)"
            f" select {literal(ORDER)}, cva_hash, {literal(known.salt)}, ?"
            f" from (select distinct sha256(concat({literal(known.salt)}, {key})) as cva_hash"
            f" from ({rows}) where {key} is not null{others if beside else ''} group by {key}"
            f" having bool_and({theirs})) where cva_hash not in"
            f" (select hash from {WHERE} where kind = {literal(ORDER)})",
            [datetime.now(UTC).date()],
        ).fetchall()
