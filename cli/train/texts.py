"""The texts of a shop as training sees them: read once, with projections fitted on old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import connect, find_relation, has_table
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.package import opted_out, ticket_hash
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from cva_sql.udfs.projection import TextProjection
    from cva_sql.udfs.rating import RatingHead

TICKET_COLUMNS = ("subject", "body")
# What the family `words` reads, as macros/words.sql has it: all of a line, any of its columns.
WORDS = (
    {"order_items": ("product_id",), "products": ("name", "category", "description")},
    {"events": ("search_query",)},
    {"tickets": TICKET_COLUMNS},
)


@dataclass(frozen=True)
class Texts:
    """What examples need to see text: the relation of its vectors and their projections.

    `projection` is that of reviews, `words` that of the family `words`, `head` tells ratings of
    reviews that came without one. All are None in a shop without texts; a projection alone where
    there is too little text for it. `is_packaged`: read by the packaged encoder, whichever reads
    the shop's texts.
    """

    vectors: str | None = None
    projection: TextProjection | None = None
    words: TextProjection | None = None
    head: RatingHead | None = None
    is_packaged: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What dbt has to be told to read by the same encoder."""
        from cva_sql.udfs.encoder_tiers import PACKAGED_VARIABLE

        return {PACKAGED_VARIABLE: "1"} if self.is_packaged else {}


NO_TEXTS = Texts()


def taught_later(shop: ResolvedShop, before: date) -> str | None:
    """The day until which the shop's encoder was taught on its texts, where that is after `before`.

    What is judged or learned from that day on must not be read by it: it has seen what comes.
    """
    from cva_sql.cli.embed.texts import shop_encoder

    day = shop_encoder(shop).trained_before
    return day if day > before.isoformat() else None


def refuse_taught_later(shop: ResolvedShop, before: date) -> None:
    """Raises CvaError where the encoder was taught on texts of after the first date to learn from.

    The value model has to be trained with the encoder that reads for it.
    """
    day = taught_later(shop, before) if _has_reviews(shop) or _has_words(shop) else None
    if day is not None:
        raise CvaError(
            f"the encoder was taught on texts of before {day}, and training learns from {before} "
            f"on; let the packaged one read: {shop.command('finetune --deploy packaged')}"
        )


def packaged_aside(shop: ResolvedShop, before: date, schema: str) -> str | None:
    """The schema beside `schema` where the packaged encoder has to read, which is said, or None."""
    from cva_sql.cli.shop.progress import say

    day = taught_later(shop, before)
    if day is None:
        return None
    say(
        f"the encoder was taught on texts of before {day}, and {before} is earlier: the packaged "
        "one reads all texts for these dates"
    )
    return f"{schema}_packaged"


def read_texts(
    shop: ResolvedShop, before: date, packaged_in: str | None = None, *, is_rated: bool = False
) -> Texts:
    """Reads the texts that are new, and fits the projections on those older than `before`.

    They are read in the shop's own schema, so that scoring finds them there; by the packaged
    encoder in schema `packaged_in` where that is given. `is_rated`: ratings before that date teach
    the head too. Nothing is fitted on what customers wrote who object to being profiled.
    """
    from cva_sql.cli.embed.texts import shop_encoder
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.ratings import fit_head
    from cva_sql.udfs.encoder import packaged_manifest
    from cva_sql.udfs.projection import MAX_COMPONENTS, WORD_COMPONENTS

    has_reviews, has_words = _has_reviews(shop), _has_words(shop)
    if not (has_reviews or has_words):
        return NO_TEXTS
    told = Texts(is_packaged=packaged_in is not None)
    inner = f"{packaged_in or shop.schema}_cva"
    with step(f"reading {'review texts' if has_reviews else 'texts'}"):
        run_dbt(
            shop,
            "run",
            select=["+int_cva__text_vectors", "+stg_cva__customers"],
            variables={"cva_spine": "scoring", "cva_udfs": True, "cva_every_family": True},
            schema=packaged_in,
            environment=told.environment,
        )
        key = (packaged_manifest(shop.encoder_tier) if told.is_packaged else shop_encoder(shop)).key
        con = connect(shop.db)
        try:
            reviews, words = _reviews_known(inner), _words_known(con, shop, inner)
            return replace(
                told,
                vectors=f"{inner}.int_cva__text_vectors",
                projection=(
                    _fit(con, inner, reviews, before, key, MAX_COMPONENTS) if has_reviews else None
                ),
                words=_fit(con, inner, words, before, key, WORD_COMPONENTS) if has_words else None,
                head=fit_head(con, shop, inner, before) if has_reviews and is_rated else None,
            )
        finally:
            con.close()


