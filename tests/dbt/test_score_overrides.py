"""What the shop itself says of a customer's tier stands beside the model's, while it holds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

RAW = """
create schema raw;
create table raw.orders as select i as order_id, 'c' || i % 8 as customer_id,
    timestamp '2024-01-01' + to_days(i::integer) as ordered_at, 10.0 + i as amount
from range(64) as t(i);
create table raw.score_overrides as from (values
    ('c0', ' High ', 'Press', null), ('c1', 'low', null, '2024-03-05'),
    ('c2', 'low', 'Test buyer', '2024-03-04'), ('c3', 'low', 'older', '2024-04-01'),
    ('c3', 'medium', 'longer', '2024-05-01'), ('c4', 'vip', null, null),
    ('nobody', 'high', null, null), (null, 'high', null, null), ('c5', null, null, null)
) as t(customer_id, tier, reason, until)
"""


def test_an_override_stands_beside_the_tier_while_it_holds(tmp_path: Path) -> None:
    shop = ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "models")
    with duckdb.connect(str(shop.db)) as con:
        con.execute(RAW)
    run_dbt(shop, "run", select=["+customer_segments", "+cva_rejects"])
    with duckdb.connect(str(shop.db), read_only=True) as con:
        shown = con.execute(
            "select customer_id, override_tier, override_reason, override_until "
            "from customer_segments where override_tier is not null order by 1"
        ).fetchall()
        changed = con.execute(
            "select count(*) from customer_segments inner join customer_value as value "
            "using (customer_id) where customer_segments.value_tier <> value.value_tier"
        ).fetchall()
        rejects = con.execute(
            "select reason, row_count, valid_row_count from main_cva.cva_rejects "
            "where table_name = 'score_overrides' order by 1"
        ).fetchall()
    assert shown == [
        ("c0", "high", "Press", None),
        ("c1", "low", None, date(2024, 3, 5)),
        ("c3", "medium", "longer", date(2024, 5, 1)),
    ]
    assert changed == [(0,)]
    assert rejects == [
        ("customer_unknown", 2, 4),
        ("duplicate_customer_id", 1, 4),
        ("tier_missing", 1, 4),
        ("tier_unknown", 1, 4),
    ]
