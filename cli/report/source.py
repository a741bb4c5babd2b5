"""What a report reads of a shop: tables that may be missing, and rows of queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cva_sql.cli.report.target import WORDS, Words
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError, ModelError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.udfs.manifest import Manifest

Row = tuple[Any, ...]
VALUE, EXPLAIN = "cva_report_value", "cva_report_explain"  # temporary views of the newest date
NEEDED = (
    "customer_id", "as_of_date", "horizon_days", "score", "value_tier", "score_status",
    "historic_value", "predicted_value", "predicted_value_p10", "predicted_value_p90",
    "purchase_probability", "churn_risk", "reason_1", "reason_2", "reason_3", "model_version",
)  # fmt: skip
NO_CURRENCY = "shop currency"  # where no order names one
EXPLAINED = (
    "customer_id", "as_of_date", "family", "feature", "value", "reference_value", "attribution",
    "baseline_prediction_value", "predicted_value",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """An open shop. `unit` names what is predicted, as a rule its money.

    `as_of` is None where it has no customer. `explains` says whether the attributions of that date
    are there, as view EXPLAIN. `deployed` is the trained model that scores from now on; None
    without one, or where it is broken.
    """

    con: DuckDBPyConnection
    shop: ResolvedShop
    unit: str
    as_of: date | None
    explains: bool
    deployed: Manifest | None

    @property
    def words(self) -> Words:
        """How to say what the deployed model predicts."""
        return WORDS.get(self.deployed.target if self.deployed else "spend", WORDS["spend"])

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a query, decimals as floats."""
        found = self.con.execute(query, list(parameters)).fetchall()
        return [tuple(float(v) if isinstance(v, Decimal) else v for v in row) for row in found]

    def table(self, name: str, columns: Sequence[str], *, is_internal: bool = False) -> str | None:
        """The table's name in SQL; None where it, or one of the columns, is not there.

        An internal one has a schema of its own, but in a published file that of the others.
        """
        schemas = [self.shop.schema]
        if is_internal:
            schemas.insert(0, f"{self.shop.schema}_cva")
        found = (find_table(self.con, schema, name, columns) for schema in schemas)
        return next((table for table in found if table), None)

    def command(self, *names: str) -> str:
        """What to run, with the options that name this shop."""
        return ", then ".join(self.shop.command(name) for name in names)


def find_table(
    con: DuckDBPyConnection, schema: str, name: str, columns: Sequence[str]
) -> str | None:
    """The table or view in SQL; None where it, or one of the columns, is not there."""
    from cva_sql.cli.shop.sql_text import quoted

    found = con.execute(
        "select schema_name, table_name, lower(column_name) from duckdb_columns() "
        "where lower(schema_name) = lower(?) and lower(table_name) = lower(?) "
        "and database_name = current_database()",
        [schema, name],
    ).fetchall()
    if not set(columns) <= {column for _, _, column in found} or not found:
        return None
    return f"{quoted(found[0][0])}.{quoted(found[0][1])}"


@contextmanager
def opened(shop: ResolvedShop) -> Iterator[Source]:
    """The shop, read-only, as of the newest date of customer_value.

    Raises CvaError where that table is not there, or where a query fails.
    """
    import duckdb

    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.history import say_unpublished
    from cva_sql.cli.shop.sql_text import one_line

    con = connect(shop.db, read_only=True)
    try:
        # A missing table must not become a variable of ours.
        con.execute("set python_enable_replacements = false")
        say_unpublished(con)
        yield _looked_at(con, shop)
    except duckdb.Error as error:
        raise CvaError(
            f"{shop.db} cannot be read: {one_line(error)}; rebuild it with: {shop.command('run')}"
        ) from None
    finally:
        con.close()


def _looked_at(con: DuckDBPyConnection, shop: ResolvedShop) -> Source:
    value = find_table(con, shop.schema, "customer_value", NEEDED)
    if value is None:
        is_there = find_table(con, shop.schema, "customer_value", ())
        what = "an older customer_value" if is_there else f"no table {shop.schema}.customer_value"
        raise CvaError(f"{shop.db} has {what}; make it with: {shop.command('run')}")
    con.execute(
        f"create or replace temp view {VALUE} as select * from {value} "
        f"where as_of_date = (select max(as_of_date) from {value})"
    )
    as_of = con.execute(f"select max(as_of_date) from {VALUE}").fetchall()[0][0]
    explain = find_table(con, shop.schema, "customer_value_explain", EXPLAINED)
    if explain is not None and as_of is not None:
        con.execute(
            f"create or replace temp view {EXPLAIN} as select * from {explain} where "
            f"as_of_date = date '{as_of}' and isfinite(attribution) and isfinite(predicted_value)"
        )
        explains = bool(con.execute(f"select 1 from {EXPLAIN} limit 1").fetchall())
    else:
        explains = False
    source = Source(con, shop, _currency(con, shop), as_of, explains, _deployed(shop))
    return replace(source, unit=source.words.unit or source.unit)


def _deployed(shop: ResolvedShop) -> Manifest | None:
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.sessions import DEPLOYED_FILE, deployed_folder

    if not (shop.models_dir / DEPLOYED_FILE).is_file():
        return None
    try:
        return read_manifest(deployed_folder(shop.models_dir))
    except (ModelError, OSError):
        return None


def _currency(con: DuckDBPyConnection, shop: ResolvedShop) -> str:
    """The shop's currency: that of the var, else the one that most orders have, else a word."""
    from cva_sql.cli.report.wording import plain
    from cva_sql.cli.shop.sql_text import quoted

    named = shop.var("cva_currency")
    table = find_table(con, *shop.raw_table("orders"), ["currency"])
    if not named and table and "currency" not in (shop.vars.get("cva_orders_columns") or {}):
        found = con.execute(
            f"select {quoted('currency')}::varchar from {table} where currency is not null "
            "group by 1 order by count(*) desc, 1 limit 1"
        ).fetchall()
        named = found[0][0] if found else None
    return plain(str(named), 12) if named else NO_CURRENCY
