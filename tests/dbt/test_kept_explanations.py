"""Explanations of customers whose inputs are as before are kept, and say the same as new ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

STATED = (
    "customer_id, feature, family, value, reference_value, attribution, standard_error,"
    " family_attribution, rank, baseline_prediction_value, predicted_value"
)


@pytest.fixture
def shop(sample_shop: Any, tmp_path: Path) -> Path:
    return Path(sample_shop.copy_to(tmp_path))


def run(cva: Callable[..., Any], db: Path, *arguments: str, kept_days: int = 0) -> None:
    variables = json.dumps({"cva_explanations_kept_days": kept_days})
    cva("run", "--db", db, "--vars", variables, *arguments)


def test_what_is_kept_is_what_would_be_found(
    cva: Callable[..., Any], rows: Callable[..., Any], shop: Path, tmp_path: Path
) -> None:
    run(cva, shop)
    with duckdb.connect(str(shop)) as con:
        # A lie that only a kept row repeats, and an order that changes one customer's inputs.
        con.execute(
            "update main_cva.int_cva__customer_explanations set explained_as_of = '2000-01-01'"
        )
        ((customer,),) = con.execute(
            "select min(customer_id) from customer_value where score_status = 'ok'"
        ).fetchall()
        con.execute(
            "insert into raw.orders (order_id, customer_id, ordered_at, amount, status)"
            " select 'one more', customer_id, max(ordered_at), 80, 'paid' from raw.orders"
            " where customer_id = ? group by customer_id",
            [customer],
        )
    run(cva, shop)
    versions = "select customer_id from main_cva.int_cva__customer_explanations where"
    assert rows(shop, f"{versions} explained_as_of > '2000-01-01'") == [(customer,)]
    kept = rows(shop, f"select {STATED} from customer_value_explain order by all")

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for name in (shop.name, "cva_models"):
        source = shop.parent / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, fresh / name)
    with duckdb.connect(str(fresh / shop.name)) as con:
        con.execute("drop table main_cva.int_cva__customer_explanations")
    run(cva, fresh / shop.name)
    assert rows(fresh / shop.name, f"select {STATED} from customer_value_explain order by all") == (
        kept
    )


def test_who_has_only_aged_keeps_attributions_that_add_up(
    cva: Callable[..., Any], rows: Callable[..., Any], shop: Path
) -> None:
    run(cva, shop)
    ((day,),) = rows(shop, "select max(as_of_date) from customer_value")
    later = rows(shop, "select (max(as_of_date) + 2)::varchar from customer_value")[0][0]
    run(cva, shop, "--as-of", later, kept_days=7)
    aged = "from customer_value_explain where explained_as_of < as_of_date"
    ((oldest, customers),) = rows(
        shop, f"select min(explained_as_of), count(distinct customer_id) {aged}"
    )
    assert oldest == day
    assert customers > 0
    # dbt's own test has seen that they add up; the values are today's.
    assert rows(
        shop,
        f"select count(*) {aged} and feature = 'days_since_last_order'"
        " and try_cast(value as double)"
        " is distinct from (select days_since_last_order from customer_features as f"
        " where f.customer_id = customer_value_explain.customer_id)",
    ) == [(0,)]
    far = rows(shop, "select (max(as_of_date) + 30)::varchar from customer_value")[0][0]
    run(cva, shop, "--as-of", far, kept_days=7)
    assert rows(shop, f"select count(*) {aged}") == [(0,)]
