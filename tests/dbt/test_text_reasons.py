"""Which sentence moved a prediction: what is said comes true where the sentence is deleted."""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.training import train_shop

GOOD = ("I love it, I will order again soon!", "Wonderful, I am so happy with it.")
BAD = ("Terrible, I will never order again.", "It broke and I hate it.")
PLAIN = ("It came on a Tuesday.", "I bought it for the kitchen.", "My sister has one as well.")
START, END, BLOCK = datetime(2024, 1, 1, 10), datetime(2025, 7, 1), 90
MART = "customer_value_text_reasons"


def make_shop(folder: Path, customers: int = 300) -> ResolvedShop:
    """Customers who write, every ninety days, how much they are going to order in these."""
    draw = random.Random(5)
    orders: list[tuple[Any, ...]] = []
    reviews: list[tuple[Any, ...]] = []
    for customer in range(customers):
        day = START - timedelta(days=draw.randrange(BLOCK))
        while day < END:
            is_good = draw.random() < 0.5
            said = [draw.choice(GOOD if is_good else BAD), *draw.sample(PLAIN, draw.randrange(3))]
            draw.shuffle(said)
            if day >= START:
                body = " ".join(said)
                reviews.append((f"r{len(reviews)}", f"c{customer}", day, body))
            for _ in range(6 if is_good else int(draw.random() < 0.3)):
                at_time = day + timedelta(days=draw.uniform(1, BLOCK))
                if START <= at_time < END:
                    orders.append(
                        (f"o{len(orders)}", f"c{customer}", at_time, draw.uniform(10, 30))
                    )
            day += timedelta(days=BLOCK)
    written = datetime(2025, 6, 29)
    reviews.append(("contact", "c0", written, "I love it so much. Mail me at a@b.example, do."))
    reviews.append(("twice", "c1", written, "I hate it. It is blue. I hate it."))
    reviews.append(("nothing", "c2", written, None))
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", {"cva_horizon_days": 30})
    with duckdb.connect(str(shop.db)) as con:
        con.execute(
            "create schema raw; create table raw.orders (order_id varchar, customer_id varchar,"
            " ordered_at timestamp, amount double); create table raw.reviews (review_id varchar,"
            " customer_id varchar, reviewed_at timestamp, body varchar)"
        )
        con.begin()
        con.executemany("insert into raw.orders values (?, ?, ?, ?)", orders)
        con.executemany("insert into raw.reviews values (?, ?, ?, ?)", reviews)
        con.commit()
    return shop


def ask(shop: ResolvedShop, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db)) as con:
        return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """Trained, and run with reasons."""
    shop = make_shop(tmp_path_factory.mktemp("reasons"))
    with exclusive(shop):
        trained = train_shop(shop)
        (scale,) = [one["scale"] for one in trained.families if one["family"] == "reviews"]
        assert scale > 0
        run_shop(replace(shop, vars={**shop.vars, "cva_text_reasons": True}))
    return shop


def copy_of(shop: ResolvedShop, folder: Path) -> ResolvedShop:
    shutil.copyfile(shop.db, folder / "shop.duckdb")
    return replace(shop, db=folder / "shop.duckdb")


def test_deleting_the_first_sentence_moves_the_prediction_by_what_is_said(
    shop: ResolvedShop, tmp_path: Path
) -> None:
    """For every customer at once: the features of one do not depend on the texts of another."""
    other = copy_of(shop, tmp_path)
    told = ask(
        shop,
        "select customer_id, review_id, sentence, predicted_value, predicted_value_without,"
        f" value_change from {MART} where level = 'sentence' and reason_rank = 1",
    )
    assert len(told) > 250
    with duckdb.connect(str(other.db)) as con:
        for _, review, sentence, *_ in told:
            con.execute(
                "update raw.reviews set body = left(body, instr(body, $1) - 1)"
                " || substr(body, instr(body, $1) + length($1)) where review_id = $2",
                [sentence, review],
            )
    run_dbt(other, "run", select=["+customer_value"])
    now = dict(ask(other, "select customer_id, predicted_value from customer_value"))
    was = dict(ask(shop, "select customer_id, predicted_value from customer_value"))
    for customer, _, _, value, without, change in told:
        assert value == was[customer]
        assert now[customer] == without  # by the same SQL and the same file: to the last bit
        assert change == pytest.approx(value - without)


