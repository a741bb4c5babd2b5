"""Whatever is in a file or an option, `cva load` loads it or says why in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.rows import sql_type
from cva_sql.cli.load.table import load_table
from cva_sql.cli.shop.history import COLUMNS, FAILED, OK, WHERE
from cva_sql.cli.shop.package import canonical_tables, macro_value
from cva_sql.udfs.errors import CvaError

MORE = 20 if os.environ.get("CVA_FUZZ") else 1  # `make fuzz`
TABLES = canonical_tables()
FORMATS = ("csv", "tsv", "txt", "jsonl", "json", "parquet")

TEXTS = [
    "", " ", "\t", "a\nb", '"', "'", ",", ";", "|", "\0", "ça", "🛒", "\u202e", "\ufeff",
    "x" * 100_000, "null", "NULL", "true", "{}", '{"a": 1}', "[1]", "#", "\\", "\\N",
    "1); drop table raw.kept; --", "'; drop table raw.kept; --", '"; drop table raw.kept; --', 
    "{{ 1 }}", "$1", "?", "%s",
]  # fmt: skip
VALUES = [
    "1", "2", "c1", "10.50", "-0.0", "1e300", "1e18", "-1e18", "nan", "inf", "-inf", "13085.0",
    "007",
    "99999999999999999999", "12 €", "1,5", "2024-01-01", "2024-01-01 10:00:00",
    "2024-01-01T10:00:00+02:00", "0001-01-01", "9999-12-31", "infinity", "2024-02-30", "24:00",
    "2024-01-01 10:00:00 Mars/Olympus", "20240131", "294247-01-01",
]  # fmt: skip
NAMES = [
    "order", "select", "from", 'a"b', "a'b", "a;b", "a b", "", " ", "näme 🛒", "a\nb", "x" * 300,
    "Order_ID", '"', "order_id; drop table raw.kept", "rowid", "columns", "*", "{}", "a.b",
]  # fmt: skip
EXPRESSIONS = [
    '"order"', '"a""b"', "'x'", "1", "nullif(1, 1)", "rowid", "now()",
    "try_cast('x' as int)", "'1'::int",
    "1/0", "'x'::int", "row_number() over ()", "error('no')", "repeat('x', 100000)", "[1, 2]",
    "{'a': 1}", "'nan'::double", "timestamptz '2024-01-01 10:00:00+02'", "interval 1 day", "uuid()",
    "'infinity'::date", "''::blob", "1; drop table raw.kept", "1) from raw.kept --", "(select 1)",
]  # fmt: skip
ANY_VALUE = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from([None, *TEXTS, *VALUES * 2]),
    st.text(st.characters(codec="utf-8"), max_size=6),
)


@st.composite
def loads(draw: st.DrawFn) -> dict[str, Any]:
    """A table, its file's columns and rows, the options and what is broken in the file."""
    table = draw(st.sampled_from(["orders", "orders", *TABLES]))
    canonical = list(TABLES[table])
    names = draw(st.sampled_from([canonical, canonical[:4], canonical[::-1]]))
    names = [*names, *draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))]
    width = len(names)
    rows = draw(st.lists(st.lists(ANY_VALUE, min_size=width, max_size=width), max_size=5))
    columns = draw(
        st.one_of(
            st.just({}),
            st.just({}),
            st.dictionaries(st.sampled_from(canonical), st.sampled_from(EXPRESSIONS), max_size=2),
        )
    )
    file_format = draw(st.sampled_from(FORMATS))
    data = as_bytes(names, rows, file_format)
    broken = draw(st.sampled_from([None] * 5 + [b"\xff\xfe", b"\0", b'"', b"{", b"\n,"]))
    if broken is not None:
        at = draw(st.integers(0, 200))
        data = data[:at] + broken + data[at:]
    where = [None] * 4 + ["true", "order_id is not null", "1; x", "-1", "'yes'"]
    is_exact = broken is None and file_format in ("parquet", "jsonl", "json")
    return {
        "table": table,
        "format": file_format,
        "data": data,
        "row_count": len(rows) if is_exact else None,
        "how": draw(st.sampled_from(["replace", "replace", "append"])),
        "options": {
            "columns": columns,
            "where": draw(st.sampled_from(where)),
            "lines": table == "orders" and draw(st.booleans()),
        },
    }


def as_bytes(names: Sequence[str], rows: Sequence[Sequence[str | None]], file_format: str) -> bytes:
    if file_format in ("csv", "tsv"):
        text = io.StringIO(newline="")
        writer = csv.writer(
            text, delimiter="\t" if file_format == "tsv" else ",", lineterminator="\n"
        )
        writer.writerows([names, *rows])
        return text.getvalue().encode()
    if file_format == "txt":
        return "\n".join(" ".join(v or "-" for v in line) for line in [names, *rows]).encode()
    if file_format == "parquet":
        arrays = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(names))]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(arrays, names=list(names)), sink)
        return sink.getvalue()
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    if file_format == "json":
        return json.dumps(objects, ensure_ascii=False).encode()
    return "\n".join(json.dumps(item, ensure_ascii=False) for item in objects).encode()


@dataclass(frozen=True)
class Content:
    """The rows of every table and view but those of DuckDB, and a table's columns and types."""

    rows: dict[str, list[tuple[Any, ...]]]
    types: dict[str, str]


def content(db: Path, table: str) -> Content:
    with duckdb.connect(str(db), read_only=True) as con:
        found = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() union all "
            "select schema_name || '.' || view_name from duckdb_views() where not internal"
        ).fetchall()
        rows = {name: con.execute(f"from {name}").fetchall() for (name,) in found}
        columns = con.execute(
            "select column_name, lower(data_type) from duckdb_columns() where table_name = ?",
            [table],
        ).fetchall()
    return Content(rows, {name: kind.replace(",", ", ") for name, kind in columns})


