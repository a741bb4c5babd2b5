"""Reads the texts that were not read yet into the table of text vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import reason_of
from cva_sql.cli.shop.history import Entry, recording
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.embed.texts import Agreement
    from cva_sql.cli.shop.shop import ResolvedShop


BATCH = 1024  # texts to a commit
MEMORY_LIMIT = 700_000_000  # bytes


@dataclass(frozen=True)
class Embedded:
    """What was done: texts known now, read in this call, dropped with another encoder's vectors.

    `sentiment` says how well it agrees with the shop's ratings; None with too few of them.
    """

    texts: int
    encoded: int
    dropped: int
    seconds: float
    encoder_key: str
    table: str
    sentiment: Agreement | None


@recording("embed", lambda found: Entry(rows=found.texts))
def embed_shop(shop: ResolvedShop) -> Embedded:
    """Lets dbt find the texts, then reads the new ones and projects them all."""
    import duckdb

    from cva_sql.cli.embed.texts import TEXTS, sentiment_against_rating, vectors_table
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.dbt_runner import run_dbt
    from cva_sql.cli.shop.progress import say, step
    from cva_sql.udfs.encoder import ShopEncoder
    from cva_sql.udfs.memory import lowered_memory_limit
    from cva_sql.udfs.register import register, unregister

    with step("finding the texts"):
        run_dbt(shop, "run", select=[f"+{TEXTS}"])
    table = vectors_table(shop)
    encoder = ShopEncoder(shop.models_dir, shop.encoder_tier)
    encoder.load()  # before another encoder's vectors are dropped for it
    con = connect(shop.db)
    try:
        register(
            con,
            models_dir=shop.models_dir,
            work_dir=shop.work_dir,
            encoder_tier=shop.encoder_tier,
        )
        # The vectors of a million texts fill gigabytes, of which DuckDB keeps what it may.
        with lowered_memory_limit(con, MEMORY_LIMIT):
            dropped = _prepare_table(con, table)
            if dropped:
                say(f"the encoder changed; {dropped:,} vectors of the former one are dropped")
            started = time.monotonic()
            encoded = _read_new_texts(con, f"{shop.schema}_cva.{TEXTS}", table)
            seconds = time.monotonic() - started
            _project_texts(con, shop, table)
        texts = con.execute(f"select count(*) from {table}").fetchall()[0][0]
        agreement = sentiment_against_rating(con, shop)
    except duckdb.Error as error:
        raise CvaError(reason_of(error)) from None
    finally:
        unregister(con)
        con.close()
    key = encoder.manifest.key
    return Embedded(texts, encoded, dropped, round(seconds, 3), key, table, agreement)


def _prepare_table(con: DuckDBPyConnection, table: str) -> int:
    """Makes the table, without another encoder's vectors; how many of those there were."""
    from cva_sql.udfs.projection import DIMENSION

    con.execute(
        f"create table if not exists {table} (text_hash varchar, encoder_key varchar, "
        f"embedding float[{DIMENSION}], sentiment double, status varchar, token_count integer)"
    ).fetchall()
    rows = con.execute(f"delete from {table} where encoder_key <> cva_encoder_key()").fetchall()
    return int(rows[0][0])


def _read_new_texts(con: DuckDBPyConnection, texts: str, table: str) -> int:
    """Reads what is not in the table yet, a commit per batch; how many texts."""
    con.execute(
        "create temp table new_texts as select row_number() over (order by text_hash) as n, "
        f"text_hash, body from {texts} as texts where not exists "
        f"(select 1 from {table} as stored where stored.text_hash = texts.text_hash)"
    ).fetchall()
    total = int(con.execute("select count(*) from new_texts").fetchall()[0][0])
    for first in range(1, total + 1, BATCH):
        con.execute(
            f"insert into {table} by name select text_hash, cva_encoder_key() as encoder_key, "
            "unnest(cva_read_text(body, ?)) from new_texts where n between ? and ?",
            [total, first, first + BATCH - 1],
        ).fetchall()
    return int(con.execute("select cva_texts_stored()").fetchall()[0][0])


def _project_texts(con: DuckDBPyConnection, shop: ResolvedShop, table: str) -> None:
    """The table that the dbt model of the projection would make."""
    from cva_sql.cli.embed.texts import COMPONENTS
    from cva_sql.udfs.projection import MAX_COMPONENTS, WORD_COMPONENTS
    from cva_sql.udfs.rating import FOLDS

    columns = ", ".join(
        f"cast({name}s[{k}] as double) as {name}_{k}"
        for name, count in (("text", MAX_COMPONENTS), ("word", WORD_COMPONENTS), ("rating", FOLDS))
        for k in range(1, count + 1)
    )
    con.execute(
        f"create or replace table {shop.schema}_cva.{COMPONENTS} as select text_hash, {columns} "
        "from (select text_hash, cva_project(embedding) as texts, "
        "cva_project_words(embedding) as words, cva_rate(body, embedding, sentiment) as ratings "
        f"from {table} left join (select text_hash, min(body) as body "
        f"from {shop.schema}_cva.int_cva__reviews_valid "
        "where rating is null and text_hash is not null group by 1) using (text_hash))"
    ).fetchall()
