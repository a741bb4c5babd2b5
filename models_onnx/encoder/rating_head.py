"""Learns what texts are rated from a shop's own ratings: words beside the vector.

Neither half is enough where complaints are few: words know "returned", the vector knows sentences
that nobody has written before. So each half is a ridge regression of the rating, weighted so that
complaints count as much as praise, and a third regression puts both and the unlearned sentiment
together (stacking: Wolpert, Neural Networks 5, 1992). All of it is linear, so one line of weights
is left. Customers are in five folds; what is said of a fold's reviews was learned from the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.rating import FOLDS, HIGHEST, LOWEST, RatingHead, rows_of, terms_of

MAX_TERMS, MIN_PEOPLE = 2_000, 3  # of customers who wrote a term: else it could name one
MIN_EACH = 20  # ratings of 2 or less, and of 4 or more
WORDS_PENALTY, VECTOR_PENALTY, LAST_PENALTY = 1.0, 300.0, 1.0
SENTIMENT_SCALE = 3.0  # what the unlearned sentiment is multiplied by beside the two regressions
PARTS = 3

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Rated:
    """Rated texts: `pieces` of each, `vectors` (n, 384), `sentiments` (n,) with 0 for NULL,
    `ratings` (n,) from 1 to 5, and of the customers `people` (n,) and `folds` (n,), 0 to FOLDS − 1.
    """

    pieces: Sequence[Sequence[int]]
    vectors: Numbers
    sentiments: Numbers
    ratings: Numbers
    people: NDArray[Any]
    folds: NDArray[np.int64]


@dataclass(frozen=True)
class Learned:
    """The head, and what it says of each text that it did not learn from, (n,)."""

    head: RatingHead
    out_of_fold: Numbers


def fit_rating_head(rated: Rated, encoder_key: str) -> Learned | None:
    """The head of a shop's ratings; None with fewer than MIN_EACH good or bad ones, or one fold."""
    low, high = (rated.ratings <= 2).sum(), (rated.ratings >= 4).sum()
    if min(low, high) < MIN_EACH or len(np.unique(rated.folds)) < FOLDS:
        return None
    terms, idf = _vocabulary(rated)
    words = _sparse(rated, terms, idf)
    lines = _lines(rated, words)
    head = RatingHead(
        encoder_key=encoder_key,
        terms=terms,
        idf=idf,
        words=np.array([line.words for line in lines]),
        vector=np.array([line.vector for line in lines]),
        sentiment=np.array([line.sentiment for line in lines]),
        level=np.array([line.words_level + line.vector_level for line in lines]),
    )
    said = words @ head.words.T + rated.vectors @ head.vector.T
    said = said + rated.sentiments[:, None] * head.sentiment + head.level
    chosen = said[np.arange(len(said)), rated.folds]
    return Learned(head, np.clip(chosen, LOWEST, HIGHEST))


@dataclass(frozen=True)
class _Line:
    words: Numbers
    words_level: float
    vector: Numbers
    vector_level: float
    sentiment: float = 0.0


def _lines(rated: Rated, words: NDArray[np.float64]) -> list[_Line]:
    """Each fold's line, of which nothing saw a rating of that fold.

    What a fold's parts are put together by was fitted on the other folds, each read by bases that
    learned from neither: stacking within stacking.
    """

    def base(*left_out: int) -> _Line:
        return _fit_base(rated, words, ~np.isin(rated.folds, left_out))

    pairs = {frozenset(pair): base(*pair) for pair in combinations(range(FOLDS), 2)}
    lines = []
    for fold in range(FOLDS):
        parts = np.zeros((len(rated.ratings), PARTS))
        parts[:, 2] = rated.sentiments * SENTIMENT_SCALE
        for other in range(FOLDS):
            if other != fold:
                own, by = rated.folds == other, pairs[frozenset((fold, other))]
                parts[own, 0] = words[own] @ by.words + by.words_level
                parts[own, 1] = rated.vectors[own] @ by.vector + by.vector_level
        lines.append(_combine(rated, parts, base(fold), fold))
    return lines


def _vocabulary(rated: Rated) -> tuple[tuple[str, ...], Numbers]:
    """The terms that most texts have, in a fixed order, and ln((1 + n) / (1 + texts)) + 1."""
    counts: Counter[str] = Counter()
    writers: dict[str, set[Any]] = {}
    for pieces, person in zip(rated.pieces, rated.people, strict=True):
        for term in set(terms_of(pieces)):
            counts[term] += 1
            found = writers.setdefault(term, set())
            if len(found) < MIN_PEOPLE:
                found.add(person)
    known = [term for term, people in writers.items() if len(people) >= MIN_PEOPLE]
    terms = tuple(sorted(known, key=lambda term: (-counts[term], term))[:MAX_TERMS])
    idf = [math.log((1 + len(rated.pieces)) / (1 + counts[term])) + 1 for term in terms]
    return terms, np.array(idf, dtype=np.float64)


def _sparse(rated: Rated, terms: Sequence[str], idf: Numbers) -> NDArray[np.float64]:
    """TF-IDF (n, terms), sparse."""
    from scipy.sparse import csr_matrix

    places = {term: place for place, term in enumerate(terms)}
    rows, columns, values = rows_of(rated.pieces, places, idf)
    shape = (len(rated.pieces), len(terms))
    found: NDArray[np.float64] = csr_matrix((values, (rows, columns)), shape=shape)
    return found


def _weights(ratings: Numbers) -> Numbers:
    """Each row's say: ratings below 3, of 3 and above 3 count as much together, as far as any."""
    kinds = np.sign(ratings - 3)
    counts = {kind: int((kinds == kind).sum()) for kind in np.unique(kinds)}
    return np.array([len(ratings) / (len(counts) * counts[kind]) for kind in kinds])


def _fit_base(rated: Rated, words: NDArray[np.float64], rows: NDArray[np.bool_]) -> _Line:
    from sklearn.linear_model import Ridge

    ratings, weights = rated.ratings[rows], _weights(rated.ratings[rows])
    by_words = Ridge(alpha=WORDS_PENALTY, solver="sparse_cg", tol=1e-8)
    by_words.fit(words[rows], ratings, sample_weight=weights)
    vectors = rated.vectors[rows]
    spread = np.maximum(vectors.std(axis=0), 1e-6)
    by_vector = Ridge(alpha=VECTOR_PENALTY, solver="cholesky")
    by_vector.fit(vectors / spread, ratings, sample_weight=weights)
    return _Line(
        by_words.coef_,
        float(by_words.intercept_),
        by_vector.coef_ / spread,
        float(by_vector.intercept_),
    )


def _combine(rated: Rated, parts: Numbers, base: _Line, fold: int) -> _Line:
    """A fold's base and the sentiment in one line, by a regression on the other folds' rows."""
    from sklearn.linear_model import Ridge

    rows = rated.folds != fold
    last = Ridge(alpha=LAST_PENALTY, positive=True).fit(parts[rows], rated.ratings[rows])
    of_words, of_vector, of_sentiment = last.coef_
    return _Line(
        base.words * of_words,
        base.words_level * of_words,
        base.vector * of_vector,
        base.vector_level * of_vector + float(last.intercept_),
        of_sentiment * SENTIMENT_SCALE,
    )
