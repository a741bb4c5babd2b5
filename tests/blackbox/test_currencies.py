"""A shop that sells in two currencies, with and without a table of exchange rates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.model_store import deploy

# Of one customer in ten all orders, of another every second one were paid in dollars, two a euro.
# The sample's own order in dollars stays without a rate, as it is in the sample.
IN_DOLLARS = """
create temp table dollars as select order_id from raw.orders
    where currency = 'EUR'
    and (hash(customer_id) % 10 = 0 or hash(customer_id) % 10 = 1 and hash(order_id) % 2 = 0);
create temp table all_in_dollars as select distinct customer_id from raw.orders as orders
    where hash(customer_id) % 10 = 0 and customer_id in
        (select customer_id from main.customer_features where orders_count > 0);
update raw.orders set currency = 'GBP' where currency = 'USD';
update raw.orders set currency = 'usd', amount = amount * 2, discount_amount = discount_amount * 2
    where order_id in (from dollars);
update raw.order_items set unit_price = unit_price * 2 where order_id in (from dollars);
update raw.returns set refund_amount = refund_amount * 2 where order_id in (from dollars);
alter table raw.products add column currency varchar;
update raw.products set unit_cost = unit_cost * 2, currency = 'USD' where hash(product_id) % 2 = 0;
"""
RATES = "currency,date,rate\n" + "".join(
    f"USD,{year}-{month:02}-{day:02},0.5\n"
    for year in range(2022, 2027)
    for month in range(1, 13)
    for day in range(1, 30, 7)
    if (month, day) != (2, 29)
)
AS_OF = "2025-06-01"
Tables = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Sold:
    """What the shop says in euros alone, in two currencies, and with rates for the other."""

    in_euros: Tables
    in_both: Tables
    said: str
    converted: Tables
    in_dollars: set[str]
    db: Path
    checked: str


@pytest.fixture(scope="module")
def sold(sample_shop: Any, cva: Any, scored: Any, tmp_path_factory: pytest.TempPathFactory) -> Sold:
    folder = tmp_path_factory.mktemp("currencies")
    db = sample_shop.copy_to(folder)

    def call(*arguments: object) -> str:
        done = cva(*arguments, "--db", db)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    # Also where the rule did as well on the few customers of a sample.
    deploy(folder / "cva_models", sample_shop.model_folder.name)
    call("run")
    in_euros = scored(db)
    with duckdb.connect(str(db)) as con:
        con.execute(IN_DOLLARS)
        customers = {row[0] for row in con.execute("from all_in_dollars").fetchall()}
    said = call("run")
    in_both = scored(db)
    (folder / "rates.csv").write_text(RATES, encoding="utf-8")
    call("load", "exchange_rates", folder / "rates.csv")
    call("run")
    checked = call("check-features", "--as-of", AS_OF)
    return Sold(in_euros, in_both, said, scored(db), customers, db, checked)


def statuses(tables: Tables) -> dict[str, str]:
    return {row[0]: row[6] for row in tables["customer_value"]}


def test_who_pays_in_another_currency_alone_has_a_status_of_that_name(sold: Sold) -> None:
    before, after = statuses(sold.in_euros), statuses(sold.in_both)
    assert len(sold.in_dollars) > 30
    changed = {customer for customer in before if before[customer] != after[customer]}
    assert sold.in_dollars <= changed
    assert {after[customer] for customer in changed} == {"other_currency"}
    assert "cva load exchange_rates FILE" in sold.said
    assert f"{len(changed)} other_currency" in sold.said


@pytest.mark.parametrize("table", ["customer_features", "customer_value", "customer_value_explain"])
def test_with_rates_all_is_as_if_paid_in_the_shops_currency(sold: Sold, table: str) -> None:
    assert sold.in_both[table] != sold.in_euros[table]
    assert sold.converted[table] == sold.in_euros[table]


def test_a_past_date_knows_the_rates_of_its_past_alone(sold: Sold, rows: Any) -> None:
    later = f"select count(*) from raw.exchange_rates where date >= '{AS_OF}'"
    assert rows(sold.db, later)[0][0] > 50
    assert "raw.exchange_rates" in sold.checked
