"""How well a head learned from ratings tells good reviews from bad ones, and what it misses by.

    python benchmarks/rating_head.py clothing.csv --text "Review Text" --rating Rating
    python benchmarks/rating_head.py Gift_Cards_5.json.gz --text reviewText --rating overall

Texts that are the same count once, with their mean rating, and lie in one fold; figures are means
over the draws of folds. AUC is of ratings of 4 and 5 against 1 and 2; intervals are of 1,000
resamplings of texts, paired, of the first draw. `--encoder` is the folder of another encoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cva_sql.models_onnx.encoder.rating_head import Rated, fit_rating_head
from cva_sql.udfs.encoder import Encoder, ShopEncoder
from cva_sql.udfs.rating import FOLDS

RESAMPLED = 1_000


def read_rated(file: Path, text: str, rating: str) -> tuple[list[str], np.ndarray]:
    """Distinct texts and their mean ratings."""
    rows = duckdb.sql(
        f'select trim("{text}") as body, avg(cast("{rating}" as double)) from \'{file}\' '
        "where trim(body) <> '' group by body order by body"
    ).fetchall()
    return [body for body, _ in rows], np.array([mean for _, mean in rows])


def by_logistic(
    features: np.ndarray, good: np.ndarray, folds: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Out-of-fold scores of a logistic regression, as a user would fit it."""
    said = np.zeros(len(good))
    for fold in range(FOLDS):
        rows = (folds != fold) & known
        model = LogisticRegression(C=10, class_weight="balanced", max_iter=2_000)
        model.fit(features[rows], good[rows])
        said[folds == fold] = model.decision_function(features[folds == fold])
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", required=True)
    parser.add_argument("--rating", required=True)
    parser.add_argument("--encoder", type=Path, help="a models folder with encoder/ in it")
    parser.add_argument("--draws", type=int, default=10)
    given = parser.parse_args()
    texts, ratings = read_rated(given.file, given.text, given.rating)
    encoder: Encoder = ShopEncoder(given.encoder or Path("nowhere")).load()
    read = encoder.read_all(texts)
    keep = [number for number, one in enumerate(read) if one.embedding is not None]
    ratings, read = ratings[keep], [read[number] for number in keep]
    vectors = np.array([one.embedding for one in read], dtype=np.float64)
    sentiments = np.array([one.sentiment or 0.0 for one in read])
    pieces = [encoder.pieces(texts[number]) for number in keep]
    of_words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    words = of_words.fit_transform([texts[number] for number in keep])
    good, known = ratings >= 4, (ratings >= 4) | (ratings <= 2)
    found: dict[str, list[float]] = {}
    first: dict[str, np.ndarray] = {}
    for draw in range(given.draws):
        folds = np.random.default_rng(draw).permutation(np.arange(len(ratings)) % FOLDS)
        rated = Rated(pieces, vectors, sentiments, ratings, np.arange(len(ratings)), folds)
        learned = fit_rating_head(rated, encoder.manifest.key)
        if learned is None:
            raise SystemExit("too few ratings of 1 and 2, or of 4 and 5")
        said = {
            "no labels": sentiments,
            "TF-IDF": by_logistic(words, good, folds, known),
            "embedding": by_logistic(vectors, good, folds, known),
            "head": learned.out_of_fold,
        }
        first = first or said
        for name, scores in said.items():
            found.setdefault(name, []).append(roc_auc_score(good[known], scores[known]))
        found.setdefault("MAE of the head", []).append(np.abs(said["head"] - ratings).mean())
        found.setdefault("MAE of the median", []).append(
            np.abs(np.median(ratings) - ratings).mean()
        )
    bad = int((known & ~good).sum())
    print(f"{len(ratings):,} texts, {bad} rated 1 or 2; {given.draws} draws of {FOLDS} folds")
    for name, values in found.items():
        print(f"{name:18}{np.mean(values):8.4f}")
    rng, places = np.random.default_rng(0), np.flatnonzero(known)
    for other in ("TF-IDF", "embedding", "no labels"):
        ahead = []
        for _ in range(RESAMPLED):
            drawn = rng.choice(places, len(places))
            if 0 < good[drawn].sum() < len(drawn):
                ahead.append(
                    roc_auc_score(good[drawn], first["head"][drawn])
                    - roc_auc_score(good[drawn], first[other][drawn])
                )
        low, high = np.quantile(ahead, [0.025, 0.975])
        print(f"head less {other:12}{np.mean(ahead):+8.4f} ({low:+.4f} .. {high:+.4f})")


if __name__ == "__main__":
    main()