@pytest.fixture
def shops(tmp_path: Path) -> dict[str, Path]:
    """Table -> a database that has it, with a row of NULLs, and another table; "": only that."""
    found: dict[str, Path] = {}
    for table in ["", *TABLES]:
        found[table] = tmp_path / f"{table}.duckdb"
        with duckdb.connect(str(found[table])) as con:
            con.execute("create schema raw; create table raw.kept as select 1 as n")
            if table:
                kinds = {name: sql_type(kind) for name, (kind, _) in TABLES[table].items()}
                columns = ", ".join(f"null::{kind} as {name}" for name, kind in kinds.items())
                con.execute(f"create table raw.{table} as select {columns}")
    return found


def test_a_load_succeeds_or_says_why_and_changes_nothing_else(
    shops: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    db = folder / "shop.duckdb"

    @settings(max_examples=200 * MORE)
    @given(loads())
    def check(load: dict[str, Any]) -> None:
        table = load["table"]
        has_table = load["how"] == "append"
        shutil.rmtree(
            folder, ignore_errors=True
        )  # of a try that failed: it is told by what it found
        folder.mkdir()
        shutil.copyfile(shops[table if has_table else ""], db)
        before = {"raw.kept": [(1,)]}
        if has_table:
            before[f"raw.{table}"] = [(None,) * len(TABLES[table])]
        file = folder / f"file.{load['format']}"
        file.write_bytes(load["data"])
        said, report = "", None
        try:
            report = load_table(table, [file], db=db, **load["options"], **{load["how"]: True})
        except CvaError as error:
            said = str(error)
        after = content(db, table)
        outcomes = [row[list(COLUMNS).index("outcome")] for row in after.rows.pop(WHERE, [])]
        if report is None:
            assert outcomes in ([], [FAILED])  # a call that cannot be one leaves no row
            assert len(said.splitlines()) == 1
            assert len(said) < 4000
            assert after.rows == before
        else:
            assert outcomes == [OK]
            former = len(before.pop(f"raw.{table}", []))
            loaded = len(after.rows.pop(f"raw.{table}"))
            assert after.rows == before
            # A row like the one of the table, all of it NULL, is that row.
            added = report.changes.inserted if report.changes else report.loaded.rows
            assert (loaded, loaded - former) == (report.table_now.rows, added)
            if report.changes:
                assert added + report.changes.unchanged == report.loaded.rows
            assert {sql_type(TABLES[table][n][0]) == kind for n, kind in after.types.items()} == {
                True
            }
            check_report(report, load)
        left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert left <= {file.name, db.name, f"{db.name}.wal", f".cva/{db.name}.lock"}

    check()


def check_report(report: LoadReport, load: dict[str, Any]) -> None:
    """Every row of the file is in it once, or a newer version of it; it can be printed."""
    taken = report.rows_read - report.rows_left_out_by_where - report.superseded
    lines = report.lines
    assert taken == (lines.taken + lines.without_order_id if lines else report.loaded.rows)
    assert load["row_count"] in (None, report.rows_read)
    assert report.as_text()
    json.loads(report.as_json())


TOKENS = [
    "amount", "customer_id", "1", "'x'", "(", ")", ",", ";", "*", "+", "=", "::int", ".", "[", "]",
    "{", "}", "'", '"', "--", "/*", "*/", "\n", "$$", "$1", "?", "#1", "\\", "E'\\''", "\0",
    "select 1",
    "from kept", "select", "union", "values (1)", "drop table kept",
    "create table made as select 1",
    "as x", "where", "limit 0", "order by 1", "group by all", "over ()", "filter (where true)",
    "case",
    "when true then 1", "end", "lambda x: x", "x -> x", "distinct", "exists", "in", "not",
    "is null",
    "unnest([1, 2])", "read_text('/etc/passwd')", "getenv('HOME')", "sum(amount)", "list(amount)",
    "cva_embed('a')", "upper(customer_id)", "columns(*)", "exclude", "table kept", "pivot", "with",
]  # fmt: skip
PIECES = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=7).map(" ".join)
WRAPPED = st.tuples(
    st.sampled_from(["", "(", "1) ", "'", "upper(", "case when true then "]),
    PIECES,
    st.sampled_from(["", ")", " --", "'", " end", " (1", ") --", " /*"]),
).map("".join)


def test_an_expression_that_is_let_through_is_one_value_of_each_row() -> None:
    with duckdb.connect() as con:
        con.execute(
            "create table kept as select 'a' as customer_id, n as amount from range(3) t(n)"
        )

        @settings(max_examples=400 * MORE)
        @given(st.one_of(PIECES, WRAPPED))
        def check(text: str) -> None:
            try:
                query = macro_value("checked_expression.sql", "expression_problem", text)
                problem = con.execute(query).fetchall()[0][0]
            except duckdb.Error:
                return
            if problem is not None:
                assert len(problem.splitlines()) == 1
                return
            select = f"select (\n{text}\n) as value, amount as other from kept"
            assert [s.type for s in con.extract_statements(select)] == [duckdb.StatementType.SELECT]
            try:
                found = con.execute(select).fetchall()
            except duckdb.Error:  # a column or a type that is not there
                found = con.execute("select null, amount from kept").fetchall()
            assert [row[1:] for row in found] == [(0,), (1,), (2,)]
            assert con.execute("select table_name from duckdb_tables()").fetchall() == [("kept",)]

        check()
