"""The shop's texts, what came of them, and which of them an encoder may be taught on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.shop.connection import connect, has_table
from cva_sql.cli.shop.package import opted_out, ticket_hash
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.encoder.finetune.corpus import Corpus
    from cva_sql.models_onnx.encoder.finetune.gate import Judged
    from cva_sql.models_onnx.encoder.finetune.recipe import Recipe
    from cva_sql.models_onnx.value.data.cutoffs import Plan
    from cva_sql.udfs.encoder import Encoder

SCHEMA = "cva_finetune"  # dropped after reading
MIN_TEXTS = 100  # to teach on, of customers who may be; fewer are learned by heart
MAX_TAUGHT = 100_000  # texts; 600 steps see a tenth of them
MAX_JUDGED = 4_000  # texts before and after the first cutoff that the gate reads twice
HIGHEST_STARS = 5.0  # ratings on another scale are learned from and not judged on


@dataclass(frozen=True)
class Reviews:
    """The reviews before `as_of`, in an order that the same data always has; one entry each.

    `ratings` and `spends` are NaN for none; `spends` is the money of the `label_days` after the
    review, where they are over.
    """

    bodies: tuple[str, ...]
    customers: tuple[str, ...]
    days: NDArray[np.datetime64]
    ratings: NDArray[np.float64]
    spends: NDArray[np.float64]
    ends: NDArray[np.datetime64]


@dataclass(frozen=True)
class ShopTexts:
    """What an encoder is taught on, and what it is judged on: the words beside `judged`."""

    first_cutoff: date
    corpus: Corpus
    judged: Judged
    bodies: tuple[str, ...]


def require_reviews(shop: ResolvedShop) -> None:
    """Raises CvaError in a shop without the table."""
    schema, table = shop.raw_table("reviews")
    if not has_table(shop.db, schema, table):
        raise CvaError(
            f"{shop.db} has no table {schema}.{table}, whose texts the encoder is taught on; load "
            f"it with: {shop.command('load reviews FILE')}"
        )


def read_shop_texts(shop: ResolvedShop, plan: Plan, recipe: Recipe, encoder: Encoder) -> ShopTexts:
    """Lets dbt find the texts in SCHEMA, and shares them out by the first cutoff of training.

    Raises CvaError where too few can be learned from.
    """
    from cva_sql.cli.shop.dbt_runner import run_dbt
    from cva_sql.models_onnx.encoder.finetune.recipe import CONTRASTIVE, MASKED

    run_dbt(
        shop,
        "run",
        select=["+int_cva__review_texts", "+int_cva__orders_valid", "+stg_cva__customers"],
        variables={"cva_spine": "scoring", "cva_every_family": True},
        schema=SCHEMA,
    )
    first = plan.cutoffs[-1]
    reviews = _read_reviews(shop, plan)
    others = dict[str, str]()
    if {CONTRASTIVE, MASKED} & set(recipe.objectives):
        others = _read_others(shop, first)
    corpus = _corpus(reviews, others, first, encoder).useful_for(recipe)
    _require_enough(corpus, recipe, first)
    judged, bodies = _judged(reviews, first)
    return ShopTexts(first, corpus, judged, bodies)


def _require_enough(corpus: Corpus, recipe: Recipe, first: date) -> None:
    """Raises CvaError where an objective has too few texts of customers who may be trained on."""
    from cva_sql.models_onnx.encoder.finetune.recipe import RATING, SPEND

    is_taught = ~corpus.is_held_out
    known = {RATING: np.isfinite(corpus.ratings), SPEND: np.isfinite(corpus.spends)}
    for objective in recipe.objectives:
        count = int((is_taught & known.get(objective, is_taught)).sum())
        if count < MIN_TEXTS:
            raise CvaError(
                f"{count:,} texts of before {first}, the first date to learn from, say something "
                f"on {objective}; expected {MIN_TEXTS} or more: wait, or try another --objective"
            )


def _read_reviews(shop: ResolvedShop, plan: Plan) -> Reviews:
    """Reviews of customers who let themselves be profiled."""
    inner = f"{SCHEMA}_cva"
    objecting = opted_out(f"{inner}.stg_cva__customers")
    con = connect(shop.db)
    try:
        found = con.execute(
            "with reviews as (select row_number() over (order by review_date, customer_id, "
            "text_hash, review_id, rating) as n, customer_id, review_date, rating, body "
            f"from {inner}.int_cva__reviews_valid where review_date < ? and text_hash is not null "
            f"and customer_id not in ({objecting})) "
            "select reviews.n, customer_id, review_date, cast(rating as double) as rating, body, "
            f"(select sum(orders.amount) from {inner}.int_cva__orders_valid as orders "
            "where orders.customer_id = reviews.customer_id "
            "and orders.order_date > reviews.review_date "
            "and orders.order_date <= reviews.review_date + cast(? as integer) "
            "and orders.cancelled_at is null) as spend from reviews order by n",
            [plan.as_of, plan.label_days],
        ).fetchall()
    finally:
        con.close()
    days = np.array([row[2] for row in found], dtype="datetime64[D]")
    ends = days + plan.label_days
    spends = np.array([float(row[5] or 0) for row in found], dtype=np.float64)
    return Reviews(
        tuple(row[4] for row in found),
        tuple(row[1] for row in found),
        days,
        np.array([np.nan if row[3] is None else row[3] for row in found], dtype=np.float64),
        np.where(ends < np.datetime64(plan.as_of), spends, np.nan),
        ends,
    )


def _read_others(shop: ResolvedShop, first: date) -> dict[str, str]:
    """Texts of products, searches and tickets that were known before the first cutoff, and whose.

    A ticket is its customer's; who objects to being profiled is left out. All others are nobody's,
    which is ''. What several asked in the same words is theirs who is never trained on.
    """
    from cva_sql.models_onnx.encoder.finetune.corpus import is_held_out

    inner = f"{SCHEMA}_cva"
    objecting = opted_out(f"{inner}.stg_cva__customers")
    con = connect(shop.db)
    try:
        rows = con.execute(
            f"with asked as (select {ticket_hash()} as text_hash, coalesce(customer_id, '') as "
            f"customer_id, opened_date from {inner}.stg_cva__tickets where reject_reason is null), "
            f"texts as (select text_hash, body from {inner}.int_cva__review_texts where words_date "
            f"< $1 and text_hash not in (select text_hash from {inner}.int_cva__reviews_valid "
            "where text_hash is not null)) "
            "select text_hash, body, '' as customer_id from texts where text_hash not in (select "
            "text_hash from asked where text_hash is not null) union all "
            "select distinct text_hash, body, customer_id from texts inner join asked using "
            f"(text_hash) where opened_date < $1 and customer_id not in ({objecting}) "
            "order by text_hash, customer_id",
            [first],
        ).fetchall()
    finally:
        con.close()
    found = dict[str, str]()
    for _, body, customer in rows:
        if not found.get(body) or is_held_out(customer):
            found[body] = customer
    return found


def _corpus(reviews: Reviews, others: Mapping[str, str], first: date, encoder: Encoder) -> Corpus:
    """What may be learned: texts of before the cutoff in a script that is known.

    `others` is text -> the customer whose it is, '' for nobody's.
    """
    from cva_sql.models_onnx.encoder.finetune.corpus import Corpus

    start = np.datetime64(first)
    early = np.flatnonzero(reviews.days < start)
    bodies = [*(reviews.bodies[row] for row in early), *others]
    spends = np.where(reviews.ends[early] < start, reviews.spends[early], np.nan)
    unknown = np.full(len(others), np.nan)
    whole = Corpus(
        tuple(bodies),
        (*(reviews.customers[row] for row in early), *others.values()),
        np.concatenate([reviews.ratings[early], unknown]),
        np.concatenate([spends, unknown]),
    )
    return whole.select(_sampled(_is_read(bodies, encoder), MAX_TAUGHT))


def _is_read(bodies: Sequence[str], encoder: Encoder) -> NDArray[np.bool_]:
    """The texts that the encoder reads: not empty, and of a script that it knows."""
    from cva_sql.udfs.encoder import FINE, TRUNCATED

    read = {body: encoder.status(body)[0] in (FINE, TRUNCATED) for body in dict.fromkeys(bodies)}
    return np.array([read[body] for body in bodies], dtype=np.bool_)


def _sampled(mask: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """At most so many of a mask, drawn the same each time."""
    rows = np.flatnonzero(mask)
    if len(rows) > most:
        rows = np.random.default_rng(7).choice(rows, most, replace=False)
    sampled = np.zeros(len(mask), dtype=np.bool_)
    sampled[rows] = True
    return sampled


def _judged(reviews: Reviews, first: date) -> tuple[Judged, tuple[str, ...]]:
    """Earlier and later reviews for the gate, with their words."""
    from cva_sql.models_onnx.encoder.finetune.corpus import is_held_out
    from cva_sql.models_onnx.encoder.finetune.gate import Judged

    start = np.datetime64(first)
    is_later = reviews.days >= start
    rows = np.flatnonzero(_sampled(is_later, MAX_JUDGED) | _sampled(~is_later, MAX_JUDGED))
    early = {customer for customer, later in zip(reviews.customers, is_later, strict=True)
             if not later}  # fmt: skip
    ratings, spends = reviews.ratings[rows], reviews.spends[rows]
    if np.nanmax(reviews.ratings, initial=0.0) > HIGHEST_STARS:
        ratings = np.full(len(rows), np.nan)
    unknown = ~is_later[rows] & (reviews.ends[rows] >= start)
    customers = tuple(reviews.customers[row] for row in rows)
    unseen = [customer not in early or is_held_out(customer) for customer in customers]
    judged = Judged(
        customers,
        ratings,
        np.where(unknown, np.nan, spends),
        is_later[rows],
        np.array(unseen, dtype=np.bool_),
    )
    return judged, tuple(reviews.bodies[row] for row in rows)
