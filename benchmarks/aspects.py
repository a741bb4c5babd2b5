"""How well review_insights tells what a sentence is about, on sentences labelled by hand.

    .venv/bin/python benchmarks/aspects.py data

`data` has `reviews/womens_clothing_1000.csv` and `reviews/Gift_Cards_5.json.gz`. Beside this file
`aspects.csv` labels 150 sentences of each, drawn by hash before anything was set; it has no text
but its row in the file, its place in the review and its sha256. Phrases, words and the three
numbers of macros/aspects.sql were set on others.

The label is the one aspect that a sentence says most of, the first named where several are equal:
quality is material, workmanship, comfort, taste, and whether it works; fit is size, length and how
it sits on a body; delivery is how and when it came; price is what it costs; service is people of
the shop or the seller; packaging is what it comes in. Looks, colour, occasions and praise of the
whole have none.

Printed is the F1 of each aspect with a 95 % bootstrap interval over sentences, and the same of a
rule: the aspect most of whose words stand in the sentence.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.resolver import open_shop

LABELS = Path(__file__).with_suffix(".csv")
SETS = {  # source -> the rows of its file, with the text
    "clothing": "select trim(\"Review Text\") as body from '{data}/womens_clothing_1000.csv'",
    "gift_cards": "select trim(reviewText) as body from '{data}/Gift_Cards_5.json.gz'",
}
RAW = """
    create schema raw;
    create table raw.orders as select 1 as order_id, 'a' as customer_id,
        date '2020-01-02' as ordered_at, 10.0 as amount;
    create table raw.reviews as select source || ' ' || row as review_id, 'a' as customer_id,
        date '2020-01-02' as reviewed_at, body from found inner join labels using (source, row)
        group by all
"""
FOUND = """
    select labels.aspect, coalesce(said.aspect, '') as predicted, said.sentence
    from labels inner join review_insights as said
    on said.review_id = source || ' ' || row and said.sentence_number = labels.sentence_number
    where length(said.sentence) = 300 or sha256(said.sentence) = labels.sha256
    order by labels.sha256
"""
DRAWS = 2_000  # of the bootstrap


def read(data: Path) -> list[tuple[str, str, str]]:
    """Label, prediction ('' for none) and text of each labelled sentence, from a run on them."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        with duckdb.connect(str(db)) as con:
            rows = " union all ".join(
                f"select '{source}' as source, row_number() over () as row, body from ({query})"
                for source, query in SETS.items()
            ).format(data=data / "reviews")
            con.execute(f"create temp table found as {rows}").fetchall()
            con.execute(f"create table labels as from read_csv('{LABELS}', nullstr='none')")
            con.execute(RAW).fetchall()
        shop = open_shop(db)
        with exclusive(shop):
            run_dbt(
                shop, "run", select=["+review_insights"], variables={"cva_review_insights": True}
            )
        with duckdb.connect(str(db)) as con:
            return con.execute(FOUND).fetchall()


def by_words(sentence: str, aspects: dict[str, Any]) -> str:
    """The aspect with most of its words in a sentence, the first of as many; '' without any."""
    counts = {
        name: len(re.findall(rf"(?<![a-z])(?:{line['words']})(?![a-z])", sentence.lower()))
        for name, line in aspects.items()
    }
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else ""


def f1(labels: NDArray[Any], predicted: NDArray[Any], aspect: str) -> float:
    """2 hits / (labelled + predicted); 0 where there is neither."""
    hits = np.sum((labels == aspect) & (predicted == aspect))
    return float(2 * hits / max(np.sum(labels == aspect) + np.sum(predicted == aspect), 1))


def figures(labels: NDArray[Any], predicted: NDArray[Any], aspects: list[str]) -> dict[str, str]:
    """F1 of each aspect, and their mean, each with its interval as text."""
    rng = np.random.default_rng(1)
    draws = rng.integers(0, len(labels), (DRAWS, len(labels)))
    found = {}
    every = [[f1(labels[d], predicted[d], name) for name in aspects] for d in draws]
    point = [f1(labels, predicted, name) for name in aspects]
    table = np.column_stack([np.array(every), np.mean(every, axis=1)])
    for name, value, column in zip(
        [*aspects, "mean"], [*point, float(np.mean(point))], table.T, strict=True
    ):
        low, high = np.percentile(column, [2.5, 97.5])
        found[name] = f"{value:.2f} ({low:.2f} .. {high:.2f})"
    return found


def main() -> None:
    """Prints a line for each aspect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    rows = read(parser.parse_args().data)
    with LABELS.open(encoding="utf-8") as file:
        expected = sum(1 for _ in csv.DictReader(file))
    aspects = macro_value("aspects.sql", "aspects", settings={"cva_aspects": {}})
    labels, predicted = (np.array([row[k] or "" for row in rows]) for k in (0, 1))
    ruled = np.array([by_words(row[2], aspects) for row in rows])
    print(f"{len(rows)} of {expected} labelled sentences found")
    both = [figures(labels, one, list(aspects)) for one in (predicted, ruled)]
    print(f"{'':<12}{'sentences':>9}  {'review_insights F1':<22}{'words alone F1':<22}")
    for name in both[0]:
        count = str(int(np.sum(labels == name))) if name != "mean" else ""
        print(f"{name:<12}{count:>9}  {both[0][name]:<22}{both[1][name]:<22}".rstrip())
    for title, one in (("review_insights", predicted), ("words alone", ruled)):
        print(f"right, none included: {title} {np.mean(labels == one):.2f}")


if __name__ == "__main__":
    main()
