"""`cva load` says which ids of customers may not be people."""

from __future__ import annotations

from pathlib import Path

from cva_sql.cli.load.table import load_table


def said(folder: Path, customers: list[str]) -> tuple[str, ...]:
    lines = [f"{n},{name},2024-01-02,10" for n, name in enumerate(customers)]
    file = folder / "orders.csv"
    file.write_text("\n".join(["order_id,customer_id,ordered_at,amount", *lines]), encoding="utf-8")
    report = load_table("orders", [file], db=folder / "shop.duckdb")
    assert report.as_text().splitlines()[1:] == list(report.doubts)
    return report.doubts


def test_ids_that_differ_in_case_or_blanks_alone_are_said(tmp_path: Path) -> None:
    (line,) = said(tmp_path, ["Ann@x.org", "ann@x.org", '"a  b"', "a b", "c"])
    assert line.startswith("customer_id: 4 ids differ in case or blanks alone")
    assert "set cva_customer_key: lower(trim(customer_id))" in line


def test_an_id_with_an_absurd_share_of_orders_is_named(tmp_path: Path) -> None:
    people = [f"c{n}" for n in range(400)] * 2
    lines = said(tmp_path, [*people, *["reseller"] * 300])
    assert [line.partition(";")[0] for line in lines] == [
        "customer_id: so much of all orders has reseller 27.3%",
        "customer_id: so much of all spend has reseller 27.3%",
    ]


def test_a_customer_per_order_is_said(tmp_path: Path) -> None:
    (line,) = said(tmp_path, [f"c{n}" for n in range(100)])
    assert line.startswith("customer_id: each has one order; is it an id of the order?")


def test_an_ordinary_shop_is_no_doubt(tmp_path: Path) -> None:
    assert said(tmp_path, [f"c{n % 40}" for n in range(200)]) == ()
