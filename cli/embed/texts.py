"""What is in the table of text vectors, and whether sentiment agrees with the stars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.encoder import EncoderManifest

VECTORS = "int_cva__text_vectors"
TEXTS = "int_cva__review_texts"
COMPONENTS = "int_cva__text_components"
MIN_TEXTS = 20  # of either kind; fewer say nothing


@dataclass(frozen=True)
class Agreement:
    """AUC of sentiment against ratings, with a 95 % bootstrap interval.

    The chance that a text rated 4 or more has a higher sentiment than one rated 2 or less. No
    rating was used to make the sentiment.
    """

    auc: float
    lower: float
    upper: float
    positive_texts: int
    negative_texts: int


def vectors_table(shop: ResolvedShop) -> str:
    """The table's name in SQL."""
    return f"{shop.schema}_cva.{VECTORS}"


def shop_encoder(shop: ResolvedShop) -> EncoderManifest:
    """The manifest of the encoder that reads this shop's texts."""
    from cva_sql.udfs.encoder import read_encoder_manifest
    from cva_sql.udfs.encoder_tiers import encoder_folder

    return read_encoder_manifest(encoder_folder(shop.models_dir, shop.encoder_tier))


def count_texts(shop: ResolvedShop) -> int:
    """Texts in the table that the shop's encoder read; 0 where there is no table."""
    key = shop_encoder(shop).key
    rows = _rows(shop, f"select count(*) from {vectors_table(shop)} where encoder_key = '{key}'")
    return int(rows[0][0]) if rows else 0


def status_counts(shop: ResolvedShop) -> dict[str, int]:
    """Reviews by the status of their text, '' is fine; empty where no review is known."""
    table = f"{shop.schema}_cva.cva_text_statuses"
    return dict(_rows(shop, f"select status, review_count from {table} order by status"))


def _rows(shop: ResolvedShop, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query; none where its table does not exist."""
    import duckdb

    from cva_sql.cli.shop.connection import connect

    con = connect(shop.db)
    try:
        return con.execute(query).fetchall()
    except duckdb.CatalogException:
        return []
    finally:
        con.close()


def sentiment_against_rating(con: DuckDBPyConnection, shop: ResolvedShop) -> Agreement | None:
    """How well sentiment tells good ratings from bad ones, each text once with its mean rating.

    None where there are too few of either, or where ratings are on another scale than 1 to 5.
    """
    from cva_sql.models_onnx.value.judging.bootstrap import Sample, evaluate

    highest = con.execute(
        f"select max(rating) from {shop.schema}_cva.int_cva__reviews_valid"
    ).fetchall()[0][0]
    if highest is None or highest > 5:
        return None
    columns = con.execute(
        "select sentiment, rating from "
        "(select text_hash, avg(cast(rating as decimal(18, 6))) as rating "
        f"from {shop.schema}_cva.int_cva__reviews_valid where rating is not null group by 1) "
        f"inner join {vectors_table(shop)} using (text_hash) "
        "where sentiment is not null and (rating <= 2 or rating >= 4) order by text_hash"
    ).fetchnumpy()
    positive = columns["rating"].astype(float) >= 4
    counts = (int(positive.sum()), int((~positive).sum()))
    if min(counts) < MIN_TEXTS:
        return None
    sample = Sample(positive.astype(float), columns["sentiment"] + 1.0)  # money is never below 0
    auc = evaluate(sample)["auc"]
    return Agreement(auc.value, auc.lower, auc.upper, *counts)
