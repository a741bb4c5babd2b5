"""What a run publishes is what cva_marts says, and never less without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.run.marts import Mart, find_marts
from cva_sql.cli.run.publish import publish
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

RUN = "20260101T000000000000"


def mart(name: str, schema: str = "main", *, own: bool = False, filled: bool = False) -> str:
    return f"('{schema}', '{name}', {own}, {filled})"


def shop_with(folder: Path, marts: list[str], tables: str) -> ResolvedShop:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models")
    folder.mkdir(exist_ok=True)
    with duckdb.connect(str(shop.db)) as con:
        con.execute(
            "create schema main_cva; create table main_cva.cva_marts as select * from (values "
            f"{', '.join(marts)}) as said(schema_name, table_name, is_own, only_with_rows)"
        )
        con.execute(tables)
    return shop


def marts_of(shop: ResolvedShop) -> list[Mart]:
    with duckdb.connect(str(shop.db)) as con:
        return find_marts(shop, con)


def test_the_packages_tables_come_first_and_each_by_name(tmp_path: Path) -> None:
    marts = [
        mart("a_mart_of_theirs", "acme", own=True),
        mart("cva_rejects", "analytics_cva"),
        mart("customer_value", "analytics"),
    ]
    tables = (
        "create schema analytics; create schema analytics_cva; create schema acme;"
        "create table analytics.customer_value as select 1 as a;"
        "create table analytics_cva.cva_rejects as select 2 as a;"
        "create view acme.A_mart_of_theirs as select 3 as a;"
    )
    shop = shop_with(tmp_path, marts, tables)
    assert [str(mart) for mart in marts_of(shop)] == [
        "analytics.customer_value", "analytics_cva.cva_rejects", "acme.a_mart_of_theirs",
    ]  # fmt: skip
    folder = publish(shop, RUN)
    with duckdb.connect(str(folder / "cva.duckdb"), read_only=True) as con:
        assert con.execute("from a_mart_of_theirs").fetchall() == [(3,)]
        assert len(con.execute("show tables").fetchall()) == 3
    assert len(list(folder.glob("*.parquet"))) == 3


def test_a_missing_table_of_the_package_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, [mart("customer_value"), mart("gone")], "create table t(a int)")
    with pytest.raises(CvaError, match=r"main.customer_value does not exist"):
        publish(shop, RUN)
    assert not (shop.published / "current").exists()


def test_a_mart_of_the_users_that_is_not_built_is_said(tmp_path: Path, capsys: Any) -> None:
    marts = [mart("customer_value"), mart("theirs", "acme", own=True)]
    shop = shop_with(tmp_path, marts, "create table customer_value(a int)")
    assert [str(mart) for mart in marts_of(shop)] == ["main.customer_value"]
    assert "acme.theirs says published and has not been built" in capsys.readouterr().err


def test_two_tables_under_one_name_and_one_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    marts = [mart("customer_value"), mart("Customer_Value", "acme", own=True)]
    tables = "create schema acme; create table customer_value(a int); "
    shop = shop_with(tmp_path / "a", marts, tables + "create table acme.customer_value(a int)")
    with pytest.raises(CvaError, match="under one name; rename yours"):
        marts_of(shop)
    marts = [mart("broken", own=True)]
    view = "create table t as select 'x' as a; create view broken as select a::int as a from t"
    shop = shop_with(tmp_path / "b", marts, view)
    with pytest.raises(CvaError, match=r"main.broken cannot be published: .*Could not convert"):
        publish(shop, RUN)


def test_without_that_table_the_next_step_is_said(tmp_path: Path) -> None:
    shop = ResolvedShop(tmp_path / "shop.duckdb", tmp_path)
    with pytest.raises(CvaError, match=r"cva_marts does not exist; build it with: cva run"):
        marts_of(shop)


def test_a_table_about_something_optional_is_published_with_rows_alone(tmp_path: Path) -> None:
    marts = [mart("has_rows", filled=True), mart("has_none", filled=True)]
    tables = "create table has_rows as select 1 as a; create table has_none (a integer);"
    shop = shop_with(tmp_path, marts, tables)
    assert [mart.name for mart in marts_of(shop)] == ["has_rows"]
