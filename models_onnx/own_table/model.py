"""From a table to a model: judged on rows that it had not seen, then fitted on all and exported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cva_sql.models_onnx.own_table.candidates import (
    ENSEMBLE,
    LINEAR,
    MEAN,
    Candidate,
    fit_linear,
    fit_mean,
    fit_squared,
    tweedie_fitter,
)
from cva_sql.models_onnx.own_table.columns import Table
from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.data.preprocessing import Preprocessing, fit_preprocessing
from cva_sql.models_onnx.value.graph.builder import OPSET, Graph
from cva_sql.models_onnx.value.judging import metrics
from cva_sql.models_onnx.value.preparation.graph import add_features
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import Feature, Manifest
from cva_sql.udfs.sessions import open_session

TWEEDIE, SQUARED = "tweedie deviance", "squared error"
ZEROS = 0.02  # a score from 0 to 100 may have a zero or two, and is not like spend for that
OUTPUT = "prediction"
FIGURES = ("spearman", "ngini", "mae", "r2")
TOLERANCE = 1e-4  # relative, between the file and the fitted model
Fit = Callable[[Matrix, Floats], Candidate]


@dataclass(frozen=True)
class Judged:
    """Figures of each candidate on rows it had not seen, and which one has the least error."""

    loss: str
    scores: dict[str, dict[str, float]]
    best: str
    rows: int

    @property
    def reason(self) -> str:
        """Why that one scores, in a sentence."""
        told = ", ".join(f"{name} {found['loss']:.3f}" for name, found in self.scores.items())
        return f"{self.best} has the least {self.loss} on unseen rows (share explained: {told})"


def loss_of(value: Floats) -> str:
    """What is minimised: a target of 0 or more with zeros among it is like spend, else errors."""
    is_like_spend = value.min() >= 0 and (value == 0).mean() >= ZEROS
    return TWEEDIE if is_like_spend and value.max() > 0 else SQUARED


def learn(table: Table) -> tuple[Judged, Candidate, Preprocessing]:
    """The candidate that did best on unseen rows, fitted on all of them."""
    preprocessing = fit_preprocessing(table.numbers, table.categories)
    x = preprocessing.matrix(table.numbers, table.categories).astype(np.float64)
    loss = loss_of(table.value)
    fits = _fits(loss, preprocessing)
    tested = table.fold > 0
    told = {name: np.zeros(len(table)) for name in fits}
    for k in np.unique(table.fold[tested]):
        test = table.fold == k
        known = table.fold < k if table.is_forward else ~test
        for name, fit in fits.items():
            told[name][test] = fit(x[known], table.value[known]).predict(x[test])
    actual = table.value[tested]
    scores = {name: _figures(loss, actual, found[tested]) for name, found in told.items()}
    best = max(scores, key=lambda name: np.nan_to_num(scores[name]["loss"], nan=-np.inf))
    return (
        Judged(loss, scores, best, int(tested.sum())),
        fits[best](x, table.value),
        preprocessing,
    )


def _fits(loss: str, preprocessing: Preprocessing) -> dict[str, Fit]:
    if loss == SQUARED:
        return {ENSEMBLE: fit_squared, LINEAR: fit_linear, MEAN: fit_mean}
    return {
        ENSEMBLE: tweedie_fitter(preprocessing),
        LINEAR: lambda x, value: fit_linear(x, value, 0.0),
        MEAN: fit_mean,
    }


def _figures(loss: str, actual: Floats, predicted: Floats) -> dict[str, float]:
    found = {name: float(getattr(metrics, name)(actual, predicted)) for name in FIGURES}
    least = np.maximum(predicted, 1e-6 * max(float(np.abs(actual).mean()), 1e-12))
    share = metrics.d2_tweedie(actual, least) if loss == TWEEDIE else found["r2"]
    return {"loss": share, **found}


def export(candidate: Candidate, preprocessing: Preprocessing, table: Table) -> bytes:
    """The ONNX file; raises ModelError where it says something else than the fitted model."""
    graph = Graph()
    graph.output(OUTPUT, candidate.write(graph, add_features(graph, preprocessing)))
    onnx = graph.to_bytes("cva model of a table")
    columns = {**table.numbers, **table.categories}
    names = [*preprocessing.numbers, *(name for name, _ in preprocessing.categories)]
    inputs = {name: columns[name].reshape(-1, 1) for name in names}
    got = open_session(onnx).run([OUTPUT], inputs)[0].ravel()
    x = preprocessing.matrix(table.numbers, table.categories).astype(np.float64)
    expected = candidate.predict(x)
    scale = np.maximum(np.abs(expected), 1e-4 * np.abs(expected).mean() + 1e-12)
    worst = float(np.max(np.abs(got - expected) / scale, initial=0.0))
    if not worst <= TOLERANCE:
        raise ModelError(f"the file differs from the fitted model by {worst:.1e}; not deployed")
    return onnx


def make_manifest(
    kind: str,
    onnx: bytes,
    preprocessing: Preprocessing,
    judged: Judged,
    training: Mapping[str, Any],
    dates: Sequence[str] = (),
) -> Manifest:
    """What is frozen with the file; `dates` are those that unseen rows began on."""
    digest = hashlib.sha256(onnx).hexdigest()
    features = [Feature(name, "number") for name in preprocessing.numbers]
    features += [Feature(name, "category", values) for name, values in preprocessing.categories]
    return Manifest(
        name=kind,
        version=f"{judged.best}-{digest[:8]}",
        sha256=digest,
        features=tuple(features),
        horizon_days=None,
        is_baseline=False,
        opset=OPSET,
        training={"kind": judged.best, "loss": judged.loss, **training},
        evaluation={
            "validation_dates": list(dates),
            "scores": {name: dict(found) for name, found in judged.scores.items()},
            "verdict": judged.reason,
        },
        outputs=(OUTPUT,),
    )
