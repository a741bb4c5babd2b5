"""`cva start` up to the load: what files are taken for, what is asked, and that nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from cva_sql.cli.app import app
from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.load.options import named_expressions
from cva_sql.cli.load.rows import asked_for
from cva_sql.cli.load.table import Wanted
from cva_sql.cli.start.loading import Loaded, load_start, refuse_shop
from cva_sql.udfs.errors import CvaError, UsageError

ORDERS = 200
SPEND = 200 * 20 + sum(n % 7 for n in range(ORDERS))


def write(file: Path, header: str, rows: Iterable[Sequence[object]]) -> Path:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def orders(*more: str) -> list[list[object]]:
    """Rows of id, customer, day and amount, of 40 customers; `more` cells on each."""
    day = date(2024, 1, 1)
    return [
        [f"R{n}", f"k{n % 40}", day + timedelta(days=n), 20 + n % 7, *more] for n in range(ORDERS)
    ]


def load(*paths: Path, folder: Path, columns: Sequence[str] = (), **given: Any) -> Loaded:
    asked = asked_for(given.pop("decimal", None), given.pop("dates", None))
    wanted = Wanted(named_expressions(columns), asked=asked, **given)
    return load_start(paths, folder, wanted, ReadOptions(), "UTC", lambda loaded: None)


def tables(folder: Path) -> dict[str, int]:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as con:
        names = con.execute("select table_name from duckdb_tables() where schema_name = 'raw'")
        return {n: len(con.execute(f"from raw.{n}").fetchall()) for (n,) in names.fetchall()}


def test_a_file_of_orders_shows_its_total_first(tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", "ref,client,sold_at,total", orders())
    loaded = load(file, folder=tmp_path / "shop")
    assert loaded.as_text().splitlines()[0] == (
        f"200 orders of 40 customers in 200 days, 2024-01-01 .. 2024-07-18: {SPEND:,.2f}"
    )
    assert "amount=total" in loaded.as_text()
    assert "--column amount=total" in loaded.again
    assert tables(tmp_path / "shop") == {"orders": 200}


@pytest.mark.parametrize(
    ("header", "amount"),
    [
        ("Bestellnummer;Kunde;Datum;Summe", "{},50"),
        ("ref,client,sold_at,total", '"{},50"'),
        ("ref,client,sold_at,total", "${}.50"),
    ],
    ids=["German", "quoted", "with a sign"],
)
def test_amounts_are_taken_as_they_are_written(tmp_path: Path, header: str, amount: str) -> None:
    rows = [[*row[:3], amount.format(row[3])] for row in orders()]
    mark = ";" if ";" in header else ","
    file = tmp_path / "sales.csv"
    file.write_text("\n".join([header, *(mark.join(map(str, row)) for row in rows)]))
    loaded = load(file, folder=tmp_path / "shop")
    assert loaded.total.endswith(f": {SPEND + ORDERS / 2:,.2f}")
    column = header.split(mark)[-1]
    assert f"amount={column}," in loaded.as_text()


def test_a_file_without_ids_of_orders_is_asked_about(tmp_path: Path) -> None:
    file = write(tmp_path / "log.csv", "Uid,Buy Ts,Revenue", [row[1:] for row in orders()])
    with pytest.raises(UsageError, match=r"log\.csv: .*--column 'order_id=row_number\(\) over"):
        load(file, folder=tmp_path / "shop")
    assert not (tmp_path / "shop").exists()


def test_the_next_export_is_loaded_by_what_is_printed(tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", "ref,client,sold_at,total", orders())
    loaded = load(file, folder=tmp_path / "shop")
    command = loaded.again.replace("FILE", str(file)).split()
    db = str(tmp_path / "shop" / "shop.duckdb")
    done = CliRunner().invoke(app, ["load", *command, "--append", "--db", db])
    assert done.exit_code == 0, done.output
    assert "0 inserted, 0 updated, 200 unchanged" in done.stdout


def test_order_lines_are_summed_and_are_the_items_as_well(tmp_path: Path) -> None:
    rows = [
        [f"R{n}", f"k{n % 40}", date(2024, 1, 1) + timedelta(days=n), f"p{p}", p, 5]
        for n in range(ORDERS)
        for p in (1, 2, 3)
    ]
    header = "Invoice,Customer ID,InvoiceDate,StockCode,Quantity,Price"
    loaded = load(write(tmp_path / "lines.csv", header, rows), folder=tmp_path / "shop")
    assert ": 6,000.00" in loaded.total
    assert tables(tmp_path / "shop") == {"orders": 200, "order_items": 600}
    assert "--lines" in loaded.again


def test_a_total_repeated_on_its_lines_counts_once(tmp_path: Path) -> None:
    rows = [[*row, f"p{line}"] for row in orders() for line in range(2)]
    file = write(tmp_path / "lines.csv", "order_id,customer,date,total,product", rows)
    loaded = load(file, folder=tmp_path / "shop")
    assert f": {SPEND:,.2f}" in loaded.total
    assert "--amount-per order" in loaded.again


def test_a_vendors_export_fills_all_its_tables(tmp_path: Path) -> None:
    headers = Path(__file__).with_name("vendor_headers.txt").read_text("utf-8").splitlines()
    (header,) = [line.split(" ", 1)[1] for line in headers if line.startswith("SHOPIFY ")]
    names = header.split(",")
    values = {
        "Name": "#1001",
        "Email": "ann@x.org",
        "Financial Status": "paid",
        "Currency": "EUR",
        "Total": "30.00",
        "Created at": "2024-01-02 10:00:00 +0100",
        "Lineitem quantity": "1",
        "Lineitem name": "Cup",
        "Lineitem price": "30.00",
    }
    file = write(tmp_path / "e.csv", header, [[values.get(n, "") for n in names]])
    loaded = load(file, folder=tmp_path / "shop")
    assert loaded.total == "1 order of 1 customer in 1 day, 2024-01-02 .. 2024-01-02: 30.00 EUR"
    assert loaded.said[0] == "recognised by the header: shopify (Shopify)"
    assert loaded.again == "shopify FILE"
    assert {"orders", "order_items", "customers"} <= tables(tmp_path / "shop").keys()


@pytest.mark.parametrize("is_folder", [False, True])
def test_several_files_are_each_the_table_that_they_fit(tmp_path: Path, is_folder: bool) -> None:
    place = tmp_path / "export"
    place.mkdir()
    half = ORDERS // 2
    header = "order_id,customer_id,order_date,total"
    files = [
        write(place / "orders_2023.csv", header, orders()[:half]),
        write(place / "orders_2024.csv", header, orders()[half:]),
        write(
            place / "reviews.csv",
            "review_id,customer_id,review_date,rating,text",
            [[n, f"k{n % 40}", "2024-03-01", n % 5 + 1, "fine"] for n in range(50)],
        ),
    ]
    if is_folder:
        (place / "read.me").write_bytes(b"\x00\x01\x02")
    loaded = load(*([place] if is_folder else files), folder=tmp_path / "shop")
    assert tables(tmp_path / "shop") == {"orders": 200, "reviews": 50}
    assert f": {SPEND:,.2f}" in loaded.total
    assert ("read.me" in loaded.as_text()) == is_folder


def test_a_workbook_and_json_are_read(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Order no", "Customer", "Date", "Total"])
    for row in orders():
        sheet.append(row)
    book.save(tmp_path / "orders.xlsx")
    names = ("Order no", "Customer", "Date", "Total")
    rows = [dict(zip(names, map(str, row), strict=True)) for row in orders()]
    (tmp_path / "orders.json").write_text(json.dumps({"orders": rows}), encoding="utf-8")
    for name in ("orders.xlsx", "orders.json"):
        loaded = load(tmp_path / name, folder=tmp_path / f"shop of {name}")
        assert (
            f"200 orders of 40 customers in 200 days, 2024-01-01 .. 2024-07-18: {SPEND:,.2f}"
            == (loaded.total)
        )


def test_cancelled_trial_and_deleted_orders_are_no_revenue(tmp_path: Path) -> None:
    rows = [
        [*row, "2024-08-01 10:00:00" if n < 10 else "", n in (10, 11), n == 12]
        for n, row in enumerate(orders())
    ]
    header = "order_id,customer_id,ordered_at,amount,cancelled_at,is_test,_fivetran_deleted"
    loaded = load(write(tmp_path / "orders.csv", header, rows), folder=tmp_path / "shop")
    assert loaded.total.startswith("187 orders of")
    assert "cancelled by cancelled_at" in loaded.as_text()
    assert "is_test" in loaded.as_text()


UNCLEAR = {
    "two amounts": (
        "order_id,customer_id,ordered_at,total_amount,order_total",
        orders("25"),
        "--column amount=",
    ),
    "a name that says little": ("id,customer,created,price", orders(), "--column amount=price"),
    "no customer": ("order_id,who_knows,date,total", orders(), "--column customer_id="),
    "names that say nothing": ("c1,c2,c3,c4", orders(), "--column ordered_at=c3"),
    "days or months first": (
        "order_id,customer_id,date,total",
        [[n, n % 7, f"0{n % 9 + 1}.0{n % 8 + 1}.2024", 9] for n in range(60)],
        "--dates",
    ),
    "three decimals": (
        "order_id,customer_id,date,total",
        [[n, n % 7, "2024-01-02", f"1.{250 + n}"] for n in range(60)],
        "--decimal",
    ),
    "unpaid orders": (
        "order_id,customer_id,date,total,status",
        orders("pending"),
        "--status-cancelled pending",
    ),
    "most are cancelled": (
        "order_id,customer_id,date,total,is_cancelled",
        orders("true"),
        "--column 'status=case when",
    ),
    "most are trials": (
        "order_id,customer_id,date,total,is_test",
        orders("true"),
        "--where true",
    ),
    "no orders at all": (
        "review_id,customer_id,review_date,rating,text",
        [[n, f"k{n % 40}", "2024-03-01", n % 5 + 1, "fine"] for n in range(50)],
        "--column order_id",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_unclear_names_its_option_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    header, rows, option = UNCLEAR[case]
    file = write(tmp_path / "file.csv", header, rows)
    with pytest.raises(UsageError) as error:
        load(file, folder=tmp_path / "shop")
    assert option in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


def test_two_files_of_orders_with_other_columns_are_not_halved(tmp_path: Path) -> None:
    half = ORDERS // 2
    (tmp_path / "export").mkdir()
    write(tmp_path / "export" / "a.csv", "order_id,customer,date,total", orders()[:half])
    write(tmp_path / "export" / "b.csv", "order_no,client,day,amount", orders()[half:])
    with pytest.raises(UsageError, match=r"looks like orders as . does, with other columns"):
        load(tmp_path / "export", folder=tmp_path / "shop")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_of_several_files_the_one_that_is_no_table_is_named(tmp_path: Path) -> None:
    shelves = write(tmp_path / "shelves.csv", "aisle,height", [["B", 5]])
    log = write(tmp_path / "log.csv", "Uid,Buy Ts,Revenue", [row[1:] for row in orders()])
    said = r"shelves\.csv fits no table that is left \(taken: log as orders\); start without it"
    with pytest.raises(UsageError, match=said):
        load(shelves, log, folder=tmp_path / "shop")


def test_a_doubt_about_rows_is_settled_by_where(tmp_path: Path) -> None:
    header, rows, _ = UNCLEAR["most are trials"]
    file = write(tmp_path / "file.csv", header, rows)
    loaded = load(file, folder=tmp_path / "shop", where="true")
    assert loaded.total.startswith("200 orders of")


def test_the_options_settle_it(tmp_path: Path) -> None:
    file = write(tmp_path / "f.csv", "c1,c2,c3,c4,pay", orders("pending"))
    columns = ["order_id=c1", "customer_id=c2", "ordered_at=c3", "amount=c4", "status=pay"]
    loaded = load(
        file,
        folder=tmp_path / "shop",
        columns=columns,
        status_cancelled=(),
        status_counts=["pending"],
    )
    assert loaded.total.startswith("200 orders of 40 customers")
    assert "--status-counts pending" in loaded.again


def test_a_no_leaves_nothing_behind(tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", "ref,client,sold_at,total", orders())

    def refuse(loaded: Loaded) -> None:
        raise CvaError("no")

    with pytest.raises(CvaError, match="no"):
        load_start([file], tmp_path / "shop", Wanted({}), ReadOptions(), "UTC", refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]


def test_what_is_there_is_named_with_what_goes_on(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    refuse_shop(shop)
    shop.mkdir()
    refuse_shop(shop)
    (shop / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is no shop; .*--folder"):
        refuse_shop(shop)
    (shop / "notes.txt").unlink()
    file = write(tmp_path / "sales.csv", "ref,client,sold_at,total", orders())
    load(file, folder=shop)
    before = (shop / "shop.duckdb").read_bytes()
    done = CliRunner().invoke(app, ["start", str(file), "--folder", str(shop)])
    assert isinstance(done.exception, UsageError)
    assert "a shop of 200 orders that was not run; go on: cva train" in str(done.exception)
    assert (shop / "shop.duckdb").read_bytes() == before


def test_a_file_that_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file and no folder"):
        load(tmp_path / "absent.csv", folder=tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []
