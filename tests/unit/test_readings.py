"""How the numbers, times and ids of a column are read: by all of its values, or asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.table import load_table
from cva_sql.cli.readings.column import Reading, Unclear
from cva_sql.cli.readings.numbers import decide_number, look_at_numbers
from cva_sql.cli.readings.times import decide_time, look_at_times
from cva_sql.cli.shop.package import macro_value
from cva_sql.udfs.errors import UsageError


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        yield con


def column(con: duckdb.DuckDBPyConnection, values: Sequence[str]) -> None:
    con.execute("create or replace temp table t as select unnest(?::varchar[]) as v", [values])


def numbers(
    con: duckdb.DuckDBPyConnection,
    values: Sequence[str],
    asked: str | None = None,
    others: str | None = None,
) -> list[Any] | str:
    """The numbers, or why they are unclear."""
    column(con, values)
    found = decide_number(look_at_numbers(con, "t", "v"), "v", asked, others)
    if isinstance(found, Unclear):
        return found.why
    sql = found.expression if found else "v"
    rows = con.execute(f"select try_cast({sql} as decimal(18, 4)) from t").fetchall()
    return [None if value is None else float(value) for (value,) in rows]


def times(
    con: duckdb.DuckDBPyConnection,
    values: Sequence[str],
    asked: str | None = None,
    others: str | None = None,
    zone: str = "UTC",
) -> list[Any] | str:
    """The times, or why they are unclear."""
    column(con, values)
    found = decide_time(look_at_times(con, "t", "v"), "v", asked, others, zone)
    if isinstance(found, Unclear):
        return found.why
    usual = macro_value("casts.sql", "read_time", "v", settings={"cva_timezone": zone})
    sql = found.expression if isinstance(found, Reading) else usual
    return [value for (value,) in con.execute(f"select {sql} from t").fetchall()]


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.041,20", "5,00"], [1041.2, 5]),
        (["$12.00", "$1,126.00"], [12, 1126]),
        (["(12.00)", "5"], [-12, 5]),
        (["($5.00)", "$5.00"], [-5, 5]),
        (["12.00-", "5.00"], [-12, 5]),
        (["\u221212,00", "-5,00"], [-12, -5]),
        (["-$12.00", "$-5.00"], [-12, -5]),
        (["1\u00a0126,50\u00a0€", "5,00 €"], [1126.5, 5]),
        (["1\u202f126,50", "5"], [1126.5, 5]),
        (["CHF 1'126.50", "CHF 5.00"], [1126.5, 5]),
        (["₹1,23,456.00"], [123456]),
        (["R$ 1.234,56", "R$ 5,00"], [1234.56, 5]),
        (["5.00 USD"], [5]),
        (["129,00 zł", "1 129,00 zł"], [129, 1129]),
        (["1.234.567"], [1234567]),
        (["1.250", "12.50"], [1.25, 12.5]),
        (["1.250", "12,50"], [1250, 12.5]),
        (["1,250", "0,500"], [1.25, 0.5]),
        (["1,5E+3", "2,5"], [1500, 2.5]),
        (["1e3", "007.50", ".5"], [1000, 7.5, 0.5]),
        (["12.50", "twelve", "12 pieces"], [12.5, None, None]),
        (["12,-", "1,00"], [None, 1]),
    ],
)
def test_numbers_are_read_as_the_whole_column_agrees(
    con: duckdb.DuckDBPyConnection, values: list[str], expected: list[float | None]
) -> None:
    assert numbers(con, values) == expected


@pytest.mark.parametrize("values", [["1.250", "3.400"], ["1.250", "7"], ["¥1,200", "¥800"]])
def test_three_digits_after_the_only_mark_are_asked(
    con: duckdb.DuckDBPyConnection, values: list[str]
) -> None:
    assert "may have decimals or thousands" in numbers(con, values)
    digits = [v.strip("¥") for v in values]
    as_point = [float(v.replace(",", "")) for v in digits]
    as_comma = [float(v.replace(".", "").replace(",", ".")) for v in digits]
    assert numbers(con, values, asked="point") == as_point
    assert numbers(con, values, others="comma") == as_comma


def test_a_few_slips_are_lost_and_many_are_asked(con: duckdb.DuckDBPyConnection) -> None:
    assert numbers(con, ["12.50"] * 200 + ["12,5"]) == [12.5] * 200 + [None]
    assert "others a decimal comma ('12,5')" in numbers(con, ["12.50"] * 20 + ["12,5"])
    assert "may have" in numbers(con, ["1.250"] * 200 + ["12.5"])


# --- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024/1/5 9:07", datetime(2024, 1, 5, 9, 7)),
        ("2024.01.15", datetime(2024, 1, 15)),
        ("Feb 01, 2023 09:57 AM", datetime(2023, 2, 1, 9, 57)),
        ("February 1, 2023 09:57 pm", datetime(2023, 2, 1, 21, 57)),
        ("1 Jan 2024", datetime(2024, 1, 1)),
        ("01-Jan-24", datetime(2024, 1, 1)),
        ("Monday, 5 February 2024", datetime(2024, 2, 5)),
        ("Mon, 15 Jan 2024 10:00:00 +0200", datetime(2024, 1, 15, 8)),
        ("Mon Jan 15 10:00:00 2024", datetime(2024, 1, 15, 10)),
        ("Tue Jan  2 10:00:00 PST 2024", datetime(2024, 1, 2, 18)),
        ("Mon Jan 15 2024 10:00:00 GMT+0800 (China Standard Time)", datetime(2024, 1, 15, 2)),
        ("18:24:33 Jan 13, 2009 PST", datetime(2009, 1, 14, 2, 24, 33)),
        ("Jul 1, 2023 12:34:56 AM PDT", datetime(2023, 7, 1, 7, 34, 56)),
        ("2024-01-15 10:00:00 CET", datetime(2024, 1, 15, 9)),
        ("2024-01-15T10:00:00,123", datetime(2024, 1, 15, 10, 0, 0, 123000)),
        ("March 5th, 2024 at 3:00 p.m.", datetime(2024, 3, 5, 15)),
        ("15. Januar 2024 10:30 Uhr", datetime(2024, 1, 15, 10, 30)),
        ("Fr, 15. März 2024", datetime(2024, 3, 15)),
        ("15 juin 2024", datetime(2024, 6, 15)),
        ("1er août 2024", datetime(2024, 8, 1)),
        ("2 de enero de 2024", datetime(2024, 1, 2)),
        ("2023年5月1日", datetime(2023, 5, 1)),
        ("2023年5月1日 下午3:30", datetime(2023, 5, 1, 15, 30)),
        ("2024/01/15(月) 10:00", datetime(2024, 1, 15, 10)),
        ("13/1/2010 8:26", datetime(2010, 1, 13, 8, 26)),
        ("01/15/2024, 10:00:00 AM", datetime(2024, 1, 15, 10)),
        ("31.12.2023 23.59", datetime(2023, 12, 31, 23, 59)),
        ("28-12-98", datetime(1998, 12, 28)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20)),
        ("1700000000123", datetime(2023, 11, 14, 22, 13, 20, 123000)),
        ("1700000000123456", datetime(2023, 11, 14, 22, 13, 20, 123456)),
        ("45292.5", datetime(2024, 1, 1, 12)),
        ("20240131", datetime(2024, 1, 31)),
        ("20240131235959", datetime(2024, 1, 31, 23, 59, 59)),
        ("some day", None),
        ("0000-00-00", None),
    ],
)
def test_a_time_is_read_as_its_column_is_written(
    con: duckdb.DuckDBPyConnection, value: str, expected: datetime | None
) -> None:
    assert times(con, [value]) == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1/2/2024", "13/2/2024"], datetime(2024, 2, 1)),
        (["1/2/2024", "2/13/2024"], datetime(2024, 1, 2)),
        (["01.02.2024", "13.02.2024 10:00"], datetime(2024, 2, 1)),
        (["1/2/23", "28/2/23"], datetime(2023, 2, 1)),
        (["23-01-02", "23-01-31"], datetime(2023, 1, 2)),
        (["1/2/2023", "28/2/23"], datetime(2023, 2, 1)),
        (["2024-03-01", "13/2/2024"], datetime(2024, 3, 1)),
        (["1/2/2024"] + ["13/2/2024"] * 200 + ["2/13/2024"], datetime(2024, 2, 1)),
    ],
)
def test_the_whole_column_says_which_number_is_the_day(
    con: duckdb.DuckDBPyConnection, values: list[str], expected: datetime
) -> None:
    assert times(con, values)[0] == expected


def test_days_that_no_value_tells_are_asked(con: duckdb.DuckDBPyConnection) -> None:
    assert "no value tells which number is the day" in times(con, ["1/2/2024", "3/4/2024"])
    assert times(con, ["1/2/2024"], asked="mdy") == [datetime(2024, 1, 2)]
    assert times(con, ["1/2/2024"], asked="dmy") == [datetime(2024, 2, 1)]
    assert times(con, ["1/2/03"], asked="ymd") == [datetime(2001, 2, 3)]
    assert times(con, ["1/2/2024"], others="dmy") == [datetime(2024, 2, 1)]
    assert "others the month" in times(con, ["13/2/2024", "2/13/2024"])
    assert "CST is more than one zone" in times(con, ["2024-01-15 10:00:00 CST"])
    american = ["2024-01-15 10:00:00 CST", "2024-07-15 10:00:00 CDT"]
    assert times(con, american)[0] == datetime(2024, 1, 15, 16)


def test_times_with_and_without_an_offset_go_to_the_shops_zone(
    con: duckdb.DuckDBPyConnection,
) -> None:
    values = ["15/01/2024 10:00 UTC", "15/01/2024 10:00", "2024-01-15T10:00:00Z"]
    hours = [time.hour for time in times(con, values, zone="Europe/Berlin")]
    assert hours == [11, 10, 11]


# --- in a load --------------------------------------------------------------------------------


def load(folder: Path, text: str, **options: Any) -> tuple[LoadReport, list[tuple[Any, ...]]]:
    """The report and the rows of a file of orders."""
    file, db = folder / "orders.csv", folder / "shop.duckdb"
    file.write_text(text, encoding="utf-8")
    report = load_table("orders", [file], db=db, **options)
    with duckdb.connect(str(db), read_only=True) as con:
        return report, con.execute("from raw.orders").fetchall()


HEADER = "order_id;customer_id;ordered_at;amount"


def test_what_was_decided_is_said_in_a_line(tmp_path: Path) -> None:
    report, rows = load(tmp_path, f"{HEADER}\n1;a;31.12.2023;1.041,20 €\n2;b;01.12.2023;5,00 €\n")
    assert rows[0] == ("1", "a", datetime(2023, 12, 31), Decimal("1041.2000"))
    assert report.as_text().splitlines()[1:] == [
        "ordered_at: day first, 01.12.2023 is 2023-12-01 00:00:00",
        "amount: decimal comma, without €, 1.041,20 € is 1041.2000",
    ]


def test_what_is_unclear_names_the_options_and_changes_nothing(tmp_path: Path) -> None:
    text = f"{HEADER}\n1;a;1/2/2024;1.250\n"
    with pytest.raises(UsageError, match=r"add --dates dmy\|mdy --decimal point\|comma$"):
        load(tmp_path, text)
    assert not (tmp_path / "shop.duckdb").exists()
    _, rows = load(tmp_path, text, decimal="comma", dates="mdy")
    assert rows == [("1", "a", datetime(2024, 1, 2), Decimal("1250"))]
    with pytest.raises(UsageError, match="--decimal dot is none; expected point or comma"):
        load(tmp_path, text, decimal="dot")


def test_the_other_columns_of_the_file_tell(tmp_path: Path) -> None:
    text = f"{HEADER};tax;paid\n1;a;1/2/2024;1.250;12,5;13/2/2024\n"
    report, rows = load(tmp_path, text)
    assert rows == [("1", "a", datetime(2024, 2, 1), Decimal("1250"))]
    assert report.as_text().count("as in the file's other columns") == 2


def test_an_expression_sees_numbers_unless_it_reads_the_text_itself(tmp_path: Path) -> None:
    text = "order_id;customer_id;ordered_at;price;pieces\n1;a;2024-01-01;€1.041,20;2\n"
    report, rows = load(tmp_path, text, columns={"amount": "price * pieces"})
    assert rows[0][3] == Decimal("2082.4")
    assert "price: decimal comma, without €, €1.041,20 is 1041.2" in report.as_text()
    own = "replace(replace(replace(price, '€', ''), '.', ''), ',', '.')"
    _, rows = load(tmp_path, text, columns={"amount": own}, replace=True)
    assert rows[0][3] == Decimal("1041.2")
    text = text.replace("€1.041,20", "1.250")
    with pytest.raises(UsageError, match=r"price: '1\.250' may have"):
        load(tmp_path, text, columns={"amount": "price * pieces"}, replace=True)


def test_amounts_in_two_currencies_need_a_column_that_says_which(tmp_path: Path) -> None:
    text = f"{HEADER};currency\n1;a;2024-01-01;$5.00;USD\n2;a;2024-01-01;€6.00;EUR\n"
    _, rows = load(tmp_path, text)
    assert [row[3:] for row in rows] == [(Decimal(5), "USD"), (Decimal(6), "EUR")]
    with pytest.raises(UsageError, match=r"amounts in \$ and €; add --column currency=EXPR"):
        load(tmp_path, text.replace("currency", "other"), replace=True)


@pytest.mark.parametrize("value", ["2024-01-15 10:00:00 CST", "Jan 15, 2024 10:00 AM CST"])
def test_the_advice_on_a_zone_works(tmp_path: Path, value: str) -> None:
    text = f'{HEADER.replace("ordered_at", "Order Date")}\n1;a;"{value}";5\n'
    columns = {"ordered_at": '"Order Date"'}
    with pytest.raises(UsageError, match="add --column") as caught:
        load(tmp_path, text, columns=columns)
    said = str(caught.value).split("ordered_at=", 1)[1].rstrip('"').replace('\\"', '"')
    _, rows = load(tmp_path, text, columns={"ordered_at": said})
    assert rows[0][2] == datetime(2024, 1, 15, 16)


def test_the_advice_on_a_rare_date_works(tmp_path: Path) -> None:
    text = f"{HEADER}\n1;a;31012024;5\n"
    report, _ = load(tmp_path, text)
    said = report.as_text().split('--column "ordered_at=', 1)[1].split('"')[0]
    _, rows = load(tmp_path, text, columns={"ordered_at": said}, replace=True)
    assert rows[0][2] == datetime(2024, 1, 31)


@pytest.mark.parametrize("number", [1700000000, 1700000000.25, 45292])
def test_numbers_of_a_query_are_times(tmp_path: Path, number: float) -> None:
    query = f"select 1 as order_id, 1 as customer_id, {number}::double as ordered_at, 5 as amount"
    report = load_table("orders", db=tmp_path / "shop.duckdb", query=query)
    assert report.loaded.first is not None
    assert report.loaded.first.year in (2023, 2024)
    assert "ordered_at: " in report.as_text()


# --- ids --------------------------------------------------------------------------------------


def test_ids_are_taken_as_they_are_written(tmp_path: Path) -> None:
    ids = ["1001.1", "1001.10", "007", "13085.0", "12345678901234567890", "1.250", "NA", "null"]
    text = HEADER + "".join(f"\n{i};c;2024-01-01;5" for i in ids) + "\n"
    _, rows = load(tmp_path, text)
    expected = ["13085" if i == "13085.0" else i for i in ids]
    assert [row[0] for row in rows] == expected
    _, rows = load(tmp_path, text, columns={"order_id": "order_id || '-x'"}, replace=True)
    assert [row[0] for row in rows] == [f"{i}-x" for i in ids]


NOBODY = ["", "NULL", "nan", "None", "\\N", "N/A", "n/a", "#N/A"]


def test_a_person_without_an_id_is_nobody(tmp_path: Path) -> None:
    text = HEADER + "".join(f"\n{i};{who};2024-01-01;5" for i, who in enumerate(NOBODY))
    report, rows = load(tmp_path, text + "\n9;nana;2024-01-01;5\n")
    assert [row[1] for row in rows] == [None] * len(NOBODY) + ["nana"]
    assert report.unreadable == ()
    assert report.missing == {"customer_id": len(NOBODY)}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("13085.0", "id", "13085"),
        ("-5.0", "id", "-5"),
        ("007.0", "id", "007.0"),
        ("1001.10", "id", "1001.10"),
        ("1.0.0", "id", "1.0.0"),
        (" x ", "id", "x"),
        ("\t13085.0 ", "person", "13085"),
        ("None", "id", "None"),
        ("None", "person", None),
        ("\\N", "person", None),
        ("NA", "text", "NA"),
    ],
)
def test_staging_reads_ids_by_the_same_macro(
    con: duckdb.DuckDBPyConnection, value: str, kind: str, expected: str | None
) -> None:
    cast = macro_value("casts.sql", "cast_kind", "v", kind, "VARCHAR")
    assert con.execute(f"select {cast} from (select ? as v)", [value]).fetchall() == [(expected,)]


USUAL = {"order_id": "", "customer_id": "c", "ordered_at": "2024-01-15", "amount": "5.25"}
ODD = [
    *(("time", "ordered_at", text) for text in (
        "20250131", "2025-01-31 10:00 Europe/Berlin", "2025-01-31 10:00 America/New_York",
        "2025-01-31T10:00:00Z", "2025-01-31 10:00 -0500", "2025-03-30 02:30", "\u00a02025-01-31",
        "2025-01-31\t", "2025-02-31", "infinity", "1738317600", "10:00 Europe/Berlin", "today",
    )),
    *(("money", "amount", text) for text in (
        "inf", "nan", "1e3", "1e400", "1_000", "\u00a05", "5\t", "0x10", "1/2", "TRUE", "5.",
    )),
    *(("person", "customer_id", text) for text in (
        "a\t", "\u00a0a", "a\u3000", "13085.0", "a\n", "inf", "007", "nan", "\ufeffa",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "text"), ODD)
def test_a_load_and_staging_read_one_value(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str, name: str, text: str
) -> None:
    odd = {**USUAL, "order_id": "odd", name: text}
    lines = [{**USUAL, "order_id": f"{n}"} for n in range(200)] + [odd]
    quoted = ("\n" + ";".join(f'"{value}"' for value in line.values()) for line in lines)
    _, rows = load(tmp_path, HEADER + "".join(quoted))
    cast = macro_value(
        "casts.sql", "cast_kind", "v", kind, "VARCHAR", settings={"cva_timezone": "UTC"}
    )
    staged = con.execute(f"select {cast} from (select ? as v)", [text]).fetchone()
    assert staged == (rows[-1][list(USUAL).index(name)],)
