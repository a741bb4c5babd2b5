"""What customers, cohorts and channels bring and cost: five by hand, and sums on a shop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

# Two channels and a customer of none; costs of each channel, of all, and of months and a channel
# without customers; half of revenue has a known cost.
RAW = """
create schema raw;
create table raw.orders as select *, case when order_id in ('o1', 'o4') then 'north'
    when order_id in ('o2', 'o3') then 'south' end as store from (values
    ('o1', 'a', date '2024-01-31', 100.0), ('o2', 'a', date '2024-03-01', 50.0),
    ('o3', 'b', date '2024-01-02', 40.0), ('o4', 'c', date '2024-01-03', 60.0),
    ('o5', 'd', date '2024-02-29', 30.0), ('o6', 'e', date '2024-02-10', 20.0)
) as t(order_id, customer_id, ordered_at, amount);
create table raw.order_items as from (values
    ('o1', 'tea', 1, 60.0), ('o1', 'cup', 2, 20.0), ('o2', 'cup', 1, 50.0), ('o3', 'gift', 1, 40.0)
) as t(order_id, product_id, quantity, unit_price);
create table raw.products as from (values
    ('tea', 'Drinks', 30.0), ('cup', 'Ware', 10.0), ('gift', null, null)
) as t(product_id, category, unit_cost);
create table raw.customers as from (values
    ('a', 'Ads'), ('b', 'ads'), ('c', 'Mail'), ('d', 'Mail'), ('e', null)
) as t(customer_id, acquisition_channel);
create table raw.returns as from (values ('o3', date '2024-02-05', 10.0))
    as t(order_id, returned_at, refund_amount);
create table raw.acquisition_costs as from (values
    (date '2024-01-01', 'ADS', 100.0), (date '2024-01-31', 'ads', 0.01),
    (date '2024-02-01', 'ads', 7.0), (date '2024-02-01', null, 10.0),
    (date '2024-01-15', 'tv', 5.0), (date '2024-03-09', 'mail', 1000.0),
    (date '2024-02-01', 'ads', -1.0)
) as t(day, channel, cost);
create table raw.marketing_touches as from (values
    ('m1', 'a', date '2024-01-01', 0.25, null), ('m1', 'a', date '2024-01-01', 0.25, null),
    ('m2', 'a', date '2024-03-04', 1.0, false), ('m3', 'a', date '2024-03-05', 8.0, false),
    ('m4', 'b', date '2024-01-01', 9.0, true), ('m5', 'b', date '2024-01-01', -1.0, null),
    ('m6', 'c', date '2024-01-01', null, null)
) as t(touch_id, customer_id, touched_at, cost, is_control);
create table raw.tickets as from (values
    ('t1', 'a', date '2024-01-05', date '2024-01-06'), ('t2', 'a', date '2024-03-04', null),
    ('t3', 'b', date '2024-03-05', null)
) as t(ticket_id, customer_id, opened_at, closed_at);
"""
MARTS = ("cohort_retention", "customer_economics", "cohort_economics", "channel_economics")


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("economics")
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", {})
    with duckdb.connect(str(shop.db)) as con:
        con.execute(RAW)
    select = ["+cohort_retention", "+channel_economics", "+int_cva__product_margins"]
    variables = {"cva_as_of": "2024-03-05", "cva_margin": 0.5, "cva_ticket_cost": 4}
    run_dbt(shop, "run", select=select, variables=variables)
    with duckdb.connect(str(shop.db), read_only=True) as con:
        yield con


def numbers(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Money as the number it is."""
    return tuple(float(cell) if isinstance(cell, Decimal) else cell for cell in row)