def test_praise_raises_and_complaint_lowers(shop: ResolvedShop) -> None:
    rows = ask(
        shop,
        f"select sentence, avg(value_change) from {MART} where level = 'sentence' and"
        " review_date > date '2025-04-01' group by 1",
    )
    changes = dict(rows)
    assert min(changes[one] for one in GOOD) > 0 > max(changes[one] for one in BAD)
    biggest = max(abs(changes.get(one, 0)) for one in PLAIN)
    assert min(abs(changes[one]) for one in (*GOOD, *BAD)) > biggest


def test_texts_are_ranked_and_stand_beside_the_family(shop: ResolvedShop) -> None:
    rows = ask(
        shop,
        "select level, count(*), count(distinct (customer_id, reason_rank)), min(reason_rank),"
        " count(*) filter (value_change = 0 or (level = 'review') <> (sentence is null))"
        f" from {MART} group by 1 order by 1",
    )
    assert [row[0] for row in rows] == ["review", "sentence"]
    assert all(row[1] == row[2] and row[3:] == (1, 0) for row in rows)
    most = ask(
        shop,
        f"select max(n) from (select count(*) as n from {MART} where level = 'review' group by"
        " customer_id)",
    )
    assert most == [(5,)]
    off = ask(
        shop,
        "select count(*) from (select customer_id, min(family_rest) - min(family_attribution)"
        f" + sum(value_change) as gap from {MART} where level = 'review' group by 1)"
        " where abs(gap) > 1e-4",
    )
    assert off == [(0,)]
    families = ask(
        shop,
        f"select count(*) from {MART} inner join customer_value_explain as e using (customer_id)"
        f" where e.family = 'reviews' and e.family_attribution <> {MART}.family_attribution",
    )
    assert families == [(0,)]


def test_what_cannot_be_taken_out_has_no_row(shop: ResolvedShop) -> None:
    said = ask(
        shop,
        f"select review_id, sentence from {MART} where review_id in ('contact', 'twice',"
        " 'nothing') and level = 'sentence' order by 1, sentence_number",
    )
    assert said
    assert not [row for row in said if "email" in row[1]]  # it is masked, and stands nowhere so
    assert {row[0] for row in said} == {"contact", "twice"}


def test_unless_asked_for_there_is_nothing(shop: ResolvedShop, tmp_path: Path) -> None:
    other = copy_of(shop, tmp_path)
    before = ask(other, "select count(*) from main_cva.int_cva__text_vectors")
    tables = ["int_cva__text_vectors", "int_cva__text_reason_scores", MART]
    run_dbt(other, "run", select=[f"+{table}" for table in tables])
    assert ask(other, f"select count(*) from {MART}") == [(0,)]
    assert ask(other, "select count(*) from main_cva.int_cva__text_reason_scores") == [(0,)]
    assert ask(other, "select count(*) from main_cva.int_cva__text_vectors") == before


def test_it_is_published_and_the_query_of_the_examples_finds_it(shop: ResolvedShop) -> None:
    queries = (Path(__file__).parents[2] / "examples" / "queries.sql").read_text(encoding="utf-8")
    (query,) = re.findall(rf"^(select [^;]*from {MART}[^;]*);$", queries, re.MULTILINE)
    published = shop.db.parent / "published" / "current" / "cva.duckdb"
    with duckdb.connect(str(published), read_only=True) as con:
        assert len(con.execute(query).fetchall()) == 20
