"""What `cva init --scan` reads of a database: columns, counts and a sample; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.readings.counted import COUNTED
from cva_sql.cli.shop.connection import check_is_duckdb, unopened
from cva_sql.cli.shop.holder import check_free
from cva_sql.cli.shop.limits import duckdb_limits
from cva_sql.cli.shop.sql_text import literal, name_in_sql, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 100_000  # above it, values are looked at in a sample of about as many rows
TEXT_ROWS = 5_000  # of them, in how many texts are tried as flags
EXACT_ROWS = 2_000_000  # above it, distinct values are estimated, within a few per cent
MAX_COLUMNS = 300
OVERLAP_KEYS = 5_000  # distinct keys of one table that are looked for in another
READABLE = 0.95  # share of texts that a format must read to be the column's
INTEGERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
)
Measures = Callable[[str, str], dict[str, str]]
OURS = ("customer_value", "customer_value_explain", "customer_features")


@dataclass(frozen=True)
class Column:
    """A column as its values are: shares are of the rows that have a value."""

    name: str
    type: str
    null_share: float
    distinct: int
    shares: dict[str, float]  # of: negative, future, and of each way to read a text
    first: Any = None
    last: Any = None

    @property
    def is_text(self) -> bool:
        return self.type == "VARCHAR"

    @property
    def is_number(self) -> bool:
        return self.type in (*INTEGERS, "DOUBLE", "FLOAT") or self.type.startswith("DECIMAL")

    @property
    def is_of_numbers(self) -> bool:
        """Whether its values are numbers, in texts as well."""
        return self.is_number or self.shares.get("as number", 0) >= READABLE

    @property
    def is_vector(self) -> bool:
        """Whether its values are lists of numbers, in texts as well."""
        return _is_list(self.type) or self.shares.get("as vector", 0) >= READABLE

    @property
    def is_time(self) -> bool:
        return self.type.startswith(("TIMESTAMP", "DATE"))


@dataclass
class Table:
    """A table or view of the database; `sample` is the relation whose values are looked at."""

    schema: str
    name: str
    is_view: bool
    con: DuckDBPyConnection = field(repr=False)
    counts: dict[str, int] = field(repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.relation = f"{quoted(self.schema)}.{quoted(self.name)}"
        self.shown = f"{self.schema}.{self.name}"

    def value(self, query: str) -> Any:
        row = self.con.execute(query).fetchone()
        return row[0] if row else None

    @cached_property
    def rows(self) -> int:
        return int(self.value(f"select count(*) from {self.relation}"))

    @cached_property
    def is_sampled(self) -> bool:
        return self.rows > SAMPLE_ROWS

    @cached_property
    def sample(self) -> str:
        if not self.is_sampled:
            return self.relation
        name = quoted(f"cva_scan_{self.shown}")
        share = 100 * SAMPLE_ROWS / self.rows
        # Whole blocks of a table: quick, and the lines of an order stay together.
        method = "bernoulli" if self.is_view else "system"
        self.con.execute(
            f"create temp table {name} as from {self.relation} "
            f"using sample {method}({share:.4f} percent) repeatable (7)"
        )
        return name

    @cached_property
    def columns(self) -> dict[str, Column]:
        described = self.con.execute(f"describe {self.relation}").fetchall()[:MAX_COLUMNS]
        simple = [(name, kind) for name, kind, *_ in described if _is_simple(kind)]
        if not simple or not self.rows:
            return {name: Column(name, kind, 1, 0, {}) for name, kind in simple}
        counted = self._measure(self.sample, simple, _counts)
        texts = [(name, kind) for name, kind in simple if kind == "VARCHAR"]
        few = f"(from {self.sample} using sample reservoir({TEXT_ROWS} rows) repeatable (7))"
        tried = self._measure(few if self.rows > TEXT_ROWS else self.sample, texts, _readings)
        columns = {}
        for name, kind in simple:
            found = counted[name]
            rows, filled = found.pop("rows"), found.pop("filled")
            first, last, distinct = (found.pop(key, None) for key in ("first", "last", "distinct"))
            shares = {key: (count or 0) / max(filled, 1) for key, count in found.items()}
            read = tried.get(name, {"filled": 0})
            filled_texts = max(read.pop("filled"), 1)
            shares |= {key: (count or 0) / filled_texts for key, count in read.items()}
            empty = 1 - filled / max(rows, 1)
            columns[name] = Column(name, kind, empty, int(distinct or 0), shares, first, last)
        return columns

    def _measure(
        self, relation: str, columns: list[tuple[str, str]], measures: Measures
    ) -> dict[str, dict[str, Any]]:
        """All measures of all columns, in one pass."""
        asked = {name: measures(quoted(name), kind) for name, kind in columns}
        wanted = ", ".join(sql for of_one in asked.values() for sql in of_one.values())
        if not wanted:
            return {}
        values = iter(self.con.execute(f"select {wanted} from {relation}").fetchall()[0])
        return {name: {key: next(values) for key in of_one} for name, of_one in asked.items()}

    def sql(self, column: Column) -> str:
        """The column in an expression; quoted where it has to be."""
        return name_in_sql(column.name)

    def distinct(self, column: str) -> int:
        """Distinct values in the whole table."""
        count = "count(distinct {})" if self.rows <= EXACT_ROWS else "approx_count_distinct({})"
        return self._count(count.format(quoted(column)))

    def filled(self, column: str) -> int:
        return self._count(f"count({quoted(column)})")

    def null_share(self, column: str) -> float:
        return 1 - self.filled(column) / max(self.rows, 1)

    def span(self, column: str) -> tuple[str, str] | None:
        """The first and last date or time in the whole table, None where there is none."""
        name = quoted(column)
        row = self.con.execute(
            f"select left(min({name})::varchar, 19), left(max({name})::varchar, 19) "
            f"from {self.relation}"
        ).fetchone()
        return (row[0], row[1]) if row and row[0] is not None else None

    def _count(self, expression: str) -> int:
        if expression not in self.counts:
            self.counts[expression] = int(self.value(f"select {expression} from {self.relation}"))
        return self.counts[expression]


def _is_simple(kind: str) -> bool:
    if kind.endswith("]"):
        return _is_list(kind)
    known = (*INTEGERS, "DOUBLE", "FLOAT", "VARCHAR", "BOOLEAN", "UUID")
    return kind in known or kind.startswith(("DECIMAL(", "TIMESTAMP", "DATE", "ENUM("))


def _is_list(kind: str) -> bool:
    """Whether a type is of lists, or arrays, of numbers."""
    item, *ends = kind.split("[")
    return len(ends) == 1 and (item in (*INTEGERS, "DOUBLE", "FLOAT") or item[:7] == "DECIMAL")


def _counts(name: str, kind: str) -> dict[str, str]:
    """What to ask of a column: a name and the SQL of each measure."""
    count = "count(*) filter ({})"
    asked = {"rows": "count(*)", "filled": f"count({name})"}
    if kind.endswith("]"):
        return asked
    asked |= {"distinct": f"approx_count_distinct({name})"}
    if kind.startswith(("TIMESTAMP", "DATE")):
        asked |= {
            "first": f"left(min({name})::varchar, 10)",
            "last": f"left(max({name})::varchar, 10)",
        }
        asked["future"] = count.format(f"{name}::timestamp > now()::timestamp + interval 1 day")
    elif kind == "VARCHAR":
        asked["first"], asked["last"] = f"left(min({name}), 40)", f"left(max({name}), 40)"
        asked["filled"] = f"count(nullif(trim({name}), ''))"
    elif kind not in ("BOOLEAN", "UUID") and not kind.startswith("ENUM"):
        asked |= {"first": f"min({name})", "last": f"max({name})"}
        asked["negative"] = count.format(f"{name} < 0")
        # Not cast to whole numbers: that fails for infinities.
        asked["whole"] = count.format(f"{name} = floor({name})")
        for way, counted in COUNTED.items():
            asked[way] = count.format(f"{name} between {counted.low} and {counted.high}")
    return asked


def _readings(name: str, _: str) -> dict[str, str]:
    """What a text may be read as."""
    count = "count(*) filter ({})"
    asked = {"filled": f"count(nullif(trim({name}), ''))"}
    flags = "'true', 'false', 't', 'f', 'yes', 'no', 'y', 'n', '0', '1'"
    asked["as flag"] = count.format(f"lower(trim({name})) in ({flags})")
    number = f"try_cast({name} as double)"
    asked["as number"] = count.format(f"{number} is not null")
    asked["whole"] = count.format(f"{number} = floor({number})")
    asked["as vector"] = count.format(
        f"regexp_matches({name}, '^\\s*[\\[({{][-+.,\\s\\deE]+[\\])}}]\\s*$')"
    )
    return asked


def as_id(expression: str, kind: str) -> str:
    """An id as staging reads it: a whole DOUBLE without the .0."""
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
        return (
            f"case when {expression} = floor({expression}) and abs({expression}) < 9e18 "
            f"then {expression}::bigint::varchar else {expression}::varchar end"
        )
    return f"trim({expression}::varchar)"


def overlap(child: Table, column: Column, parent: Table, key: Column) -> float:
    """Share of the child's distinct ids, of 5,000 at most, that the parent has too."""
    mine, theirs = as_id(quoted(column.name), column.type), as_id(quoted(key.name), key.type)
    return float(
        child.value(
            f"with ids as (select id from (select distinct {mine} as id from {child.sample}) "
            f"where id <> '' order by hash(id), id limit {OVERLAP_KEYS}) "
            "select coalesce(avg(case when id in "
            f"(select {theirs} from {parent.relation} where {quoted(key.name)} is not null) "
            "then 1 else 0 end), 0) from ids"
        )
    )


