"""What `cva finetune` reads of a shop, and what it leaves as it was."""

from __future__ import annotations

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.cli.finetune.texts import SCHEMA, ShopTexts
from cva_sql.cli.finetune.tuning import _read
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import EVALUATE_SCHEMA, dropped_after
from cva_sql.models_onnx.encoder.finetune.corpus import is_held_out
from cva_sql.models_onnx.encoder.finetune.recipe import make_recipe
from cva_sql.udfs.encoder import ShopEncoder

REVIEWS = 200
HELD_OUT = next(f"c{n}" for n in range(80) if is_held_out(f"c{n}"))
TAUGHT, OBJECTS = [f"c{n}" for n in range(80) if not is_held_out(f"c{n}")][:2]
TICKETS = {
    "t1": (HELD_OUT, "2024-03-01", "Where is my parcel?"),
    "t2": (TAUGHT, "2024-03-01", "The lid is broken"),
    "t3": (OBJECTS, "2024-03-01", "Do not learn from this"),
    "t4": (OBJECTS, "2024-03-01", "Asked by two of us"),
    "t5": (TAUGHT, "2024-03-02", "Asked by two of us"),
    "t6": (TAUGHT, "2024-03-01", "All of us ask this"),
    "t7": (HELD_OUT, "2024-03-02", "All of us ask this"),
    "t8": (OBJECTS, "2024-03-01", "First asked by who objects"),
    "t9": (TAUGHT, "2025-01-20", "First asked by who objects"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """80 customers, an order a day for 400 days, early reviews, and one customer who objects."""
    db = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as select i as order_id, 'c' || i % 80 as customer_id, "
            "timestamp '2024-01-01' + to_days(i::integer) as ordered_at, 5.0 + i % 37 as amount "
            "from range(400) as t(i)"
        )
        con.execute(
            "create table raw.reviews as select i as review_id, 'c' || i % 80 as customer_id, "
            "timestamp '2024-01-10' + to_days((i % 50)::integer) as reviewed_at, "
            f"1 + i % 5 as rating, $1[1 + i] as body from range({REVIEWS}) as t(i)",
            [sample_reviews(REVIEWS)],
        )
        con.execute(
            "create table raw.customers as select 'c' || i as customer_id, "
            "'c' || i = $1 as profiling_opt_out from range(80) as t(i)",
            [OBJECTS],
        )
        con.execute(
            "create table raw.tickets (ticket_id varchar, customer_id varchar, "
            "opened_at timestamp, body varchar)"
        )
        con.executemany(
            "insert into raw.tickets values (?, ?, ?, ?)",
            [(ticket, *said) for ticket, said in TICKETS.items()],
        )
    return open_shop(db, horizon_days=20)


def read(shop: ResolvedShop) -> ShopTexts:
    recipe = make_recipe(None, None, None, {})
    with exclusive(shop):
        return _read(shop, recipe, ShopEncoder(shop.models_dir).load())[1]


def test_a_ticket_is_its_customers_and_of_nobody_who_objects(shop: ResolvedShop) -> None:
    corpus = read(shop).corpus
    said = {body for _, _, body in TICKETS.values()}
    found = {text: (customer, bool(held)) for text, customer, held in
             zip(corpus.texts, corpus.customers, corpus.is_held_out, strict=True)
             if text in said}  # fmt: skip
    assert found == {
        "Where is my parcel?": (HELD_OUT, True),
        "The lid is broken": (TAUGHT, False),
        "Asked by two of us": (TAUGHT, False),
        "All of us ask this": (HELD_OUT, True),
    }
    assert OBJECTS not in corpus.customers


@pytest.mark.parametrize("schema", [SCHEMA, EVALUATE_SCHEMA])
def test_only_schemas_of_its_own_are_dropped(shop: ResolvedShop, schema: str) -> None:
    former = [f"{schema}{end}" for end in ("_cva", "_packaged", "_packaged_cva", "_notes")]
    with duckdb.connect(str(shop.db)) as con:
        for name in former:
            con.execute(f"create schema {name}")
            con.execute(f"create table {name}.mine as select 1 as one")
    with dropped_after(shop, schema), duckdb.connect(str(shop.db)) as con:
        con.execute(f"create schema {schema}")
        con.execute(f"create schema {schema}_of_a_model")
    with duckdb.connect(str(shop.db)) as con:
        left = con.execute(
            "select schema_name from duckdb_schemas() where starts_with(schema_name, ?)", [schema]
        ).fetchall()
        assert left == [(f"{schema}_notes",)]
        assert con.execute(f"from {schema}_notes.mine").fetchall() == [(1,)]
