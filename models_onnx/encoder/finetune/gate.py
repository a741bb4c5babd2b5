"""Whether a taught encoder reads later texts better than what reads now, with a head on each.

Both get the same head, fitted on the same earlier texts by their own vectors: a logistic regression
tells ratings of 4 and more from 2 and less, a ridge regression the log of later spend. Judged is on
later texts, of customers who were not trained on where there are enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.finetune.recipe import SPEND, Recipe

if TYPE_CHECKING:
    from cva_sql.models_onnx.value.judging.bootstrap import Metric

AUC, NGINI = "auc", "ngini"
NAMES = {AUC: "AUC of ratings", NGINI: "nGini of later spend"}
GOOD, BAD = 4.0, 2.0  # ratings of so many and more, of so many and less; what is between is neither
MIN_OF_EACH = 20  # texts judged on of each kind, or with and without later spend
FOLDS, REPLICATES = 3, 1000
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # 1 / ridge of the logistic head, over standardised vectors


@dataclass(frozen=True)
class Judged:
    """Texts with what came of them, one entry each: `is_later` are judged, the others learned from.

    `ratings` and `spends` are NaN for none; a spend is known where its window was over, for earlier
    texts before the first cutoff. `is_unseen` are texts of customers who were not trained on.
    """

    customers: tuple[str, ...]
    ratings: NDArray[np.float64]
    spends: NDArray[np.float64]
    is_later: NDArray[np.bool_]
    is_unseen: NDArray[np.bool_]


@dataclass(frozen=True)
class Figure:
    """A metric of what reads now and of the taught encoder, and their difference with its interval.

    `texts` were judged on, of `customers`; `is_unseen`: none of them was trained on.
    """

    name: str
    before: float
    after: float
    difference: float
    lower: float
    upper: float
    texts: int
    customers: int
    is_unseen: bool

    @property
    def wins(self) -> bool:
        """Whether the interval of the difference is above 0."""
        return self.lower > 0

    def said(self) -> str:
        """In words."""
        who = "customers not trained on" if self.is_unseen else "customers, some trained on"
        return (
            f"{NAMES[self.name]} {self.after:.3f} against {self.before:.3f}: "
            f"{self.difference:+.3f} ({self.lower:+.3f} .. {self.upper:+.3f}) on "
            f"{self.texts:,} later texts of {self.customers:,} {who}"
        )


@dataclass(frozen=True)
class Verdict:
    """Whether the taught encoder is better, by which figures, and why or why not."""

    is_better: bool
    reason: str
    figures: tuple[Figure, ...]


def judge(
    judged: Judged, before: NDArray[np.float32], after: NDArray[np.float32], recipe: Recipe
) -> Verdict:
    """Compares the vectors of both encoders, each (texts, width).

    What was taught on later spend has to win in that, everything else in ratings; what was taught
    on both has to win in one and lose in none.
    """
    asked = [NGINI] if SPEND in recipe.objectives else []
    if set(recipe.objectives) - {SPEND}:
        asked.insert(0, AUC)
    found = {name: _figure(name, judged, before, after) for name in asked}
    figures = tuple(figure for figure in found.values() if figure is not None)
    if not figures:
        return Verdict(False, f"not judged: too few later texts for {_names(asked)}", ())
    said = "; ".join(figure.said() for figure in figures)
    loses = any(figure.upper < 0 for figure in figures)
    is_better = any(figure.wins for figure in figures) and not loses
    return Verdict(is_better, f"{'better' if is_better else 'not better'}: {said}", figures)


def _names(asked: Sequence[str]) -> str:
    return " and ".join(NAMES[name] for name in asked)


def _figure(
    name: str, judged: Judged, before: NDArray[np.float32], after: NDArray[np.float32]
) -> Figure | None:
    """One comparison; None where there is too little to learn a head from or to judge it on."""
    from cva_sql.models_onnx.value.judging.bootstrap import Sample, mean_differences

    if name == AUC:
        known = (judged.ratings >= GOOD) | (judged.ratings <= BAD)
        labels = (judged.ratings >= GOOD).astype(np.float64)
    else:
        known, labels = np.isfinite(judged.spends), np.maximum(judged.spends, 0.0)
    learned, later = known & ~judged.is_later, known & judged.is_later
    unseen = later & judged.is_unseen
    is_unseen = _is_enough(labels[unseen])
    rows = unseen if is_unseen else later
    if not (_is_enough(labels[rows]) and _is_enough(labels[learned])):
        return None
    customers = np.array(judged.customers, dtype=object)
    told = {
        side: _head(name, vectors[learned], labels[learned], customers[learned], vectors[rows])
        for side, vectors in (("before", before), ("after", after))
    }
    own = {
        side: [Sample(labels[rows], values, customer_id=customers[rows])]
        for side, values in told.items()
    }
    differences = mean_differences(
        own["before"], {"after": own["after"]}, [name], replicates=REPLICATES
    )
    figure: Metric = differences["after"][name]
    values = {side: _value(name, labels[rows], one) for side, one in told.items()}
    return Figure(
        name,
        values["before"],
        values["after"],
        figure.value,
        figure.lower,
        figure.upper,
        int(rows.sum()),
        len(set(customers[rows])),
        is_unseen,
    )


def _is_enough(labels: NDArray[np.float64]) -> bool:
    positive = int((labels > 0).sum())
    return min(positive, len(labels) - positive) >= MIN_OF_EACH or (
        positive >= 2 * MIN_OF_EACH and len(np.unique(labels)) > MIN_OF_EACH
    )


def _value(name: str, labels: NDArray[np.float64], told: NDArray[np.float64]) -> float:
    from cva_sql.models_onnx.value.judging.metrics import auc, ngini

    metrics: Mapping[str, object] = {AUC: auc, NGINI: ngini}
    measure = metrics[name]
    assert callable(measure)
    return float(measure(labels, told))


def _head(
    name: str,
    vectors: NDArray[np.float32],
    labels: NDArray[np.float64],
    customers: NDArray[np.object_],
    later: NDArray[np.float32],
) -> NDArray[np.float64]:
    """What a head that was fitted on vectors says of later ones, 0 or more."""
    from sklearn.linear_model import RidgeCV

    mean, deviation = vectors.mean(axis=0), np.maximum(vectors.std(axis=0), 1e-6)
    known, asked = (vectors - mean) / deviation, (later - mean) / deviation
    if name == AUC:
        return _logistic(known, labels > 0, customers, asked)
    alphas = np.logspace(1, 6, 11)
    fitted = RidgeCV(alphas=alphas).fit(known, np.log1p(labels))
    return np.asarray(np.expm1(np.clip(fitted.predict(asked), 0.0, 50.0)), dtype=np.float64)


def _logistic(
    vectors: NDArray[np.float32],
    is_good: NDArray[np.bool_],
    customers: NDArray[np.object_],
    later: NDArray[np.float32],
) -> NDArray[np.float64]:
    """The strength that tells best across customers, then all texts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    from cva_sql.models_onnx.value.judging.metrics import auc

    def fitted(strength: float, rows: NDArray[np.intp]) -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=1000).fit(vectors[rows], is_good[rows])

    rows = np.arange(len(vectors))
    _, groups = np.unique(customers.astype(str), return_inverse=True)
    best, strength = -1.0, STRENGTHS[0]
    if len(np.unique(groups)) >= FOLDS:
        folds = list(GroupKFold(FOLDS).split(vectors, is_good, groups))
        for one in STRENGTHS:
            told = np.full(len(rows), 0.5)
            for train, test in folds:
                if is_good[train].any() and not is_good[train].all():
                    told[test] = fitted(one, train).predict_proba(vectors[test])[:, 1]
            found = auc(is_good.astype(np.float64), told)
            if found > best:
                best, strength = found, one
    return np.asarray(fitted(strength, rows).predict_proba(later)[:, 1], dtype=np.float64)
