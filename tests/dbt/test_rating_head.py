"""Reviews without a rating get one that others' ratings taught; given ratings stay as they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.texts import read_texts
from cva_sql.cli.train.training import train_shop
from cva_sql.udfs.manifest import read_manifest
from cva_sql.udfs.sessions import deployed_folder

FIRST_DATE = date(2024, 6, 1)
GOOD = ("lovely", "works well", "very happy with", "would buy again")
BAD = ("broke at once", "sent back", "disappointed by", "refund for")
THINGS = ("lamp", "blanket", "mug", "chair", "clock", "vase", "towel", "basket", "tray", "stool")


def make_shop(folder: Path, *, share_rated: float = 0.8) -> ResolvedShop:
    """Four hundred customers, each with orders over two years and a review now and then."""
    rng = np.random.default_rng(4)
    orders, reviews = [], []
    for customer in range(400):
        days = np.sort(rng.choice(720, int(rng.integers(2, 7)), replace=False))
        for day in days:
            orders.append((f"o{len(orders)}", f"c{customer}", int(day), 20.0))
        is_good = bool(rng.random() < 0.6)
        thing, phrase = rng.choice(THINGS), rng.choice(GOOD if is_good else BAD)
        rating = int(rng.integers(4, 6) if is_good else rng.integers(1, 3))
        body = f"This {thing}: {phrase}, number {customer % 7}"
        given = rating if rng.random() < share_rated else None
        reviews.append((f"r{customer}", f"c{customer}", int(days[0]), given, body, rating))
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create schema raw; create table raw.orders (order_id varchar, customer_id varchar,"
            " ordered_at timestamp, amount decimal(18, 2)); create table raw.reviews (review_id"
            " varchar, customer_id varchar, reviewed_at timestamp, rating integer, body varchar);"
            " create table truth (review_id varchar, rating integer)"
        )
        con.executemany(
            "insert into raw.orders values (?, ?, timestamp '2023-01-01 12:00' + to_days(?), ?)",
            orders,
        )
        con.executemany(
            "insert into raw.reviews values (?, ?, timestamp '2023-01-02' + to_days(?), ?, ?)",
            [review[:5] for review in reviews],
        )
        con.executemany("insert into truth values (?, ?)", [(r[0], r[5]) for r in reviews])
    return ResolvedShop(db, folder / "cva_models", {"cva_horizon_days": 60})


def scores(shop: ResolvedShop) -> list[tuple[str, int | None, float | None, int]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(
            "select review_id, scores.rating, rating_predicted, truth.rating from"
            " main_cva.int_cva__review_scores as scores inner join truth using (review_id)"
            " order by 1"
        ).fetchall()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    shop = make_shop(tmp_path_factory.mktemp("rated"))
    train_shop(shop)
    run_shop(shop)
    return shop


def test_reviews_without_a_rating_are_told_apart_and_given_ones_stay(shop: ResolvedShop) -> None:
    head = read_manifest(deployed_folder(shop.models_dir)).rating_head
    assert head is not None
    rows = scores(shop)
    missing = [(said, truth) for _, given, said, truth in rows if given is None]
    assert len(missing) > 50
    assert all(said is None for _, given, said, _ in rows if given is not None)
    assert all(given == truth for _, given, _, truth in rows if given is not None)
    told = [said is not None and (said > 3) == (truth > 3) for said, truth in missing]
    assert np.mean(told) > 0.95
    assert all(1 <= said <= 5 for said, _ in missing if said is not None)


def test_cva_embed_fills_the_same_ratings_and_a_second_run_changes_nothing(
    shop: ResolvedShop,
) -> None:
    before = scores(shop)
    run_shop(shop)
    assert scores(shop) == before
    embed_shop(shop)
    run_dbt(shop, "run", select=["int_cva__review_scores"], variables={"cva_udfs": False})
    assert scores(shop) == before


def test_where_every_review_has_a_rating_nothing_is_learned_from_them(tmp_path: Path) -> None:
    shop = make_shop(tmp_path, share_rated=1.0)
    texts = read_texts(shop, FIRST_DATE, is_rated=True)
    assert texts.head is None
    assert texts.projection is not None


def test_nothing_is_learned_from_who_objects(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    with duckdb.connect(str(shop.db)) as con:
        con.execute(
            "create table raw.customers as select customer_id, bool_or(rating is not null) as"
            " profiling_opt_out from raw.reviews group by 1"
        )
    texts = read_texts(shop, FIRST_DATE, is_rated=True)
    assert (texts.head, texts.projection) == (None, None)  # too few texts are left
