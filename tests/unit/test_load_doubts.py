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
    assert line.endswith("--vars '{cva_customer_key: lower(trim(customer_id))}'")


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


def test_the_customer_0_is_nobody_unless_ids_count_people_from_0_on(tmp_path: Path) -> None:
    assert said(tmp_path, ["0", "0", "7", "9"]) == ("customer_id 0: 2 orders of 20.00, of nobody",)
    (tmp_path / "shop.duckdb").unlink()
    assert said(tmp_path, ["0", "0", "1", "1", "2", "2"]) == ()


def test_an_ordinary_shop_is_no_doubt(tmp_path: Path) -> None:
    assert said(tmp_path, [f"c{n % 40}" for n in range(200)]) == ()


def test_refunds_in_orders_are_said(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(
        "order_id,customer_id,ordered_at,amount,status\n1,a,2024-01-02,10,paid\n"
        "2,a,2024-01-03,-4,paid\n3,b,2024-01-03,20,Refunded\n4,b,2024-01-04,20,partially_refunded\n",
        encoding="utf-8",
    )
    assert load_table("orders", [file], db=tmp_path / "shop.duckdb").doubts == (
        "below 0, and counted as returns: 1 order of 4.00",
        "refunded by their status, and counted as returns on the order's own date: 1 order",
        "refunded in part, of which nothing is known: 1 order; load what went back:"
        " --column refunded_amount=…, or a table returns",
    )


def test_the_newest_rate_shows_which_way_round_rates_are(tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(
        "code;day;quote\nEUR;31.05.2024;1\nUSD;30.05.2024;1,25\nUSD;31.05.2024;1,6\nJPY;31.05.2024;160,5\n",
        encoding="utf-8",
    )
    report = load_table(
        "exchange_rates",
        [file],
        db=tmp_path / "shop.duckdb",
        columns={"currency": "code", "date": "day", "rate": "1 / quote"},
    )
    assert report.as_text().startswith(
        "raw.exchange_rates: 4 exchange rates (2024-05-30 .. 2024-05-31)"
    )
    assert report.doubts == (
        "rate: 1 USD is 0.625 of the shop's currency on 2024-05-31;"
        " if it is the other way round: --column 'rate=1 / rate'",
    )


def test_orders_in_several_currencies_are_said_until_there_are_rates(tmp_path: Path) -> None:
    file, db = tmp_path / "orders.csv", tmp_path / "shop.duckdb"
    rows = [f"{n},c{n % 7},2024-01-02,10,{'USD' if n % 3 == 0 else 'EUR'}" for n in range(9)]
    head = "order_id,customer_id,ordered_at,amount,currency"
    file.write_text("\n".join([head, *rows, "9,c1,2024-01-02,10,usd"]), encoding="utf-8")
    (line,) = load_table("orders", [file], db=db).doubts
    assert line == (
        "currency: 6 in EUR, 4 in USD; the shop's is the first unless cva_currency says other, and"
        " 4 orders will not count without rates: cva load exchange_rates FILE"
    )
    rates = tmp_path / "rates.csv"
    rates.write_text("currency,date,rate\nUSD,2024-01-02,0.9\n", encoding="utf-8")
    load_table("exchange_rates", [rates], db=db)
    assert load_table("orders", [file], db=db, append=True).doubts == ()
