"""The head that tells ratings from texts, for reviews that came without one."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.shop.package import macro_value, opted_out

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.rating import RatingHead

MAX_RATED = 20_000  # reviews learned from, those of the smallest hashes


def fit_head(
    con: DuckDBPyConnection, shop: ResolvedShop, schema: str, before: date
) -> RatingHead | None:
    """What ratings before a date teach; None where no review lacks one, or where it tells nothing.

    It is kept where it misses by less than the mean rating does, on customers that it did not learn
    from. Ratings on another scale than 1 to 5 teach nothing, which is said; nor do customers who
    object to being profiled.
    """
    import numpy as np

    from cva_sql.cli.shop.progress import say
    from cva_sql.models_onnx.encoder.rating_head import Rated, fit_rating_head
    from cva_sql.udfs.encoder import ShopEncoder
    from cva_sql.udfs.projection import DIMENSION

    reviews = f"{schema}.int_cva__reviews_valid"
    (missing, lowest, highest) = con.execute(
        "select count(*) filter (where rating is null and text_hash is not null), min(rating), "
        f"max(rating) from {reviews}"
    ).fetchall()[0]
    if not missing or lowest is None:
        return None
    if lowest < 1 or highest > 5:
        say(
            f"  ratings are from {lowest:g} to {highest:g}; learned from are those from 1 to 5 only"
        )
        return None
    objecting = opted_out(f"{schema}.stg_cva__customers")
    fold = macro_value("review_texts.sql", "rating_fold", "customer_id")
    found = con.sql(
        f"select body, customer_id, cast(rating as double) as rating, {fold} - 1 as fold, "
        f"embedding, coalesce(sentiment, 0) as sentiment from {reviews} inner join "
        f"{schema}.int_cva__text_vectors using (text_hash) where rating is not null "
        "and embedding is not null and review_date < ? "
        f"and customer_id not in ({objecting}) "
        "order by sha256(concat(text_hash, customer_id, review_date)), rating limit ?",
        params=[before, MAX_RATED],
    ).to_arrow_table()
    if not found.num_rows:
        return None
    encoder = ShopEncoder(shop.models_dir, shop.encoder_tier).load()
    vectors = found.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    ratings = found.column("rating").to_numpy()
    learned = fit_rating_head(
        Rated(
            [encoder.pieces(body) for body in found.column("body").to_pylist()],
            vectors.reshape(-1, DIMENSION).astype(np.float64),
            found.column("sentiment").to_numpy(),
            ratings,
            found.column("customer_id").to_numpy(zero_copy_only=False),
            found.column("fold").to_numpy(),
        ),
        encoder.manifest.key,
    )
    if learned is None:
        return None
    error, plain = (
        float(np.sqrt(np.mean((said - ratings) ** 2)))
        for said in (learned.out_of_fold, np.full(len(ratings), ratings.mean()))
    )
    is_better = error < plain
    say(
        f"  ratings of {missing:,} reviews without one: learned from {len(ratings):,} before "
        f"{before}, which miss by {error:.2f} where the mean misses by {plain:.2f}"
        f"{'' if is_better else ', so none is predicted'} (root mean square)"
    )
    return learned.head if is_better else None
