"""How well the severity of service_priority finds bad ratings, from the text alone.

    .venv/bin/python benchmarks/service.py data

`data` has `reviews/womens_clothing_1000.csv`, `reviews/Gift_Cards_5.json.gz` and
`olist_merged/olist_order_reviews_dataset.parquet`; a file that is not there is left out. Of each
the distinct texts are taken (of Olist 1,500, by hash) as reviews of one day without a rating, so
that text alone tells them apart. Printed is the AUC: the probability that a text rated 1 or 2 has a
higher severity than one rated 3 or more. Beside it stand the tone of the whole text in one piece,
the mean tone of its sentences, and the worst one's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.models_onnx.value.judging.bootstrap import Sample, evaluate

SETS = {  # file -> the text, the rating, more
    "reviews/womens_clothing_1000.csv": ('"Review Text"', "Rating", ""),
    "reviews/Gift_Cards_5.json.gz": ("reviewText", "overall", ""),
    "olist_merged/olist_order_reviews_dataset.parquet": (
        "review_comment_message",
        "review_score",
        "order by hash(body), body limit 1500",
    ),
}
RAW = """
    create schema raw;
    create table raw.orders as select 1 as order_id, 'a' as customer_id,
        date '2020-01-02' as ordered_at, 10.0 as amount;
    create table rated as select body, avg(stars)::double as rating
        from (select trim({text}) as body, {rating} as stars from '{file}')
        where body <> '' group by body {more};
    create table raw.reviews as select row_number() over (order by body) as review_id,
        'a' as customer_id, date '2020-01-02' as reviewed_at, body from rated
"""
FOUND = """
    with pieces as (select distinct body, trim(unnest({sentences})) as sentence from rated),
    tones as (
        select body, -avg(sentiment) as mean_sentence, -min(sentiment) as worst_sentence
        from pieces inner join main_cva.int_cva__text_vectors on text_hash = sha256(sentence)
        where sentiment is not null group by all
    )
    select rated.rating <= 2 as is_bad, severity, -whole.sentiment as whole_text, mean_sentence,
        worst_sentence
    from rated inner join tones using (body) inner join raw.reviews as raw using (body)
    inner join service_priority as queue on queue.id = raw.review_id::varchar
    inner join main_cva.int_cva__text_vectors as whole on whole.text_hash = sha256(body)
    where whole.sentiment is not null order by raw.review_id
"""
RANKINGS = ("severity", "whole_text", "mean_sentence", "worst_sentence")


def read(file: Path, text: str, rating: str, more: str) -> dict[str, NDArray[Any]]:
    """Runs a shop of the reviews; whether each text is rated 1 or 2, and its rankings."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        with duckdb.connect(str(db)) as con:
            con.execute(RAW.format(text=text, rating=rating, file=file, more=more)).fetchall()
        shop = open_shop(db)
        with exclusive(shop):
            run_shop(shop)
        sentences = macro_value("service.sql", "service_sentences", "body")
        with duckdb.connect(str(db)) as con:
            columns = con.execute(FOUND.format(sentences=sentences)).fetchnumpy()
    return {name: np.asarray(column) for name, column in columns.items()}


def main() -> None:
    """Prints a block for each set that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    for name, (text, rating, more) in SETS.items():
        if not (data / name).exists():
            continue
        columns = read(data / name, text, rating, more)
        is_bad = columns["is_bad"].astype(float)
        print(f"{name}: {len(is_bad):,} texts, {is_bad.sum():,.0f} of them rated 1 or 2")
        for ranking in RANKINGS:
            auc = evaluate(Sample(is_bad, columns[ranking].astype(float) + 1.0))["auc"]
            print(f"  {ranking:<16} AUC {auc.value:.3f} ({auc.lower:.3f} .. {auc.upper:.3f})")


if __name__ == "__main__":
    main()