@contextmanager
def opened(db: Path) -> Iterator[DuckDBPyConnection]:
    """A connection that can only read the database; raises UsageError and CvaError."""
    import duckdb

    if not db.is_file():
        raise UsageError(f"{db} is no file; expected a DuckDB database, e.g. --scan shop.duckdb")
    check_free(db)
    check_is_duckdb(db)
    con = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", **duckdb_limits()}
    )
    name = "shop" if db.stem in ("memory", "system", "temp") else db.stem
    try:
        con.execute(
            f"attach {literal(str(db.resolve()))} as {quoted(name)} (type duckdb, read_only)"
        )
    except duckdb.Error as error:
        con.close()
        raise unopened(db, error) from error
    try:
        con.execute(f"use {quoted(name)}")
        con.execute("set timezone = 'UTC'")
        yield con
    except duckdb.Error as error:
        raise CvaError(f"{db} cannot be scanned: {one_line(error)}") from error
    finally:
        con.close()


def list_tables(con: DuckDBPyConnection, schema: str | None) -> list[Table]:
    """The user's tables and views, without what cva itself made."""
    rows = con.execute(
        "select table_schema, table_name, table_type = 'VIEW' from information_schema.tables "
        "where table_catalog = current_database() "
        "and table_schema not in ('information_schema', 'pg_catalog') "
        "and not (ends_with(table_schema, '_cva') or starts_with(table_schema, 'cva_') "
        "or starts_with(table_name, 'cva_') or contains(table_name, '_cva__') "
        "or table_name in (select unnest(?::varchar[]))) "
        "and (?::varchar is null or lower(table_schema) = lower(?)) order by 1, 2",
        [list(OURS), schema, schema],
    ).fetchall()
    return [Table(place, name, is_view, con) for place, name, is_view in rows]
