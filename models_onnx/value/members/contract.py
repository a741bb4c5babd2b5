"""What a member of the ensemble is: one forecast of spend, averaged with the others in logs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix, Signs
from cva_sql.models_onnx.value.data.preprocessing import Preprocessing
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.estimators.linear import Linear, add_up_linear
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.purchase import PAIR, PurchaseModel, PurchaseWeights
from cva_sql.models_onnx.value.preparation.directions import column_signs
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import Prepared
from cva_sql.models_onnx.value.settings import Setting, values_of


@dataclass(frozen=True)
class Rows:
    """What a member predicts for: prepared rows, and all columns standardised as `z`."""

    prepared: Prepared
    z: Matrix
    preprocessing: Preprocessing

    def number(self, name: str) -> Floats:
        """A feature by its name, (rows,), NaN for NULL."""
        return np.asarray(self.prepared.matrix[:, self.preprocessing.numbers.index(name)])


@dataclass(frozen=True)
class Examples:
    """What a member learns from: rows of past dates and what was spent after them, each (rows,).

    `weight` is larger for newer dates. How much a date's customers spent in total is no member's
    task: `spend_offset` is the log of what buy-till-you-die expects with each date's total set
    right, `spend_mean` the log of each date's mean spend. `purchase` is already fitted. As a
    feature of `monotone` rises and all else stays, no prediction may fall (1) or rise (-1).
    `purchase_offset` is buy-till-you-die's logit with each date's share of buyers set right,
    `orders_over_mean` the orders in the label over their mean on the date. `dates` is each row's
    date in days that grow, `label_days` how many a label has, `customers` a number a customer.
    These are one number without orders. `settings` are the member's own, by name.
    """

    rows: Rows
    value: Floats
    weight: Floats
    mean_spend: float
    spend_offset: Floats
    spend_mean: Floats
    purchase: PurchaseModel
    monotone: Mapping[str, int] = field(default_factory=dict)
    purchase_offset: Floats = field(default_factory=lambda: np.zeros(1))
    orders_over_mean: Floats = field(default_factory=lambda: np.zeros(1))
    dates: Floats = field(default_factory=lambda: np.zeros(1))
    customers: Floats = field(default_factory=lambda: np.zeros(1))
    label_days: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signs(self) -> Signs:
        """How each column of the matrix may act, (columns,): see `column_signs`."""
        signs = column_signs(self.rows.preprocessing, self.monotone)
        return signs[: self.rows.z.shape[1]]  # without orders there is no buy till you die

    @property
    def feature_signs(self) -> Signs:
        """The same for the columns of `Prepared.features`."""
        return self.signs[: self.rows.preprocessing.width]


class FittedMember(ABC):
    """A member that has learned."""

    @abstractmethod
    def predict(self, rows: Rows) -> Floats:
        """log of the spend expected in the label, (rows,)."""

    @abstractmethod
    def write(self, graph: Graph, rows: GraphRows) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""

    def curve(self, rows: Rows, actual: Floats) -> Sequence[CurvePoint]:
        """The loss on these rows by round of boosting; nothing where there are no rounds."""
        return ()


@dataclass(frozen=True)
class LinearMember(FittedMember):
    """`own` times buy-till-you-die's log of expected spend, plus a linear function of `z`.

    Several such members are added up before they are written, so that the graph reads the columns
    once.
    """

    own: float
    columns: Linear | None = None

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        if self.columns is None:
            return np.asarray(self.own * rows.prepared.log_spend)
        if not self.own:
            return self.columns.predict(rows.z)
        return np.asarray(self.own * rows.prepared.log_spend + self.columns.predict(rows.z))

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        return graph.sum(self.terms(graph, rows))

    def terms(self, graph: Graph, rows: GraphRows) -> list[str]:
        """What `write` adds up."""
        terms = [graph.op("Mul", rows.log_spend, self.own)] if self.own else []
        return terms if self.columns is None else [*terms, rows.linear(self.columns)]


def add_up(parts: Sequence[tuple[float, LinearMember]]) -> LinearMember:
    """Σ weight · member, which is linear as well."""
    linear = [(weight, part.columns) for weight, part in parts if part.columns is not None]
    own = sum(weight * part.own for weight, part in parts)
    return LinearMember(own, add_up_linear(linear) if linear else None)


@dataclass(frozen=True)
class Member:
    """A member as its file declares it, in a module attribute `MEMBER`.

    `place` is its order among the members. `weight` counts relative to the others' in the
    ensemble's geometric mean; with 0 it is fitted and judged, and no part of the ensemble. Members
    of one `kind` are averaged to a model that may score alone; without one a member forms none.
    `purchase` says how that model's purchase probability is made. `needs` names features that have
    to be there even where they do not vary. `tunable` is what `cva train --params` may set,
    `settings` what is fixed; both are kept with every training. `curve_loss` names what
    `FittedMember.curve` measures. `moves` has the features that it reads otherwise than by columns
    whose sign can be held, and which way its prediction goes as one rises: 1 or -1, 0 where neither
    can be said. Without `needs_orders` it learns from features and `z` alone, and so from any table
    of customers.
    """

    name: str
    place: int
    weight: float
    fit: Callable[[Examples], FittedMember]
    kind: str | None = None
    purchase: PurchaseWeights = PAIR
    needs: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    tunable: Mapping[str, Setting] = field(default_factory=dict)
    curve_loss: str = ""
    moves: Mapping[str, int] = field(default_factory=dict)
    needs_orders: bool = True

    def fit_with(self, examples: Examples, given: Mapping[str, Any]) -> FittedMember:
        """Fitted to these examples with what is `given` of its settings, else their defaults."""
        return self.fit(replace(examples, settings=values_of(self.tunable, given)))
