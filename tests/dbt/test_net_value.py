"""With `cva_value: net` all that is said of past spend is net, in sum the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.resolver import open_shop


@pytest.mark.parametrize("value", ["gross", "net"])
def test_spend_of_the_first_day_and_of_the_others_is_the_spend_so_far(
    sample_shop: Any, rows: Any, tmp_path: Path, value: str
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    run_dbt(open_shop(db), "run", select=["customer_features"], variables={"cva_value": value})
    found = rows(
        db,
        "select frequency * coalesce(monetary_value, 0) + first_order_day_amount, historic_value, "
        "refund_amount > 0 from customer_features where orders_count > 0",
    )
    assert sum(has_refund for *_, has_refund in found) > 50
    for parts, whole, _ in found:
        assert parts == pytest.approx(whole, rel=1e-9, abs=1e-6)  # doubles
