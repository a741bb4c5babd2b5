"""A shop whose visitors sign in at checkout alone: no feature knows of it before."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.check_features.check import check_shop
from cva_sql.cli.shop.resolver import open_shop

CUSTOMERS = 200
# Each browser visits every eleven days and orders at every third visit; one in five is shared.
SHOP = f"""
create schema raw;
create table raw.visits as
select c, k, 'v' || c as visitor_id, k % 3 = 0 as is_order,
    case when c % 5 = 0 and k % 2 = 1 then 'c' || c || 'b' else 'c' || c end as customer_id,
    timestamp '2024-01-01 20:00' + to_days((k * 11 + c % 11)::integer) + to_minutes(c % 240)
        as at_time
from range({CUSTOMERS}) as customers(c), range(30) as visits(k);
create table raw.orders as
select 'o' || c || '-' || k as order_id, customer_id, at_time + interval 20 minutes as ordered_at,
    (10 + c % 30)::decimal(18, 4) as amount
from raw.visits where is_order;
create table raw.order_items as
select order_id, 'p' || hash(order_id) % 6 as product_id from raw.orders;
create table raw.products as
select 'p' || i as product_id, 'k' || i % 3 as category from range(6) as t(i);
create table raw.events as
select 'e' || c || '-' || k || '-' || step as event_id, visitor_id, 's' || k as session_id,
    case when step = 4 then customer_id end as customer_id,
    at_time + to_minutes(step * 5) as occurred_at,
    ['page_view', 'view_item', 'add_to_cart', 'begin_checkout', 'purchase'][step + 1] as event_type,
    case when step in (1, 2) then 'p' || (c + k) % 6 end as product_id
from raw.visits, range(5) as steps(step)
where is_order or step < 1 + c % 4;
drop table raw.visits
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("sign_in") / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(SHOP)
    return db


def test_check_features_names_nothing(db: Path) -> None:
    check = check_shop(open_shop(db))
    assert check.differences == []
    events = next(table for table in check.tables if table.name == "raw.events")
    assert 0 < events.left < events.rows
