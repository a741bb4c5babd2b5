"""`cva load orders` of rows that share an order: whose the amount is, and whose the order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.table import load_table
from cva_sql.udfs.errors import UsageError

HEAD = "order_id,customer_id,ordered_at,amount"
REPEATED = (
    f"{HEAD},product\n1,a,2024-01-02,100,x\n1,a,2024-01-02,100,y\n1,a,2024-01-02,100,z\n"
    "2,b,2024-01-03,20,x\n"
)


def load(folder: Path, text: str, **options: Any) -> LoadReport:
    file = folder / "orders.csv"
    file.write_text(text, encoding="utf-8")
    return load_table("orders", [file], db=folder / "shop.duckdb", **options)


def loaded(folder: Path, select: str = "order_id, customer_id, amount") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as con:
        return con.execute(f"select {select} from raw.orders order by all").fetchall()


def test_a_repeated_order_total_counts_once(tmp_path: Path) -> None:
    report = load(tmp_path, REPEATED, amount_per="order")
    assert report.loaded.amount == 120
    assert "amount: the order's, so it was not summed" in report.as_text()
    assert loaded(tmp_path) == [("1", "a", 100), ("2", "b", 20)]


def test_lines_with_a_repeated_total_are_refused_with_the_option(tmp_path: Path) -> None:
    message = (
        r"the order's; add --amount-per order \(120.00 in all\) or --amount-per line \(320.00\)"
    )
    with pytest.raises(UsageError, match=message):
        load(tmp_path, REPEATED, lines=True)
    assert not (tmp_path / "shop.duckdb").exists()


def test_without_an_option_a_repeated_total_is_a_copy_of_its_order(tmp_path: Path) -> None:
    report = load(tmp_path, REPEATED)
    assert report.repeated_keys == 1
    assert "order_id on more than one row: 1 value; one of each is used" in report.as_text()


def test_what_is_blank_after_the_first_line_is_the_orders(tmp_path: Path) -> None:
    text = (
        "order_id,customer_id,ordered_at,amount,discount_amount,status\n"
        "#1,a@x.org,2024-01-02,100,5,paid\n#1,,,,,\n#1,a@x.org,,,,\n#2,b@x.org,2024-01-03,20,0,paid\n"
    )
    report = load(tmp_path, text)
    assert (report.loaded.rows, report.loaded.amount) == (2, 120)
    assert loaded(tmp_path, "customer_id, amount, discount_amount, status") == [
        ("a@x.org", 100, 5, "paid"),
        ("b@x.org", 20, 0, "paid"),
    ]


def test_a_cancelled_order_stays_so_where_its_other_lines_have_no_status(tmp_path: Path) -> None:
    text = f"{HEAD},status\n#1,a,2024-01-02,100,voided\n#1,a,,,\n#2,b,2024-01-03,20,paid\n#2,b,,,\n"
    load(tmp_path, text)
    assert loaded(tmp_path, "order_id, amount, status") == [
        ("#1", 100, "voided"),
        ("#2", 20, "paid"),
    ]


def test_quantity_times_price_is_the_lines_though_it_repeats(tmp_path: Path) -> None:
    text = (
        f"{HEAD},quantity,unit price\n1,a,2024-01-02,10,2,5\n1,a,2024-01-02,10,1,10\n"
        "2,b,2024-01-03,7,1,7\n"
    )
    assert load(tmp_path, text, lines=True).loaded.amount == 27
    product = load(
        tmp_path, text, lines=True, replace=True, columns={"amount": 'quantity * "unit price"'}
    )
    assert product.loaded.amount == 27


def orders_of_two_lines(count: int, equal: int) -> str:
    lines = [HEAD]
    for order in range(count):
        second = 10 + order if order < equal else 30 + order
        lines += [
            f"{order},c{order},2024-01-02,{10 + order}",
            f"{order},c{order},2024-01-02,{second}",
        ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("equal", "lines", "per"),
    [(99, False, "order"), (98, True, None), (9, True, "line"), (10, True, None)],
)
def test_the_share_of_orders_that_repeat_decides(
    tmp_path: Path, equal: int, lines: bool, per: str | None
) -> None:
    text = orders_of_two_lines(100, equal)
    if per is None:
        with pytest.raises(UsageError, match="is it the order's or the line's"):
            load(tmp_path, text, lines=lines)
        per = "line"
        load(tmp_path, text, amount_per=per)
        return
    report = load(tmp_path, text, lines=lines)
    assert report.lines is None if per == "order" else report.lines is not None


def test_one_amount_everywhere_tells_nothing(tmp_path: Path) -> None:
    text = f"{HEAD}\n1,a,2024-01-02,9.99\n1,a,2024-01-02,9.99\n2,b,2024-01-03,9.99\n"
    with pytest.raises(UsageError, match=r"--amount-per order \(19.98 in all\) or .* \(29.97\)"):
        load(tmp_path, text)


def test_a_discount_may_be_the_orders_where_the_amount_is_the_lines(tmp_path: Path) -> None:
    text = (
        f"{HEAD},discount_amount\n1,a,2024-01-02,10,3\n1,a,2024-01-02,20,3\n2,b,2024-01-03,5,1\n"
        "2,b,2024-01-03,6,1\n"
    )
    load(tmp_path, text, lines=True)
    assert loaded(tmp_path, "amount, discount_amount") == [(11, 1), (30, 3)]


def test_what_went_back_of_the_lines_is_summed_as_other_money_is(tmp_path: Path) -> None:
    text = (
        f"{HEAD},refunded_amount\n1,a,2024-01-02,10,4\n1,a,2024-01-02,20,6\n"
        "2,b,2024-01-03,5,\n2,b,2024-01-03,6,1\n"
    )
    load(tmp_path, text, lines=True)
    assert loaded(tmp_path, "amount, refunded_amount") == [(11, 1), (30, 10)]


def test_a_cancelled_line_takes_off_itself(tmp_path: Path) -> None:
    text = (
        f"{HEAD},status\n1,a,2024-01-02,10,shipped\n1,a,2024-01-02,20,cancelled\n1,a,2024-01-02,30,shipped\n"
        "2,b,2024-01-03,5,void\n2,b,2024-01-03,6,cancelled\n3,c,2024-01-04,7,Void\n3,c,2024-01-04,8,paid\n"
    )
    report = load(tmp_path, text, lines=True)
    assert loaded(tmp_path, "order_id, amount, status") == [
        ("1", 40, "shipped"),
        ("2", 11, "cancelled"),
        ("3", 8, "paid"),
    ]
    assert "cancelled, and taken off their orders: 2 lines" in report.as_text()


def test_one_id_of_two_customers_is_two_orders(tmp_path: Path) -> None:
    text = f"{HEAD}\n1,a,2024-01-02,10\n1,b,2024-03-05,20\n2,b,2024-01-03,7\n"
    report = load(tmp_path, text)
    assert loaded(tmp_path) == [("1", "a", 10), ("1", "b", 20), ("2", "b", 7)]
    assert "1 order_id; two stores? name them: --column store=…" in report.as_text()
    assert report.repeated_keys == 0


def test_the_lines_of_two_stores_are_kept_apart(tmp_path: Path) -> None:
    text = f"{HEAD},store\n1,a,2024-01-02,10,x\n1,a,2024-01-02,20,x\n1,a,2024-01-02,40,y\n"
    load(tmp_path, text, lines=True)
    assert loaded(tmp_path, "store, amount") == [("x", 30), ("y", 40)]


def test_only_the_newest_version_of_an_order_is_loaded(tmp_path: Path) -> None:
    text = (
        f"{HEAD},status,updated_at\n1,a,2024-01-02,10,paid,2024-01-02\n1,a,2024-01-02,10,paid,2024-01-05\n"
        "1,a,2024-01-02,12,cancelled,2024-02-01\n1,a,2024-01-02,12,cancelled,2024-03-01\n"
        "2,b,2024-01-03,7,paid,2024-01-03\n"
    )
    report = load(tmp_path, text)
    assert loaded(tmp_path, "order_id, amount, status, status_changed_at") == [
        ("1", 12, "cancelled", datetime(2024, 2, 1)),
        ("2", 7, "paid", None),
    ]
    assert "left out: 3 rows with an updated_at before that of another row" in report.as_text()


def test_amount_per_takes_two_words_and_is_for_orders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--amount-per basket: expected order or line"):
        load(tmp_path, REPEATED, amount_per="basket")
    with pytest.raises(UsageError, match="--amount-per is for orders, not products"):
        load_table("products", [tmp_path / "x.csv"], db=tmp_path / "s.duckdb", amount_per="order")


def test_sums_stay_in_one_currency(tmp_path: Path) -> None:
    text = f"{HEAD},currency\n1,a,2024-01-02,10,EUR\n1,a,2024-01-02,20,EUR\n1,a,2024-01-02,30,USD\n"
    load(tmp_path, text, lines=True)
    assert loaded(tmp_path, "currency, amount") == [("EUR", Decimal(30)), ("USD", Decimal(30))]
