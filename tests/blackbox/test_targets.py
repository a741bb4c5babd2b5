"""Margin and the shop's own labels in place of spend, from raw tables to customer_value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.examples import TRAIN_SCHEMA, build_examples, read_history
from cva_sql.cli.train.training import train_shop
from cva_sql.udfs.errors import UsageError

MARGIN = {"cva_target": "margin"}
LABELS = {"cva_target": "labels"}
EXPECTED = """
with costs as (
    select order_id, sum(quantity * unit_cost) as cost
    from raw.order_items inner join raw.products using (product_id) group by order_id
),
margins as (
    select o.customer_id, o.order_date, o.cancelled_at, o.amount - c.cost as margin
    from main_cva.int_cva__orders_valid as o inner join costs as c using (order_id)
)
select count(*), max(abs(e.label_value - greatest(coalesce(m.margin, 0), 0)))
from cva_train.cva_training_examples as e
left join (
    select e.customer_id, e.as_of_date, sum(m.margin) as margin
    from cva_train.cva_training_examples as e inner join margins as m
        on e.customer_id = m.customer_id and m.order_date >= e.as_of_date
        and m.order_date < e.as_of_date + e.label_days
        and (m.cancelled_at is null or m.cancelled_at >= e.as_of_date + e.label_days)
    group by all
) as m on e.customer_id = m.customer_id and e.as_of_date = m.as_of_date
"""


@pytest.fixture(scope="module")
def margin_shop(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample shop trained and run for margin."""
    db: Path = sample_shop.copy_to(tmp_path_factory.mktemp("margin") / "shop")
    shop = open_shop(db, variables=MARGIN)
    with pytest.raises(UsageError, match=r"predicts spend; set cva_target: spend, or train one"):
        run_shop(shop)
    trained = train_shop(shop)
    assert trained.is_deployed
    assert "-h90-margin-" in str(trained.version)
    assert trained.to_dict()["target"] == "margin"
    run_shop(shop)
    return db


def test_margin_is_learned_and_scored_end_to_end(
    margin_shop: Path, rows: Callable[..., Any], cva: Callable[..., Any]
) -> None:
    count, difference = rows(margin_shop, EXPECTED)[0]
    assert count > 3000
    assert difference < 1e-4
    total, sums, clv, versions = rows(
        margin_shop,
        "select sum(predicted_value), count(total_value), count(clv), min(model_version) "
        "from customer_value",
    )[0]
    assert total > 0
    assert sums == 0
    assert clv > 0
    assert "-margin-" in versions
    refused = cva("run", "--db", margin_shop)
    assert refused.returncode == 2
    assert "cva_target is spend; the deployed model" in refused.stderr
    page = margin_shop.parent / "margin.html"
    assert cva("report", "--db", margin_shop, "--out", page).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "expected to bring a margin of" in text
    assert "expected to spend" not in text


def test_without_costs_margin_is_refused_in_one_line(sample_shop: Any, tmp_path: Path) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    with duckdb.connect(str(db)) as con:
        con.execute("alter table raw.products drop unit_cost")
    with pytest.raises(UsageError, match=r"the cost is known of 0.0 % of spend \(half is needed\)"):
        train_shop(open_shop(db, variables=MARGIN))


def test_labels_of_the_shop_are_learned_from_and_rejects_are_counted(
    sample_shop: Any, tmp_path: Path, rows: Callable[..., Any]
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create table raw.labels as select customer_id, day as as_of_date, "
            "cast(round(7 * abs(hash(customer_id)::double / 1e19), 2) as varchar) as value from ("
            "select distinct customer_id from main.customer_value) cross join ("
            "select unnest([date '2025-05-01', date '2025-08-01', date '2025-12-20']) as day)"
        )
        con.execute(
            "insert into raw.labels values (' C000007 ', '2025-05-01', '3'), "
            "('nobody-known', '2025-05-01', '3'), (null, '2025-05-01', '3'), "
            "('C000008', '2025-05-02', '-3'), ('C000008', '2025-05-03', 'much'), "
            "('C000008', '2025-05-04', null), ('C000008', '2999-01-01', '3')"
        )
    shop = open_shop(db, variables=LABELS)
    history = read_history(shop, TRAIN_SCHEMA)
    plan = history.plan(history.as_of, 90)
    assert plan is not None
    assert [str(day) for day in plan.cutoffs] == ["2025-08-01", "2025-05-01"]
    data = build_examples(
        shop,
        [(day, 90) for day in (plan.as_of, *plan.cutoffs)],
        TRAIN_SCHEMA,
        scored_on=[plan.as_of],
        max_rows=10_000,
    )
    assert len(data.at(plan.cutoffs, 90)) > 500
    assert len(data.at([plan.as_of], 90)) == 0
    assert len(data.seen_from(plan.as_of)) == 800
    trained = train_shop(shop)
    assert "-labels-" in str(trained.version)
    run_shop(shop)
    rejects = dict(
        rows(
            db,
            "select reason, row_count from main_cva.cva_rejects "
            "where table_name = 'labels' and reason <> 'on_or_after_as_of'",
        )
    )
    assert rejects == {
        "duplicate_label": 1,
        "customer_unknown": 2,
        "value_negative": 1,
        "value_unreadable": 1,
        "value_missing": 1,
        "in_the_future": 1,
    }
