"""Texts of products earn a weight where they tell who comes back, and none where they do not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.training import Trained, train_shop
from cva_sql.udfs.manifest import Manifest, read_manifest
from cva_sql.udfs.sessions import deployed_folder

CUSTOMERS, DAYS, NAMES = 1_600, 720, 120
WORDS = (  # of what people buy once, and of what they need again
    ("wedding", "birthday", "party", "greeting", "anniversary", "christening"),
    ("coffee", "espresso", "beans", "tea", "roast", "decaf"),
)
FORMS = (("card", "invitation", "banner", "balloon"), ("bag", "pack", "tin", "refill"))
SHADES = ("red", "blue", "large", "small", "fine", "plain", "fresh", "royal", "rustic", "simple")


def names(kind: int, random: np.random.Generator) -> list[str]:
    """Different names of products of a kind."""
    found: list[str] = []
    while len(found) < NAMES:
        name = " ".join(str(random.choice(part)) for part in (SHADES, WORDS[kind], FORMS[kind]))
        name = f"{random.choice(SHADES)} {name}"
        if name not in found:
            found.append(name)
    return found


def make_shop(folder: Path) -> ResolvedShop:
    """Customers who come all the time; how often they return is in the kind of goods alone."""
    random = np.random.default_rng(11)
    orders, items = [], []
    for customer in range(CUSTOMERS):
        kind = customer % 2
        day = float(random.integers(0, DAYS))
        while day < DAYS:
            order = len(orders)
            amount = round(float(np.exp(random.normal(3, 0.5))), 2)
            orders.append((order, f"c{customer}", int(day), amount))
            items.append((order, f"{kind}-{random.integers(0, NAMES)}", 1, amount))
            day += random.exponential((400, 40)[kind])
    products = [
        (f"{kind}-{n}", name) for kind in (0, 1) for n, name in enumerate(names(kind, random))
    ]
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", {"cva_horizon_days": 60})
    with duckdb.connect(str(shop.db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders (order_id varchar, customer_id varchar, ordered_at timestamp,"
            " amount decimal(18, 2));"
            "create table raw.order_items (order_id varchar, product_id varchar, quantity integer,"
            " unit_price decimal(18, 2));"
            "create table raw.products (product_id varchar, name varchar)"
        )
        con.executemany(
            "insert into raw.orders values (?, ?, timestamp '2023-01-01 12:00' + to_days(?), ?)",
            orders,
        )
        con.executemany("insert into raw.order_items values (?, ?, ?, ?)", items)
        con.executemany("insert into raw.products values (?, ?)", products)
    return shop


def weight(trained: Trained) -> float:
    (scale,) = [one["scale"] for one in trained.families if one["family"] == "words"]
    return float(scale)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    return make_shop(tmp_path_factory.mktemp("weight"))


def deployed(shop: ResolvedShop) -> Manifest:
    return read_manifest(deployed_folder(shop.models_dir))


def test_texts_of_products_count_where_they_tell_who_returns_and_not_where_they_are_shuffled(
    shop: ResolvedShop,
) -> None:
    assert weight(train_shop(shop)) > 0
    projection = deployed(shop).words_projection
    assert projection is not None
    assert deployed(shop).text_projection is None
    assert len(projection.components) == 8
    assert "bought_1" in {feature.name for feature in deployed(shop).features}
    run_shop(shop)
    with duckdb.connect(str(shop.db)) as con:
        known = con.execute(
            "select count(*), count(bought_1), count(searched_1), sum(tickets_count)"
            " from customer_features"
        ).fetchall()
        # The same lines, of other customers' orders.
        con.execute(
            "create or replace table raw.order_items as select left_items.order_id, product_id,"
            " quantity, unit_price from (select order_id, quantity, unit_price, row_number() over"
            " (order by order_id) as n from raw.order_items) as left_items inner join (select"
            " product_id, row_number() over (order by md5(order_id)) as n from raw.order_items)"
            " as others using (n)"
        )
    assert known[0][0] == known[0][1] > 1000
    assert known[0][2:] == (0, 0)
    assert weight(train_shop(shop)) == 0
    assert deployed(shop).words_projection is None