def _reviews_known(schema: str) -> str:
    """SQL: hashes of reviews before a date, of customers who let themselves be profiled."""
    objecting = opted_out(f"{schema}.stg_cva__customers")
    return (
        f"select text_hash from {schema}.int_cva__reviews_valid where review_date < ? "
        f"and customer_id not in ({objecting})"
    )


def _words_known(con: DuckDBPyConnection, shop: ResolvedShop, schema: str) -> str:
    """SQL: hashes of what `words` reads, known before a date; no ticket of who objects."""
    known = f"select text_hash from {schema}.int_cva__review_texts where words_date < ?"
    if not _has_any(con, shop, "tickets", TICKET_COLUMNS):
        return known
    objecting = opted_out(f"{schema}.stg_cva__customers")
    return (
        f"{known} and text_hash not in (select {ticket_hash()} as hash "
        f"from {schema}.stg_cva__tickets where customer_id in ({objecting}) and hash is not null)"
    )


def _fit(
    con: DuckDBPyConnection, schema: str, known: str, before: date, key: str, components: int
) -> TextProjection | None:
    """The projection of the texts that a query names; says why there is none."""
    from cva_sql.cli.shop.progress import say
    from cva_sql.models_onnx.value.data.text_projection import MIN_TEXTS, fit_text_projection
    from cva_sql.udfs.projection import MAX_COMPONENTS

    vectors = _text_vectors(con, schema, known, before)
    projection = fit_text_projection(vectors, key, components)
    if projection is None:
        is_review = components == MAX_COMPONENTS
        what = "texts" if is_review else "texts of products, searches and tickets"
        left = "only ratings, tone and length are used" if is_review else "only counts are used"
        say(
            f"  {len(vectors):,} {what} before {before}, the first date to learn from: too few "
            f"(below {MIN_TEXTS}) or too alike, so {left}"
        )
    return projection


def _has_reviews(shop: ResolvedShop) -> bool:
    if "reviews" in (shop.var("cva_families_off") or []):
        return False
    return has_table(shop.db, *shop.raw_table("reviews"))


def _has_words(shop: ResolvedShop) -> bool:
    """Whether a table has text for the family `words`, as `cva.is_worded` tells dbt."""
    off = shop.var("cva_families_off") or []
    if "words" in off:
        return False
    con = connect(shop.db)
    try:
        return any(
            all(
                not (table == "events" and "browse" in off) and _has_any(con, shop, table, columns)
                for table, columns in line.items()
            )
            for line in WORDS
        )
    finally:
        con.close()


def _has_any(
    con: DuckDBPyConnection, shop: ResolvedShop, table: str, columns: Sequence[str]
) -> bool:
    from cva_sql.cli.shop.package import raw_tables
    from cva_sql.cli.shop.sql_text import column_names

    relation = find_relation(con, *shop.raw_table(table))
    if relation is None:
        return False
    given = shop.var(f"cva_{table}_columns") or {}
    found = raw_tables()[table].chosen(given, column_names(con, f"from {relation}"))
    return any(name in found for name in columns)


def _text_vectors(
    con: DuckDBPyConnection, schema: str, known: str, before: date
) -> NDArray[np.float32]:
    """Vectors (n, 384) of the distinct texts known before a date, in order of text_hash."""
    import numpy as np

    from cva_sql.models_onnx.value.data.text_projection import MAX_TEXTS
    from cva_sql.udfs.projection import DIMENSION

    found = con.sql(
        f"select embedding from {schema}.int_cva__text_vectors where embedding is not null "
        f"and text_hash in ({known}) order by text_hash limit ?",
        params=[before, MAX_TEXTS],
    ).to_arrow_table()
    column = found.column("embedding").combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32).reshape(-1, DIMENSION)
