"""What a notebook would do with the same rows, for every member to stand beside.

`mbgnbd` and `bgnbd` are buy till you die times Gamma-Gamma as they come, with a total and
probabilities of their own. `ridge` and `random_forest` are scikit-learn's on the members' matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import (
    LARGEST_PROBABILITY,
    SMALLEST_PROBABILITY,
    Floats,
    Matrix,
    logit,
)
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.estimators.btyd import Kind, fit_dropout
from cva_sql.models_onnx.value.estimators.lifetimes import TINY, Lifetimes, expect, read_history
from cva_sql.models_onnx.value.graph.builder import Q_LEVELS
from cva_sql.models_onnx.value.model.ensemble import Members
from cva_sql.models_onnx.value.total.calibration import Outcome
from cva_sql.models_onnx.value.total.intervals import fit_residuals, spend_quantile
from cva_sql.models_onnx.value.training.learning import Learning
from cva_sql.models_onnx.value.training.validation import Fold

LIFETIMES: tuple[Kind, ...] = ("mbgnbd", "bgnbd")
BENCHMARKS = (*LIFETIMES, "ridge", "random_forest")
MAX_ROWS = 60_000  # every n-th row above that, as the linear members do
RIDGE_PENALTY = 1.0  # scikit-learn's default
TREES = 200
MIN_LEAF = 20
COLUMNS_A_SPLIT = "sqrt"  # a third of them takes 2.5 times as long, nGini within 0.006 of it
SHARE_OF_ROWS = 0.2  # for each tree; with half of them CDNOW takes 2.5 times as long, no better
SEED = 7


def predict_benchmarks(
    learning: Learning, members: Members, folds: Sequence[Fold], test: Dataset, deviation: float
) -> dict[str, dict[str, Floats]]:
    """Outputs of the contract by benchmark, each (rows of `test`,).

    Those of LIFETIMES have a value, a probability and quantiles, the others a value alone.
    `deviation` is the standard deviation of the total's log: intervals are made as the members'.
    """
    found = {kind: _alone(learning, folds, test, kind, deviation) for kind in LIFETIMES}
    x, z, value = _training_rows(learning, members)
    now = members.preparation.apply(test).matrix
    factor = learning.plan.extrapolation * learning.unit
    ridge = _ridge(z, value, members.log_scale.transform(now))
    forest = _forest(x, value, now)
    return found | {
        "ridge": {"predicted_value": ridge * factor},
        "random_forest": {"predicted_value": forest * factor},
    }


def _alone(
    learning: Learning, folds: Sequence[Fold], test: Dataset, kind: Kind, deviation: float
) -> dict[str, Floats]:
    """Customers without an order get nothing: these models know them not."""
    plan = learning.plan
    outcomes = [
        _outcome(
            _lifetimes(learning, fold.cutoff, kind), learning.at([fold.cutoff]), plan.label_days
        )
        for fold in folds
    ]
    residuals = fit_residuals(outcomes, 1.0, deviation)
    expected = expect(_lifetimes(learning, plan.as_of, kind), test.numbers, plan.horizon_days)
    value = np.nan_to_num(getattr(expected, test.target.expected), nan=0.0) * learning.unit
    probability = np.nan_to_num(expected.probability, nan=0.0)
    probability = np.clip(probability, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
    outputs = {"predicted_value": value, "purchase_probability": probability}
    quantiles = residuals.at(probability)
    for level in Q_LEVELS:
        name = f"predicted_value_p{round(level * 100)}"
        outputs[name] = spend_quantile(level, value, probability, quantiles)
    return outputs


def _lifetimes(learning: Learning, day: date, kind: Kind) -> Lifetimes:
    """As fitted to the customers of a date, with the dropout model of this kind."""
    fitted = learning.lifetimes[day]
    if fitted.dropout.kind == kind:
        return fitted
    past = read_history(learning.rows.seen_from(day).numbers)
    dropout = fit_dropout(past.frequency, past.recency, past.age, kind=kind)
    return replace(fitted, dropout=dropout)


def _outcome(lifetimes: Lifetimes, rows: Dataset, days: int) -> Outcome:
    expected = expect(lifetimes, rows.numbers, days)
    known = np.isfinite(expected.spend)
    probability = expected.probability[known]
    return Outcome(
        rows.label_value[known],
        rows.label_orders[known],
        np.log(getattr(expected, rows.target.expected)[known] + TINY),
        logit(probability),
        expected.orders[known],
        probability,
    )


def _training_rows(learning: Learning, members: Members) -> tuple[Matrix, Matrix, Floats]:
    """(matrix, the same standardised, spend) of the plan's cutoffs, at most MAX_ROWS rows."""
    plan = learning.plan
    parts = [(day, learning.at([day])) for day in plan.cutoffs]
    step = -(-sum(len(part) for _, part in parts) // MAX_ROWS)
    parts = [(day, part.select(np.arange(len(part)) % step == 0)) for day, part in parts]
    near = replace(members.preparation, horizon_days=plan.label_days)
    rows = learning.stack(near, parts)
    value = np.concatenate([part.label_value for _, part in parts])
    return rows.matrix, members.log_scale.transform(rows.matrix), value


def _ridge(z: Matrix, value: Floats, now: Matrix) -> Floats:
    """Ridge on log(1 + spend); one factor brings the mean of the training rows right."""
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # its sums differ with the number of threads
        model = Ridge(alpha=RIDGE_PENALTY, solver="cholesky").fit(z, np.log1p(value))
        seen, new = (np.expm1(np.maximum(model.predict(rows), 0.0)) for rows in (z, now))
    factor = float(value.sum() / seen.sum()) if seen.sum() > 0 else 1.0
    return np.asarray(new * factor)


def _forest(x: Matrix, value: Floats, now: Matrix) -> Floats:
    """The mean of TREES regression trees; NULL goes to the side that does better."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(
        n_estimators=TREES,
        min_samples_leaf=MIN_LEAF,
        max_features=COLUMNS_A_SPLIT,
        max_samples=SHARE_OF_ROWS,
        random_state=SEED,
        n_jobs=2,
    ).fit(x, value)
    model.set_params(n_jobs=1)  # threads add the trees up in the order in which they end
    return np.asarray(model.predict(now), dtype=np.float64)
