"""A run after `cva forget`: the person is in no table, and others change in what is relative."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.forget.erasing import forget_people
from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop

# What is relative to the other customers by its definition; all else of a customer stays.
RELATIVE = {
    "customer_value": {"value_percentile", "value_tier"},
    "customer_features": {
        "shop_spend_level",
        "shop_orders_level",
        "shop_retention_rate",
        "shop_error_spread",
    },
    "customer_segments": {
        "value_tier",
        "lifecycle_stage",
        "rfm_segment",
        "rfm_recency",
        "rfm_frequency",
        "rfm_monetary",
        "usual_gap_days",
        "gaps_waited",
    },
    "customer_value_explain": set[str](),
}
MOST = "select customer_id from raw.{} group by 1 order by count(*) desc, 1 limit 1"


def views_and_tables(db: Path) -> list[tuple[str, str]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_catalog = current_database() order by all"
        ).fetchall()


def places_of(db: Path, person: str) -> list[str]:
    """The tables and views with a row that has the id in it, whatever the column."""
    found = []
    with duckdb.connect(str(db), read_only=True) as con:
        for schema, table in views_and_tables(db):
            said = con.execute(
                f'select 1 from "{schema}"."{table}" as cva_row where contains(cva_row::varchar, ?)'
                " limit 1",
                [person],
            ).fetchall()
            found += [f"{schema}.{table}"] if said else []
    return found


def erase(shop: ResolvedShop, person: str) -> Any:
    with exclusive(shop):
        found = forget_people(shop, [person])
        run_shop(shop)
    return found


@pytest.fixture
def copied(sample_shop: Any, tmp_path: Path) -> Path:
    db: Path = sample_shop.copy_to(tmp_path / "shop")
    return db


def test_others_change_after_the_next_run_in_what_is_relative_alone(
    copied: Path, sample_shop: Any
) -> None:
    with duckdb.connect(str(copied), read_only=True) as con:
        ((person,),) = con.execute(MOST.format("reviews")).fetchall()
    found = erase(open_shop(copied), person)
    assert found.left == ()
    assert places_of(copied, person) == []
    with duckdb.connect(str(copied), read_only=True) as con:
        con.execute(f"attach '{sample_shop.db}' as before (read_only)")
        for table, relative in RELATIVE.items():
            left_out = ", ".join(sorted(relative | ({"scored_at"} if table == "customer_value"
                                                     else set())))  # fmt: skip
            chosen = f"* exclude ({left_out})" if left_out else "*"
            was = f"select {chosen} from before.main.{table} where customer_id <> '{person}'"
            now = f"select {chosen} from main.{table}"
            counts = con.execute(
                f"select (select count(*) from ({was} except {now})),"
                f" (select count(*) from ({now} except {was})), (select count(*) from ({now}))"
            ).fetchall()
            assert counts[0][:2] == (0, 0), table
            assert counts[0][2] > 0
        assert con.execute("select 1 from main_cva.cva_rejects where reason = 'forgotten'"
                           ).fetchall() == []  # fmt: skip


def test_rows_of_a_table_of_the_users_own_are_left_out_and_counted(copied: Path) -> None:
    with duckdb.connect(str(copied)) as con:
        ((person,),) = con.execute(MOST.format("orders")).fetchall()
        con.execute("create table raw.sales as select customer_id as buyer, * exclude (customer_id)"
                    " from raw.orders; drop table raw.orders")  # fmt: skip
        ((orders,),) = con.execute(
            "select count(*) from raw.sales where buyer = ?", [person]
        ).fetchall()
    shop = open_shop(
        copied,
        variables={
            "cva_orders_identifier": "sales",
            "cva_orders_columns": {"customer_id": "buyer"},
        },
    )
    with exclusive(shop):
        found = forget_people(shop, [person])
    assert found.left == ("raw.sales, which has no mark of cva load; staging leaves them out",)
    # Views over it leave them out at once, before anything is built.
    assert places_of(copied, person) == ["raw.sales"]
    with exclusive(shop):
        run_shop(shop)
    assert places_of(copied, person) == ["raw.sales"]
    with duckdb.connect(str(copied), read_only=True) as con:
        rejected = con.execute(
            "select table_name, row_count from main_cva.cva_rejects where reason = 'forgotten'"
        ).fetchall()
        assert rejected == [("orders", orders)]
        ((total, known),) = con.execute(
            "select raw_row_count, valid_row_count from main_cva.cva_rejects"
            " where table_name = 'orders' limit 1"
        ).fetchall()
        assert 0 < known < total
