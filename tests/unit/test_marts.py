"""What a run publishes is what dbt's manifest says, and never less without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.run.marts import Mart, find_marts
from cva_sql.cli.run.publish import publish
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

RUN = "20260101T000000000000"


def node(name: str, schema: str = "main", package: str = "cva", meta: Any = None) -> dict[str, Any]:
    published = {"cva": {"published": True, "question": "?"}} if meta is None else meta
    return {
        "schema": schema,
        "alias": name,
        "package_name": package,
        "config": {"meta": published},
    }


def shop_with(folder: Path, nodes: list[dict[str, Any]], tables: str) -> ResolvedShop:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models")
    (shop.work_dir / "target").mkdir(parents=True)
    manifest = {"nodes": {f"model.{place}": node for place, node in enumerate(nodes)}}
    (shop.work_dir / "target" / "manifest.json").write_text(json.dumps(manifest))
    with duckdb.connect(str(shop.db)) as con:
        con.execute(tables)
    return shop


def marts_of(shop: ResolvedShop) -> list[Mart]:
    with duckdb.connect(str(shop.db)) as con:
        return find_marts(shop, con)


def test_the_packages_tables_come_first_and_each_by_name(tmp_path: Path) -> None:
    nodes = [
        node("a_mart_of_theirs", "acme", "acme"),
        node("cva_rejects", "analytics_cva"),
        node("customer_value", "analytics"),
        node("hidden", meta={"cva": {"published": False}}),
        node("other", meta={"cva": "published"}),
        node("plain", meta={}),
    ]
    tables = (
        "create schema analytics; create schema analytics_cva; create schema acme;"
        "create table analytics.customer_value as select 1 as a;"
        "create table analytics_cva.cva_rejects as select 2 as a;"
        "create view acme.A_mart_of_theirs as select 3 as a;"
    )
    shop = shop_with(tmp_path, nodes, tables)
    assert [str(mart) for mart in marts_of(shop)] == [
        "analytics.customer_value", "analytics_cva.cva_rejects", "acme.a_mart_of_theirs",
    ]  # fmt: skip
    folder = publish(shop, RUN)
    with duckdb.connect(str(folder / "cva.duckdb"), read_only=True) as con:
        assert con.execute("from a_mart_of_theirs").fetchall() == [(3,)]
        assert len(con.execute("show tables").fetchall()) == 3
    assert len(list(folder.glob("*.parquet"))) == 3


def test_a_missing_table_of_the_package_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, [node("customer_value"), node("gone")], "create table t(a int)")
    with pytest.raises(CvaError, match=r"main.customer_value does not exist"):
        publish(shop, RUN)
    assert not (shop.published / "current").exists()


def test_a_mart_of_the_users_that_is_not_built_is_said(tmp_path: Path, capsys: Any) -> None:
    nodes = [node("customer_value"), node("theirs", "acme", "acme")]
    shop = shop_with(tmp_path, nodes, "create table customer_value(a int)")
    assert [str(mart) for mart in marts_of(shop)] == ["main.customer_value"]
    assert "acme.theirs says published and has not been built" in capsys.readouterr().err


def test_two_tables_under_one_name_and_one_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    nodes = [node("customer_value"), node("Customer_Value", "acme", "acme")]
    tables = "create schema acme; create table customer_value(a int); "
    shop = shop_with(tmp_path / "a", nodes, tables + "create table acme.customer_value(a int)")
    with pytest.raises(CvaError, match="under one name; rename yours"):
        marts_of(shop)
    nodes = [node("broken", "main", "acme")]
    view = "create table t as select 'x' as a; create view broken as select a::int as a from t"
    shop = shop_with(tmp_path / "b", nodes, view)
    with pytest.raises(CvaError, match=r"main.broken cannot be published: .*Could not convert"):
        publish(shop, RUN)


def test_without_a_manifest_the_next_step_is_said(tmp_path: Path) -> None:
    shop = ResolvedShop(tmp_path / "shop.duckdb", tmp_path)
    with pytest.raises(CvaError, match=r"manifest.json cannot be read; build again with: cva run"):
        marts_of(shop)


def test_a_table_about_something_optional_is_published_with_rows_alone(tmp_path: Path) -> None:
    meta = {"cva": {"published": True, "question": "?", "only_with_rows": True}}
    nodes = [node("has_rows", meta=meta), node("has_none", meta=meta)]
    tables = "create table has_rows as select 1 as a; create table has_none (a integer);"
    shop = shop_with(tmp_path, nodes, tables)
    assert [mart.name for mart in marts_of(shop)] == ["has_rows"]
