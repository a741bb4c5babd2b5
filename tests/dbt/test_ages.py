"""Ages come as years, as bands and as nonsense; who may be learned from is another question."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

ORDERS = """
create schema raw;
create table raw.orders as
select 'o' || i as order_id, 'c' || i as customer_id, timestamp '2024-01-01' as ordered_at,
    10 as amount
from range(1, 12) as numbers(i);
"""
AGES = {  # as given -> (years, band)
    "34.0": (34, "25-34"),
    "0": (0, "under 18"),
    " 120 ": (120, "65+"),
    "19-24": (None, "19-24"),
    "19 – 24": (None, "19 – 24"),
    "65+": (None, "65+"),
    "<18": (None, "<18"),
    "300": (None, None),
    "-1": (None, None),
    "adult": (None, None),
    "n/a": (None, None),
}


def built(folder: Path, customers: str) -> tuple[ResolvedShop, tuple[str, ...]]:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", {})
    with duckdb.connect(str(shop.db)) as con:
        con.execute(ORDERS)
        con.execute(f"create table raw.customers as {customers}")
    select = ["+customer_features", "cva_feature_catalog"]
    return shop, run_dbt(shop, "run", select=select)


def rows(shop: ResolvedShop, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(query).fetchall()


def test_years_and_bands_are_told_apart_and_nonsense_is_counted(tmp_path: Path) -> None:
    values = ", ".join(f"('c{i}', '{age}')" for i, age in enumerate(AGES, 1))
    shop, said = built(tmp_path, f"from (values {values}) as given(customer_id, age)")
    found = rows(shop, "select age, age_band from customer_features order by customer_id[2:]::int")
    assert found == list(AGES.values())
    assert said == (
        "customers: 3 of the ages, such as c10's, neither years from 0 to 120 nor a band like"
        " 19-24: taken as not known",
    )


def test_years_as_numbers_and_a_band_of_its_own_column(tmp_path: Path) -> None:
    shop, said = built(
        tmp_path,
        "from (values ('c1', 30, 'thirties'), ('c2', null, 'old'))"
        " as given(customer_id, age, age_band)",
    )
    query = (
        "select age, age_band from customer_features where customer_id in ('c1', 'c2')"
        " order by customer_id"
    )
    assert rows(shop, query) == [(30, "thirties"), (None, "old")]
    assert said == ()


@pytest.mark.parametrize("is_known", [False, True])
def test_what_has_no_date_is_learned_from_only_where_it_cannot_have_been_later(
    tmp_path: Path, is_known: bool
) -> None:
    """Without valid_from a consent given today would be known on every past date."""
    since = ", timestamp '2023-01-01' as valid_from" if is_known else ""
    shop, _ = built(tmp_path, f"select 'c1' as customer_id, true as marketing_consent{since}")
    query = (
        "select feature from main_cva.cva_feature_catalog where family = 'attributes' "
        "and is_model_input order by 1"
    )
    inputs = [name for (name,) in rows(shop, query)]
    expected = ["acquisition_channel", "country", "days_since_signup"]
    assert inputs == sorted([*expected, *(["has_marketing_consent"] if is_known else [])])
    consents = "select has_marketing_consent from customer_features where customer_id = 'c1'"
    assert rows(shop, consents) == [(1,)]  # who may be written to is known either way


@pytest.mark.parametrize("is_known", [False, True])
def test_a_training_that_asks_for_age_is_told_why_it_gets_none(
    tmp_path: Path, is_known: bool
) -> None:
    since = ", timestamp '2023-01-01' as valid_from" if is_known else ""
    shop, _ = built(tmp_path, f"select 'c1' as customer_id, 40 as age{since}")
    said = run_dbt(
        shop, "run", select=["+customer_features", "cva_feature_catalog"],
        variables={
            "cva_spine": "training", "cva_training_dates": [["2024-02-01", 30]],
            "cva_use_demographics": True,
        },
    )  # fmt: skip
    told = (
        "has_marketing_consent, age, age_band, gender, occupation are not learned from: customers"
        " has no valid_from, which says since when they hold",
    )
    assert said == (() if is_known else told)
