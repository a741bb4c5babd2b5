"""Vectors of products: as any model writes them, as wide as those of most, else counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.init.scan.proposal import scan_database
from cva_sql.cli.load.table import load_table
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

ORDERS = """create schema raw;
create table raw.orders as select 'o1' as order_id, 'c1' as customer_id,
    date '2024-01-01' as ordered_at, 10 as amount;
"""
PRODUCTS = """
create table raw.products (
    product_id varchar, name varchar, category varchar, image_vector varchar, text_vector double[]
);
insert into raw.products values
    ('1', 'json', 'tea', '[1.0, 0.5, 0]', [1, 0]),
    ('2', 'numpy', 'tea', '[ 0.1  0.2' || chr(10) || ' 0.3]', null),
    ('3', 'postgres', 'tea', '{1,2,3}', [0, 1]), ('4', 'another width', 'tea', '[1, 2]', [1, 1]),
    ('5', 'NaN', 'tea', '[1, nan, 2]', [1, 1]), ('6', 'zero', 'tea', '[0, 0, 0]', [1, 1]),
    ('7', 'text', 'tea', 'a picture', [1, 1]), ('8', 'nothing', 'tea', 'None', null),
    ('9', 'empty', 'tea', '[]', []), ('10', 'null within', 'tea', null, [1, null]),
    ('11', 'infinite', 'tea', null, ['inf'::double, 1]),
    ('12', 'another width', 'tea', null, [1, 2, 3]),
    ('13', 'too large', 'tea', null, [1e300, 3]), (null, 'no id', 'tea', '[1, 2, 3, 4]', [1])
"""


def staged(folder: Path, products: str = PRODUCTS) -> Path:
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(ORDERS + products)
    shop = ResolvedShop(db, folder / "cva_models", {"cva_currency": None})
    run_dbt(shop, "run", select=["stg_cva__products", "+cva_rejects"])
    return db


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return staged(tmp_path_factory.mktemp("vectors"))


def test_vectors_are_read_as_they_are_written(db: Path, rows: Any) -> None:
    query = (
        "select product_id, image_vector::double[], text_vector from main_cva.stg_cva__products"
        " where reject_reason is null order by product_id::int"
    )
    found = [
        (key, [round(x, 3) for x in image or ()], text) for key, image, text in rows(db, query)
    ]
    assert found == [
        ("1", [1.0, 0.5, 0.0], [1.0, 0.0]),
        ("2", [0.1, 0.2, 0.3], None),
        ("3", [1.0, 2.0, 3.0], [0.0, 1.0]),
        ("8", [], None),
        ("9", [], None),
    ]


def test_other_widths_and_what_is_no_vector_are_counted(db: Path, rows: Any) -> None:
    query = (
        "select reason, row_count, raw_row_count, valid_row_count from main_cva.cva_rejects"
        " where table_name = 'products' order by 1"
    )
    assert rows(db, query) == [
        ("product_id_missing", 1, 14, 5),
        ("vector_unreadable", 6, 14, 5),
        ("vector_width", 2, 14, 5),
    ]


def test_of_widths_that_as_many_have_the_wider_counts(tmp_path: Path, rows: Any) -> None:
    products = """create table raw.products (product_id integer, text_vector float[]);
        insert into raw.products values (1, [1, 2]), (2, [1, 2, 3])"""
    query = "select product_id, reject_reason from main_cva.stg_cva__products order by 1"
    assert rows(staged(tmp_path, products), query) == [("1", "vector_width"), ("2", None)]


def test_of_copies_with_other_vectors_the_same_is_used_in_any_order(
    tmp_path: Path, rows: Any
) -> None:
    used = []
    for order in ("", "desc"):
        folder = tmp_path / f"by{order}"
        folder.mkdir()
        products = f"""create table raw.products as from (values
            (1, [1.0, 2.0]::float[2]), (1, [2.0, 1.0]::float[2]), (1, [3.0, 1.0]::float[2])
            ) as t(product_id, image_vector) order by image_vector {order}"""
        query = "select image_vector from main_cva.stg_cva__products where reject_reason is null"
        used.append(rows(staged(folder, products), query))
    assert used[0] == used[1]
    assert len(used[0]) == 1


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_with_vectors_is_loaded(tmp_path: Path, rows: Any, form: str) -> None:
    db, file = tmp_path / "shop.duckdb", tmp_path / f"products.{form}"
    with duckdb.connect() as con:
        con.execute(
            "copy (select 1 as product_id, [0.5, 1.0]::double[] as text_vector union all"
            " select 2, null order by 1) to "
            f"'{file}' (format {form})"
        )
    report = load_table("products", [file], db=db)
    assert report.unreadable == ()
    query = "select product_id, text_vector, typeof(text_vector) from raw.products order by 1"
    assert rows(db, query) == [("1", [0.5, 1.0], "FLOAT[]"), ("2", None, "FLOAT[]")]


def test_a_load_says_which_vectors_are_none(tmp_path: Path, rows: Any) -> None:
    file = tmp_path / "products.csv"
    file.write_text('product_id,image_vector\n1,"[1, 2]"\n2,"[1, nan]"\n3,\n', encoding="utf-8")
    report = load_table("products", [file], db=tmp_path / "shop.duckdb")
    assert [(c.column, c.values, c.example) for c in report.unreadable] == [
        ("image_vector", 1, "[1, nan]")
    ]
    query = "select image_vector from raw.products order by product_id"
    assert rows(tmp_path / "shop.duckdb", query) == [([1.0, 2.0],), ([0.0],), (None,)]


def test_a_scan_finds_them_by_name_and_by_what_they_hold(tmp_path: Path) -> None:
    db = tmp_path / "erp.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create table orders as select i as order_id, i % 7 as customer_id, 1.5 as amount,"
            " timestamp '2024-01-01' + interval (i) hour as ordered_at from range(60) as t(i);"
            "create table products as select i as sku, 'n' || i as title, 'a' as category,"
            " [i, 1.5]::float[2] as image_embedding, '[0.1, ' || i || ']' as text_embedding,"
            " 'photo' || i || '.jpg' as image from range(60) as t(i)"
        )
    columns = scan_database(db).tables["products"].columns
    found = {name: match.source for name, match in columns.items() if "vector" in name}
    assert found == {"image_vector": "image_embedding", "text_vector": "text_embedding"}
