"""What may predict a column: the mean, a linear model, and members that need no orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.data.preprocessing import LogScale, Preprocessing, fit_log_scale
from cva_sql.models_onnx.value.estimators.lifetimes import COLUMNS
from cva_sql.models_onnx.value.estimators.linear import Linear
from cva_sql.models_onnx.value.estimators.trees import SHARED
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.trees import add_trees
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.members.purchase import PurchaseModel
from cva_sql.models_onnx.value.members.registry import all_members
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import Prepared

RIDGE_PENALTY = 1.0  # scikit-learn's default
ROUNDS = 80  # of boosting, as many as the value model's
MEAN, LINEAR, ENSEMBLE = "mean", "linear", "ensemble"


@dataclass(frozen=True)
class Scale:
    """Columns as a plain linear model sees them: the median for NULL, standardised."""

    fill: Floats
    mean: Floats
    deviation: Floats

    def apply(self, x: Matrix) -> Matrix:
        """Shape (rows, width)."""
        return np.asarray((np.where(np.isnan(x), self.fill, x) - self.mean) / self.deviation)


@dataclass(frozen=True)
class LinearFit:
    """Ridge regression on standardised columns; `least` is the least that it predicts."""

    scale: Scale
    linear: Linear
    least: float

    def predict(self, x: Matrix) -> Floats:
        """The prediction, (rows,)."""
        return np.maximum(self.linear.predict(self.scale.apply(x)), self.least)

    def write(self, graph: Graph, features: str) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""
        scale = self.scale
        fill = graph.column(scale.fill)
        x = graph.op("Where", graph.op("IsNaN", features), fill, features)
        slopes = self.linear.coefficients / scale.deviation
        total = graph.sum_of_lines(graph.op("Mul", x, graph.column(slopes)))
        shift = self.linear.intercept - float(np.sum(slopes * scale.mean))
        return graph.op("Max", graph.op("Add", total, shift), self.least)


@dataclass(frozen=True)
class SquaredFit:
    """The mean of a linear model and boosted trees, both by squared error."""

    linear: LinearFit
    booster: Any

    def predict(self, x: Matrix) -> Floats:
        """The prediction, (rows,)."""
        trees = np.asarray(self.booster.predict(x, raw_score=True), dtype=np.float64)
        return 0.5 * (self.linear.predict(x) + trees)

    def write(self, graph: Graph, features: str) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""
        trees = add_trees(graph, features, self.booster)
        both = graph.op("Add", self.linear.write(graph, features), trees)
        return graph.op("Mul", both, 0.5)


@dataclass(frozen=True)
class TweedieFit:
    """The value model's members that need no orders, in a geometric mean, the mean set right."""

    log_scale: LogScale
    preprocessing: Preprocessing
    parts: tuple[tuple[float, FittedMember], ...]
    shift: float

    def predict(self, x: Matrix) -> Floats:
        """The prediction, (rows,)."""
        rows = _rows(x, self.log_scale, self.preprocessing)
        logs = sum(weight * part.predict(rows) for weight, part in self.parts)
        return np.asarray(np.exp(logs + self.shift))

    def write(self, graph: Graph, features: str) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""
        none = graph.lines(features, 0, 0)
        rows = GraphRows(
            graph, self.log_scale, self.preprocessing.numbers, features, none,
            "", "", "", "", (), (), (),
        )  # fmt: skip
        terms = [graph.op("Mul", part.write(graph, rows), weight) for weight, part in self.parts]
        return graph.op("Exp", graph.op("Add", graph.sum(terms), self.shift))


Candidate = LinearFit | SquaredFit | TweedieFit


def fit_mean(x: Matrix, value: Floats) -> LinearFit:
    """The mean of the target for everybody."""
    width = x.shape[1]
    scale = Scale(np.zeros(width), np.zeros(width), np.ones(width))
    return LinearFit(scale, Linear(np.zeros(width), float(value.mean())), -np.inf)


def fit_linear(x: Matrix, value: Floats, least: float = -np.inf) -> LinearFit:
    """Ridge on the columns as they are."""
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    fill = np.array([np.median(c[~np.isnan(c)]) if not np.isnan(c).all() else 0.0 for c in x.T])
    filled = np.where(np.isnan(x), fill, x)
    deviation = filled.std(axis=0)
    scale = Scale(fill, filled.mean(axis=0), np.where(deviation > 1e-9, deviation, 1.0))
    with threadpool_limits(1):  # its sums differ with the number of threads
        ridge = Ridge(alpha=RIDGE_PENALTY, solver="cholesky").fit(scale.apply(x), value)
    found = Linear(np.asarray(ridge.coef_, dtype=np.float64), float(ridge.intercept_))
    return LinearFit(scale, found, least)


def fit_squared(x: Matrix, value: Floats) -> SquaredFit:
    """For a target that may be negative, or a score."""
    import lightgbm

    leaf = int(np.clip(len(value) / 200, 5, 100))
    data = lightgbm.Dataset(x, label=value, free_raw_data=True)
    settings = {**SHARED, "objective": "regression", "min_data_in_leaf": leaf}
    return SquaredFit(fit_linear(x, value), lightgbm.train(settings, data, ROUNDS))


def needs_no_orders() -> list[Member]:
    """The members of the value model that say so of themselves."""
    return [member for member in all_members() if not member.needs_orders and member.weight > 0]


def tweedie_fitter(preprocessing: Preprocessing) -> Callable[[Matrix, Floats], Candidate]:
    """For a target of 0 or more, with zeros."""

    def fit(x: Matrix, value: Floats) -> Candidate:
        weight = np.ones(len(value))
        log_scale = fit_log_scale(x, weight)
        if not value.sum() > 0:  # nobody is above 0, so the mean says it all
            return fit_mean(x, value)
        rows, mean = _rows(x, log_scale, preprocessing), float(value.mean())
        nothing = np.zeros(len(value))
        blank = Linear(np.zeros(x.shape[1]), 0.0)
        examples = Examples(
            rows, value, weight, mean, nothing, nothing + np.log(mean), PurchaseModel(blank, blank)
        )
        members = needs_no_orders()
        total = sum(member.weight for member in members)
        parts = tuple((member.weight / total, member.fit_with(examples, {})) for member in members)
        fitted = TweedieFit(log_scale, preprocessing, parts, 0.0)
        return replace(fitted, shift=float(np.log(mean / fitted.predict(x).mean())))

    return fit


def _rows(x: Matrix, log_scale: LogScale, preprocessing: Preprocessing) -> Rows:
    """Rows as a member sees them; what orders would tell is 0."""
    none = np.zeros(len(x))
    matrix = np.column_stack([x, np.zeros((len(x), len(COLUMNS)))])
    beside = np.zeros((len(x), 0))
    prepared = Prepared(matrix, none, none, none, none, none, none, none, beside)
    return Rows(prepared, log_scale.transform(x), preprocessing)
