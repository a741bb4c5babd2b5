"""Value over other days in a shop that was run, and totals of any customers with an interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_the_path_passes_through_the_horizon_and_never_falls(sample_shop: Any, rows: Any) -> None:
    published = Path(sample_shop.run.published)
    assert rows(
        published,
        "select count(*), count(*) filter (path.predicted_value <> value.predicted_value or"
        " path.purchase_probability <> value.purchase_probability) from customer_value_path as path"
        " inner join customer_value as value using (customer_id) where days = horizon_days",
    ) == [(sample_shop.run.customers, 0)]
    days = [row[0] for row in rows(published, "select distinct days from customer_value_path")]
    assert sorted(days) == [7, 28, 30, 90, 180, 365, 1095]
    assert rows(
        published,
        "select count(*) from (select predicted_value < lag(predicted_value) over customer or"
        " purchase_probability < lag(purchase_probability) over customer as falls"
        " from customer_value_path window customer as (partition by customer_id order by days))"
        " where falls",
    ) == [(0,)]


def test_segments_add_up_to_their_customers_month_by_month(sample_shop: Any, rows: Any) -> None:
    published = Path(sample_shop.run.published)
    kinds = rows(
        published,
        "select segment_kind, sum(customers_count)::int, round(sum(cumulative_value), 2),"
        " round(sum(predicted_value), 4) <= round(sum(cumulative_value), 4)"
        " from segment_value_path where month_ahead = 12 group by 1 order by 1",
    )
    ((count, year),) = rows(
        published,
        "select count(*), round(sum(predicted_value), 2) from customer_value_path where days = 365",
    )
    assert kinds == [
        (kind, count, pytest.approx(year, abs=0.05), True)
        for kind in ("all", "lifecycle_stage", "rfm_segment", "value_tier")
    ]
    assert rows(
        published,
        "select count(*), count(distinct month_ahead), count(*) filter (cumulative_value <"
        " lag_value or not cumulative_value_p10 < cumulative_value_p90 or"
        " not predicted_value_p10 <= predicted_value_p90) from (select *, lag(cumulative_value)"
        " over (order by month_ahead) as lag_value from segment_value_path"
        " where segment_kind = 'all')",
    ) == [(12, 12, 0)]
    # Of a month that ends with a path's days the interval is that of cva_totals.
    assert rows(
        published,
        "select abs(path.cumulative_value / totals.predicted_value - 1) < 0.15 and"
        " path.cumulative_value_p10 / path.cumulative_value"
        " between 0.7 and 1 from segment_value_path as path,"
        " cva_totals(value_tier = 'high') as totals where segment = 'high' and month_ahead = 3",
    ) == [(True,)]


def test_clv_is_the_path_discounted_and_the_model_says_it(sample_shop: Any, rows: Any) -> None:
    (low, high, growing, quantiles) = rows(
        Path(sample_shop.run.published),
        "select min(clv / path.predicted_value), max(clv / path.predicted_value),"
        " count(distinct round(clv / value.predicted_value, 6)),"
        " count(*) filter (clv_p10 > clv_p90)"
        " from customer_value as value inner join customer_value_path as path using (customer_id)"
        " where days = 1095 and value.predicted_value > 0",
    )[0]
    assert 1.1**-3 < low < high < 1
    assert growing > 20  # not the same for all, as a constant retention has it
    assert quantiles == 0


@pytest.mark.parametrize("is_published", [True, False])
def test_totals_are_sums_with_an_interval(sample_shop: Any, rows: Any, is_published: bool) -> None:
    db = Path(sample_shop.run.published) if is_published else sample_shop.db
    ((count, value, low, high, clv),) = rows(
        db,
        "select customers_count, predicted_value, predicted_value_p10, predicted_value_p90, clv"
        " from cva_totals(value_tier = 'high' and score > 1)",
    )
    assert rows(
        db,
        "select count(*), round(sum(predicted_value), 3), round(sum(clv), 3) from customer_value"
        " where value_tier = 'high' and score > 1",
    ) == [(count, round(value, 3), round(clv, 3))]
    assert 0.3 * value < low < value < high < 2 * value
    ((nobody, nothing),) = rows(
        db, "select customers_count, predicted_value_p10 from cva_totals(customer_id is null)"
    )
    assert (nobody, nothing) == (0, None)
