"""`cva load`: what becomes of files, values, expressions and of the table that was there before."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from cva_sql.cli.load import command as load_command
from cva_sql.cli.load import rows as load_rows
from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.table import load_table
from cva_sql.udfs.errors import CvaError, UsageError

ORDERS = (
    "order_id,customer_id,ordered_at,amount\n1,a,2024-01-02 10:00:00,10.50\n2,b,2024-02-03,20\n"
)
LINES = (
    "invoice,who,placed,quantity,price\n"
    "1,a,2024-01-02 10:00:00,1,0.1\n1,a,2024-01-02 09:00:00,1,0.2\n2,b,2024-02-03,3,5\n"
    "3,c,2024-02-04,-1,5\n,d,2024-02-05,1,5\n4,f,2024-02-06,1,1\n4,e,2024-02-06,1,1\n"
)
LINE_COLUMNS = {
    "order_id": "invoice",
    "customer_id": "who",
    "ordered_at": "placed",
    "amount": "quantity * price",
}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    data = text.encode()
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return file


def rows(db: Path, query: str = "from raw.orders order by all") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute(query).fetchall()


def load_query(
    db: Path, query: str, columns: Mapping[str, str] | None = None, **options: Any
) -> LoadReport:
    return load_table("orders", db=db, query=query, columns=columns, **options)


def value_of(db: Path, column: str, expression: str, timezone: str = "UTC") -> Any:
    """What `expression` becomes in `column` of raw.orders."""
    values = {"order_id": "1", "customer_id": "1", "ordered_at": "date '2024-01-01'", "amount": "1"}
    values |= {column: expression}
    select = ", ".join(f"{value} as {name}" for name, value in values.items())
    load_query(db, f"select {select}", replace=True, timezone=timezone)
    return rows(db, f"select {column} from raw.orders")[0][0]


# --- files ------------------------------------------------------------------------------------


def test_csv_becomes_a_table_of_canonical_types(db: Path, tmp_path: Path) -> None:
    report = load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=db)
    assert rows(db) == [
        ("1", "a", datetime(2024, 1, 2, 10), Decimal("10.5000")),
        ("2", "b", datetime(2024, 2, 3), Decimal("20.0000")),
    ]
    types = [row[1] for row in rows(db, "describe raw.orders")]
    assert types == ["VARCHAR", "VARCHAR", "TIMESTAMP", "DECIMAL(18,4)"]
    assert (report.loaded.rows, report.loaded.customers) == (2, 2)
    assert report.loaded.amount == Decimal("30.5")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("o.csv.gz", ORDERS),
        ("o.csv", ORDERS.replace(",", ";")),
        ("o.csv", "\ufeff" + ORDERS.replace("\n", "\r\n")),
        ("o.tsv", ORDERS.replace(",", "\t")),
        ("o.txt", "\n" + ORDERS.replace(" 10:00:00", "T10:00:00").replace(",", "   ")),
        (
            "o.txt.gz",
            ORDERS.replace(" 10:00:00", "T10:00:00").replace(",", " \t").replace("\n", "\r\n"),
        ),
        ("it's [1]*.csv", ORDERS),
        (
            "o.jsonl",
            '{"order_id": 1, "customer_id": "a", "ordered_at": "2024-01-02T10:00:00Z",'
            ' "amount": 10.5}\n{"order_id": "2", "customer_id": "b", "ordered_at": "2024-02-03",'
            ' "amount": 20}\n',
        ),
    ],
)
def test_every_text_format_gives_the_same_table(
    db: Path, tmp_path: Path, name: str, text: str
) -> None:
    load_table("orders", [write(tmp_path, name, text)], db=db)
    assert rows(db) == [
        ("1", "a", datetime(2024, 1, 2, 10), Decimal("10.5000")),
        ("2", "b", datetime(2024, 2, 3), Decimal("20.0000")),
    ]


def test_parquet_double_ids_lose_their_point_zero(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "o.parquet"
    duckdb.execute(
        "copy (select 1::double as Order_ID, 13085.0::double as customer_id, date '2024-01-01' as"
        f" ordered_at, 5 as amount) to '{file}'"
    )
    load_table("orders", [file], db=db)
    assert rows(db) == [("1", "13085", datetime(2024, 1, 1), Decimal("5.0000"))]


def test_csv_ids_keep_leading_zeros_and_long_digits(db: Path, tmp_path: Path) -> None:
    text = ORDERS.replace("\n1,a", "\n007,12345678901234567890").replace("\n2,b", "\n008,1")
    load_table("orders", [write(tmp_path, "o.csv", text)], db=db)
    ids = rows(db, "select order_id, customer_id from raw.orders order by 1")
    assert ids == [("007", "12345678901234567890"), ("008", "1")]


def test_files_of_one_load_may_order_their_columns_differently(db: Path, tmp_path: Path) -> None:
    first = write(tmp_path, "1.csv", ORDERS)
    second = write(tmp_path, "2.csv", "amount,order_id,customer_id,ordered_at\n5,3,c,2024-03-01\n")
    assert load_table("orders", [first, second], db=db).loaded.rows == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.csv", None, "is not a file"),
        ("o.xlsx", "x", "the columns are: x"),  # by its content it is text
        ("o.csv", "", "is empty"),
        ("o.csv.gz", "", "is empty"),
        ("o.csv", ORDERS.splitlines()[0] + "\n", "none of 0 rows"),
        ("o.parquet", "PAR1 no more", "cannot be read"),
        ("o.jsonl", '{"order_id": 1}\n{"order', "cannot be read"),
        ("o.csv", ORDERS + "3,c,2024-01-01,4,5,6\n", "line 4 has 6 fields, the header has 4"),
        ("o.txt", "order_id amount\n1 2\n3 4 5\n", "1 lines do not have the 2 columns"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line_and_leaves_no_database(
    db: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    file = tmp_path / name if text is None else write(tmp_path, name, text)
    with pytest.raises(CvaError, match=message) as caught:
        load_table("orders", [file], db=db)
    assert "\n" not in str(caught.value)
    assert not db.exists()


def test_broken_gzip_is_one_line(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "o.csv.gz"
    file.write_bytes(gzip.compress(ORDERS.encode())[:-12])
    with pytest.raises(CvaError, match="cannot be read"):
        load_table("orders", [file], db=db)


def test_files_with_other_columns_are_refused_by_name(db: Path, tmp_path: Path) -> None:
    files = [write(tmp_path, "1.csv", ORDERS), write(tmp_path, "2.csv", "a,b\n1,2\n")]
    with pytest.raises(UsageError, match=r"2\.csv has the columns a, b, but"):
        load_table("orders", files, db=db)


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "expression", "expected"),
    [
        ("customer_id", "13085.0::double", "13085"),
        ("customer_id", "13085.00::decimal(10, 2)", "13085"),
        ("customer_id", "1.5::double", "1.5"),
        ("customer_id", "'nan'::double", None),
        ("customer_id", "E' \\tx\\n'", "x"),
        ("customer_id", "'  '", None),
        ("amount", "' 12.5 '", Decimal("12.5000")),
        ("amount", "'nan'::double", None),
        ("amount", "'inf'::double", None),
        ("amount", "1e300", None),
        ("amount", "'12 €'", Decimal("12.0000")),
        ("amount", "'twelve'", None),
        ("amount", "date '2024-01-01'", None),
        ("ordered_at", "'2024-01-01T10:00:00+02:00'", datetime(2024, 1, 1, 8)),
        ("ordered_at", "'2024-01-01 10:00:00 -0330'", datetime(2024, 1, 1, 13, 30)),
        ("ordered_at", "'2024-01-01T10:00Z'", datetime(2024, 1, 1, 10)),
        ("ordered_at", "'2024-01-01 10:00:00 Europe/Paris'", datetime(2024, 1, 1, 9)),
        ("ordered_at", "'2024-01-01 10:00:00'", datetime(2024, 1, 1, 10)),
        ("ordered_at", "'2024-01-01'", datetime(2024, 1, 1)),
        ("ordered_at", "20240131", datetime(2024, 1, 31)),
        ("ordered_at", "'2024-02-30'", None),
        ("ordered_at", "'13/1/2010 8:26'", datetime(2010, 1, 13, 8, 26)),
        ("ordered_at", "'infinity'::timestamp", None),
        ("ordered_at", "timestamptz '2024-01-01 10:00:00+02'", datetime(2024, 1, 1, 8)),
        ("ordered_at", "timestamp_ns '2024-01-01 10:00:00'", datetime(2024, 1, 1, 10)),
    ],
)
def test_a_value_becomes_its_canonical_type_or_null(
    db: Path, column: str, expression: str, expected: Any
) -> None:
    assert value_of(db, column, expression) == expected


@pytest.mark.parametrize("session_zone", ["America/New_York", "Asia/Tokyo"])
def test_times_with_an_offset_go_to_the_timezone_whatever_the_session(
    db: Path, monkeypatch: pytest.MonkeyPatch, session_zone: str
) -> None:
    monkeypatch.setenv("TZ", session_zone)
    winter = "'2024-01-01T00:00:00Z'"
    assert value_of(db, "ordered_at", winter, "Europe/Paris") == datetime(2024, 1, 1, 1)
    stamp = "timestamptz '2024-07-01 00:00:00+00'"
    assert value_of(db, "ordered_at", stamp, "Europe/Paris") == datetime(2024, 7, 1, 2)
    naive = "'2024-07-01 00:00:00'"
    assert value_of(db, "ordered_at", naive, "Europe/Paris") == datetime(2024, 7, 1)


def test_flags_of_customers_and_ages_which_a_run_reads(db: Path) -> None:
    query = (
        "select * from (values ('1', 'Yes', '30'), ('2', 'f', 'nan'), ('3', 'maybe', 'x'))"
        " as t(customer_id, marketing_consent, age)"
    )
    report = load_table("customers", db=db, query=query)
    found = rows(db, "select marketing_consent, age from raw.customers order by customer_id")
    assert found == [(True, "30"), (False, "nan"), (None, "x")]
    assert [(u.column, u.values) for u in report.unreadable] == [("marketing_consent", 1)]


def test_unreadable_and_missing_values_are_loaded_as_null_and_reported(
    db: Path, tmp_path: Path
) -> None:
    text = ORDERS + "3,,yesterday,x\n4,d,tomorrow,\n"
    report = load_table("orders", [write(tmp_path, "o.csv", text)], db=db)
    assert report.loaded.rows == 4
    assert [(u.column, u.values, u.example) for u in report.unreadable] == [
        ("ordered_at", 2, "tomorrow"),
        ("amount", 1, "x"),
    ]
    assert report.missing == {"customer_id": 1, "ordered_at": 2, "amount": 2}
    assert "could not be read: ordered_at 2 values, e.g. 'tomorrow'" in report.as_text()


def test_a_date_format_of_its_own_is_pointed_out(db: Path, tmp_path: Path) -> None:
    text = ORDERS.replace("2024-01-02 10:00:00", "1/2/2024").replace("2024-02-03", "2/3/2024")
    file = write(tmp_path, "o.csv", text)
    with pytest.raises(UsageError, match=r"ordered_at: '1/2/2024': .*; add --dates dmy\|mdy"):
        load_table("orders", [file], db=db)
    load_table(
        "orders",
        [file],
        db=db,
        columns={"ordered_at": "strptime(ordered_at, '%d/%m/%Y')"},
    )
    assert rows(db)[0][2] == datetime(2024, 2, 1)


# --- columns and expressions ------------------------------------------------------------------


def test_a_column_option_goes_before_a_column_of_that_name(db: Path, tmp_path: Path) -> None:
    load_table(
        "orders",
        [write(tmp_path, "o.csv", ORDERS)],
        db=db,
        columns={"amount": "amount * 2", "channel": "'web' -- a comment"},
        where="amount < 15 -- the file's amount",
    )
    assert rows(db, "select amount, channel from raw.orders") == [(Decimal("21"), "web")]


def test_optional_columns_that_nobody_supplies_are_left_out(db: Path, tmp_path: Path) -> None:
    report = load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=db)
    assert report.columns == ("order_id", "customer_id", "ordered_at", "amount")


def test_a_missing_required_column_names_the_files_columns_and_the_option(
    db: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, "o.csv", "order_id,customer_id,ordered_at,total\n1,a,2024-01-01,5\n")
    with pytest.raises(UsageError, match=r"add --column amount=…; the columns are: .*total"):
        load_table("orders", [file], db=db)


def test_order_ids_can_be_made_by_a_window(db: Path) -> None:
    load_query(
        db,
        "select * from (values ('a', 20240101, 5), ('a', 20240201, 6), ('b', 20240101, 7))"
        " as t(customer_id, ordered_at, amount)",
        {
            "order_id": "customer_id || '-' || row_number() over"
            " (partition by customer_id order by ordered_at)"
        },
    )
    assert [row[0] for row in rows(db)] == ["a-1", "a-2", "b-1"]


def test_unknown_file_column_in_an_expression_names_the_columns(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    asked: list[dict[str, Any]] = [{"columns": {"amount": "prise"}}, {"where": "prise > 0"}]
    for options in asked:
        with pytest.raises(
            UsageError, match=r'"prise" not found.*the columns are: order_id'
        ) as caught:
            load_table("orders", [file], db=db, **options)
        assert "\n" not in str(caught.value)


def test_a_row_that_cannot_be_evaluated_is_one_line(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    with pytest.raises(CvaError, match=r"Could not convert.*try_cast gives NULL") as caught:
        load_table("orders", [file], db=db, columns={"amount": "customer_id::int"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "order"}, "expected one of orders, order_items"),
        ({"columns": {"total": "1"}}, "--column total: orders has no such column"),
        ({"table": "customers", "lines": True}, "--lines sums order lines into orders"),
        ({"replace": True, "append": True}, "exclude each other"),
        ({"query": "select 1"}, "either files or --query"),
        ({"timezone": "Mars/Olympus"}, "--timezone Mars/Olympus is unknown"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(
    db: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    table = options.pop("table", "orders")
    with pytest.raises(UsageError, match=message):
        load_table(table, [write(tmp_path, "o.csv", ORDERS)], db=db, **options)


# --- order lines ------------------------------------------------------------------------------


def test_lines_are_filtered_then_summed_into_orders(db: Path, tmp_path: Path) -> None:
    report = load_table(
        "orders",
        [write(tmp_path, "l.csv", LINES)],
        db=db,
        columns=LINE_COLUMNS | {"discount_amount": "price"},
        where="quantity > 0",
        lines=True,
    )
    assert rows(db) == [
        ("1", "a", datetime(2024, 1, 2, 9), Decimal("0.3000"), Decimal("0.3000")),
        ("2", "b", datetime(2024, 2, 3), Decimal("15.0000"), Decimal("5.0000")),
        ("4", "e", datetime(2024, 2, 6), Decimal("1.0000"), Decimal("1.0000")),
        ("4", "f", datetime(2024, 2, 6), Decimal("1.0000"), Decimal("1.0000")),
    ]
    assert report.lines is not None
    assert (report.lines.taken, report.lines.without_order_id) == (5, 1)
    assert report.several_customers == 1
    assert report.rows_left_out_by_where == 1
    assert report.rows_read == 7
    assert report.as_text().splitlines() == [
        "raw.orders: 4 orders from 5 lines (4 customers, 2024-01-02 .. 2024-02-06, amount 17.30)",
        "left out: 1 row by --where",
        "left out: 1 line without order_id",
        "of several customers, and an order for each: 1 order_id; two stores? name them: "
        "--column store=…",
    ]


def test_sums_of_lines_are_exact(db: Path) -> None:
    report = load_query(
        db,
        "select 1 as order_id, 1 as customer_id, date '2024-01-01' as ordered_at, 0.1::double as"
        " amount from range(100000)",
        amount_per="line",
    )
    assert report.loaded.amount == Decimal("10000")


def test_lines_loaded_as_orders_are_pointed_out(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "l.csv", LINES)
    with pytest.raises(UsageError, match=r"1 orders? .* order lines\? add --lines \(12.30 in all"):
        load_table("orders", [file], db=db, columns=LINE_COLUMNS)
    assert not db.exists()


# --- the table that was there before ----------------------------------------------------------


def test_an_existing_table_needs_replace_or_append(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    load_table("orders", [file], db=db)
    with pytest.raises(UsageError, match=r"has 2 rows; add --replace .* or --append"):
        load_table("orders", [file], db=db)
    assert load_table("orders", [file], db=db, replace=True).table_now.rows == 2
    report = load_table("orders", [file], db=db, append=True)
    assert (report.table_now.rows, report.repeated_keys) == (2, 0)


def test_append_adds_columns_and_keeps_those_it_does_not_bring(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    load_table("orders", [file], db=db, columns={"channel": "'web'"}, where="order_id = 1")
    load_table(
        "orders", [file], db=db, append=True, columns={"status": "'paid'"}, where="order_id = 2"
    )
    found = rows(db, "select order_id, channel, status from raw.orders order by 1")
    assert found == [("1", "web", None), ("2", None, "paid")]


def test_a_query_may_read_the_table_it_replaces(db: Path, tmp_path: Path) -> None:
    load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=db)
    load_query(db, "select * from raw.orders where amount > 15; -- the big ones", replace=True)
    assert [row[0] for row in rows(db)] == ["2"]


@pytest.mark.parametrize(
    "query", ["drop table raw.orders", "select 1; select 2", "selec", "from x"]
)
def test_a_query_that_is_not_one_select_is_refused(db: Path, query: str) -> None:
    with pytest.raises(UsageError, match="--query: ") as caught:
        load_query(db, query)
    assert "\n" not in str(caught.value)


def test_a_failed_append_leaves_the_table_as_it_was(db: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders (order_id varchar, customer_id varchar, ordered_at timestamp,"
            " amount decimal(18, 4) check (amount < 15))"
        )
    with pytest.raises(CvaError, match="CHECK constraint"):
        load_table(
            "orders",
            [write(tmp_path, "o.csv", ORDERS)],
            db=db,
            append=True,
            columns={"status": "'paid'"},
        )
    assert rows(db) == []
    assert len(rows(db, "describe raw.orders")) == 4


def test_append_to_a_table_of_other_types_is_refused(db: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute("create table raw.orders as select 1 as order_id, 'x' as amount")
    with pytest.raises(UsageError, match="has order_id as integer, expected varchar"):
        load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=db, append=True)


def test_a_view_of_that_name_is_not_overwritten(db: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute("create view raw.orders as select 1 as order_id")
    with pytest.raises(UsageError, match=r"raw\.orders is a view"):
        load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=db, replace=True)


def test_an_interrupted_load_leaves_the_table_as_it_was(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    load_table("orders", [file], db=db)
    before = rows(db)

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(load_rows, "repeated_keys", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_table("orders", [file], db=db, replace=True, where="order_id = 1")
    assert rows(db) == before


def test_a_killed_load_leaves_the_table_as_it_was(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    load_table("orders", [file], db=db)
    before = rows(db)
    script = (
        "import os, sys, signal; from pathlib import Path\n"
        "from cva_sql.cli.load import rows, table\n"
        "rows.repeated_keys = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "table.load_table('orders', [Path(sys.argv[1])], db=Path(sys.argv[2]), append=True,"
        " columns={'status': \"'paid'\"})"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file), str(db)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert rows(db) == before


def test_a_locked_database_is_one_line(db: Path, tmp_path: Path) -> None:
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(CvaError, match=rf"in use by another process \(PID {holder.pid}\)"):
            load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=db)
    finally:
        holder.communicate(b"\n")


@pytest.mark.parametrize("place", ["no/such/folder/shop.duckdb", "."])
def test_a_database_path_that_cannot_be_is_a_usage_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageError, match="expected a file in a folder that exists"):
        load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=tmp_path / place)


@pytest.mark.parametrize("text", [ORDERS, "SQLite format 3\0" + "\0" * 4096])
def test_a_file_that_is_no_database_is_kept_and_named(tmp_path: Path, text: str) -> None:
    file, other = write(tmp_path, "o.csv", ORDERS), write(tmp_path, "other.csv", text)
    with pytest.raises(CvaError, match=r"other\.csv is (no DuckDB|an SQLite) database; expected"):
        load_table("orders", [file], db=other)
    assert other.read_text() == text


def test_a_database_may_be_called_memory(tmp_path: Path) -> None:
    for name in ("memory.duckdb", ":memory:"):
        load_table("orders", [write(tmp_path, "o.csv", ORDERS)], db=tmp_path / name)
        assert (tmp_path / name).is_file()


def test_a_query_reads_the_database_by_its_name(tmp_path: Path) -> None:
    db = tmp_path / "my shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create table sales as select 1 as order_id, 2 as customer_id, 3 as amount")
        con.execute("create view sold as select *, 20240101 as ordered_at from main.sales")
    load_query(db, 'select * from "my shop".main.sold')
    assert rows(db) == [("1", "2", datetime(2024, 1, 1), Decimal("3"))]


# --- the command ------------------------------------------------------------------------------


def run(arguments: Sequence[str | Path]) -> Any:
    app = typer.Typer()
    app.command("load")(load_command.load)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_prints_the_report(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "l.csv", LINES)
    options = [f"--column={name}={value}" for name, value in LINE_COLUMNS.items()]
    result = run(["orders", file, "--db", db, "--lines", "--where", "quantity > 0", *options])
    assert result.exit_code == 0
    assert result.stdout.startswith("raw.orders: 4 orders from 5 lines (4 customers, ")


def test_the_command_prints_json(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    result = run(["orders", file, "--db", db, "--schema", "other", "--json"])
    report = json.loads(result.stdout)
    assert (report["schema"], report["loaded"]["rows"]) == ("other", 2)
    assert report["loaded"]["amount"] == "30.5000"


@pytest.mark.parametrize("column", ["amount", "=1", "amount=", "amount= "])
def test_a_column_option_without_both_sides_is_a_usage_error(
    db: Path, tmp_path: Path, column: str
) -> None:
    result = run(["orders", write(tmp_path, "o.csv", ORDERS), "--db", db, "--column", column])
    assert isinstance(result.exception, UsageError)


def test_a_column_given_twice_is_a_usage_error(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", ORDERS)
    twice = ["--column", "amount=1", "--column", "amount=2"]
    result = run(["orders", file, "--db", db, *twice])
    assert "given twice" in str(result.exception)