def asked(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return [numbers(row) for row in con.execute(query).fetchall()]


def test_margins_refunds_and_shares_of_costs_are_the_customers(
    con: duckdb.DuckDBPyConnection,
) -> None:
    # 90 of 150 are left where costs are known, so of the rest 0.6.
    assert asked(
        con,
        "select customer_id, acquisition_channel, first_category, revenue, margin, refund_amount,"
        " contribution, acquisition_cost, profit, payback_date from customer_economics order by 1",
    ) == [
        ("a", "ads", "Drinks", 150, 90, 0, 90, 50.005, 39.995, date(2024, 3, 1)),
        ("b", "ads", None, 40, 24, 10, 18, 50.005, -32.005, None),
        ("c", "mail", None, 60, 36, 0, 36, None, None, None),
        ("d", "mail", None, 30, 18, 0, 18, 5, 13, date(2024, 2, 29)),
        ("e", None, None, 20, 12, 0, 12, 5, 7, date(2024, 2, 10)),
    ]


def test_what_marketing_and_service_cost_is_taken_off_the_contribution(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert asked(
        con,
        "select customer_id, touch_cost, tickets_count, cost_to_serve, contribution,"
        " net_contribution from customer_economics order by 1",
    ) == [
        ("a", 1.25, 2, 8, 90, 80.75),
        ("b", 0, 0, 0, 18, 18),
        ("c", 0, 0, 0, 36, 36),
        ("d", 0, 0, 0, 18, 18),
        ("e", 0, 0, 0, 12, 12),
    ]


def test_a_customer_is_of_the_store_of_their_first_order(con: duckdb.DuckDBPyConnection) -> None:
    assert asked(con, "select customer_id, first_store from customer_economics order by 1") == [
        ("a", "north"), ("b", "south"), ("c", "north"), ("d", None), ("e", None),
    ]  # fmt: skip


def test_what_the_shop_does_not_know_it_cost_is_null(sample_shop: Any, rows: Any) -> None:
    counts = (
        "count(touch_cost), count(tickets_count), count(cost_to_serve), count(net_contribution)"
    )
    published = Path(sample_shop.run.published)
    assert rows(published, f"select {counts} from customer_economics") == [(0, 0, 0, 0)]


def test_channels_bear_all_costs_also_those_that_won_nobody(con: duckdb.DuckDBPyConnection) -> None:
    assert asked(
        con,
        "select acquisition_channel, customers_count, acquisition_cost, cac, margin, profit,"
        " payback_month from channel_economics order by 1 nulls last",
    ) == [
        ("ads", 2, 107.01, 53.505, 108, 0.99, None),
        ("mail", 2, 5, 5, 54, 49, 0),
        ("tv", 0, 5, None, 0, -5, None),
        (None, 1, 5, 5, 12, 7, 0),
    ]


def test_the_triangle_has_every_month_of_age(con: duckdb.DuckDBPyConnection) -> None:
    assert asked(
        con,
        "select first_month, age_month, month, is_complete, customers_count, buyers_count,"
        " retention_rate, orders_count, revenue, cumulative_revenue_per_customer"
        " from cohort_retention order by 1, 2",
    ) == [
        (date(2024, 1, 1), 0, date(2024, 1, 1), True, 3, 3, 1.0, 3, 200, 66.6667),
        (date(2024, 1, 1), 1, date(2024, 2, 1), True, 3, 0, 0.0, 0, 0, 66.6667),
        (date(2024, 1, 1), 2, date(2024, 3, 1), False, 3, 1, pytest.approx(1 / 3), 1, 50, 83.3333),
        (date(2024, 2, 1), 0, date(2024, 2, 1), True, 2, 2, 1.0, 2, 50, 25),
        (date(2024, 2, 1), 1, date(2024, 3, 1), False, 2, 0, 0.0, 0, 0, 25),
    ]


def test_a_cohort_pays_back_in_the_month_that_reaches_its_cost(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert asked(
        con,
        "select age_month, until_date, is_complete, revenue, refund_amount, margin, cac, ltv,"
        " payback_month from cohort_economics where first_category = 'Drinks' and not is_forecast"
        " order by 1",
    ) == [
        (0, date(2024, 1, 31), True, 100, 0, 50, 50.005, 50, 2),
        (1, date(2024, 2, 29), True, 100, 0, 50, 50.005, 50, 2),
        (2, date(2024, 3, 4), False, 150, 0, 90, 50.005, 90, 2),
    ]
    forecasts = asked(
        con,
        "select days_ahead, until_date, age_month, revenue >= 150, revenue_p10 from"
        " cohort_economics where first_category = 'Drinks' and is_forecast order by 1 limit 2",
    )
    assert forecasts == [
        (7, date(2024, 3, 11), 2, True, None),  # no model is deployed, so no interval is known
        (28, date(2024, 4, 1), 3, True, None),
    ]


@pytest.mark.parametrize("mart", MARTS)
def test_revenue_of_each_mart_is_all_valid_revenue(sample_shop: Any, rows: Any, mart: str) -> None:
    db = Path(sample_shop.run.published)
    ((spend,),) = rows(db, "select sum(historic_value) from customer_value")
    latest = (
        ""
        if mart != "cohort_economics"
        else (
            " where not is_forecast and until_date = (select max(until_date) from cohort_economics"
            " where not is_forecast)"
        )
    )
    ((revenue,),) = rows(db, f"select sum(revenue) from {mart}{latest}")
    assert revenue == spend


def test_forecasts_are_sums_of_the_customers_with_an_interval(sample_shop: Any, rows: Any) -> None:
    db = Path(sample_shop.run.published)
    assert rows(
        db,
        "select days, round(sum(predicted_value), 1) from customer_value_path inner join"
        " customer_economics using (customer_id) where first_month is not null"
        " group by 1 order by 1",
    ) == rows(
        db,
        "with seen as (select first_month, acquisition_channel, first_category, max(revenue) as"
        " so_far from cohort_economics where not is_forecast group by all) select days_ahead,"
        " round(sum(revenue - so_far)::double, 1) from cohort_economics as cohort inner join seen"
        " on cohort.first_month = seen.first_month and cohort.acquisition_channel is not distinct"
        " from seen.acquisition_channel and cohort.first_category is not distinct from"
        " seen.first_category where is_forecast group by 1 order by 1",
    )
    assert rows(
        db,
        "select count(*), count(*) filter (revenue_p10 is null or revenue_p10 > revenue_p90 or"
        " revenue_p10 > revenue) from cohort_economics where is_forecast and revenue > 0",
    )[0][1:] == (0,)
    for channel, low, high in rows(
        db,
        "select acquisition_channel, predicted_value_p10, predicted_value_p90 from"
        " channel_economics",
    ):
        same = "is null" if channel is None else f"= '{channel}'"
        told = rows(
            sample_shop.db,
            "select predicted_value_p10, predicted_value_p90 from cva_totals(customer_id in (select"
            f" customer_id from customer_economics where acquisition_channel {same} and"
            " first_month is not null))",
        )
        assert [(low, high)] == [pytest.approx(pair) for pair in told]


def test_without_costs_nothing_is_said_to_be_paid_back(sample_shop: Any, rows: Any) -> None:
    assert rows(
        Path(sample_shop.run.published),
        "select (select count(coalesce(acquisition_cost, profit)) from customer_economics),"
        " (select count(coalesce(cac, payback_month, predicted_payback_month)) from"
        " cohort_economics), (select count(coalesce(cac, payback_month)) from channel_economics)",
    ) == [(0, 0, 0)]


def test_the_middle_of_a_month_is_found_for_every_month_of_a_thousand() -> None:
    """As macro `month_after` has it: the mean length of a month, and 15 days."""
    found = duckdb.sql(
        "select count(*) from range(1440) as t(first), range(1000) as u(ahead) where"
        " date_trunc('month', (date '1970-01-01' + to_months(first::integer))::date"
        " + (floor(30.436875 * ahead) + 15)::integer)"
        " <> date '1970-01-01' + to_months((first + ahead)::integer)"
    ).fetchall()
    assert found == [(0,)]


def test_a_unit_of_a_product_leaves_its_price_less_its_cost_over_the_units_sold(
    con: duckdb.DuckDBPyConnection,
) -> None:
    # cup: two units at 20 and one at 50, each of cost 10; gift has no known cost.
    query = "from main_cva.int_cva__product_margins order by product_id"
    assert asked(con, query) == [("cup", pytest.approx(20.0)), ("tea", pytest.approx(30.0))]
