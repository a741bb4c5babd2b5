"""What recommends as an ONNX file with its manifest: the ranker, or one candidate's scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Floats, Scores
from cva_sql.models_onnx.recommend.calibration import Calibration
from cva_sql.models_onnx.recommend.choice import POPULARITY, Choice
from cva_sql.models_onnx.recommend.cold_choice import ColdChoice
from cva_sql.models_onnx.recommend.contract import EXTRA
from cva_sql.models_onnx.recommend.judging import RANKER
from cva_sql.models_onnx.recommend.offers import POPULAR, SIMILAR
from cva_sql.models_onnx.recommend.ranker import POOL, Ranker, column_names
from cva_sql.models_onnx.recommend.registry import not_installed
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import Feature, Manifest
from cva_sql.udfs.sessions import load_model, open_session

KIND = "recommendations"
OUTPUT = "score"
TOLERANCE = 1e-6  # between the file and the fitted ranker; both add the same leaves in double
ROWS = 256  # that they are compared on


def names_of(choice: Choice) -> tuple[str, ...]:
    """The candidates whose scores the file reads."""
    return choice.ranker.candidates if choice.ranker else tuple(sorted({choice.name, POPULARITY}))


def export(choice: Choice) -> bytes:
    """The ONNX file; raises ModelError where it says something else than the fitted ranker."""
    from cva_sql.models_onnx.value.graph.builder import OPSET, OPSETS, Graph
    from cva_sql.models_onnx.value.graph.trees import add_trees

    columns = column_names(names_of(choice))
    graph = Graph()
    matrix = graph.whole_blocks([graph.number_input(name) for name in columns])
    if choice.ranker is None:
        place = columns.index(f"{choice.name}_share")
        graph.output(OUTPUT, graph.lines(matrix, place, place + 1))
        return graph.to_bytes(f"cva recommendations by {choice.name}", {"": OPSET})
    raw = add_trees(graph, matrix, choice.ranker.booster)
    odds = graph.op("Exp", graph.op("Neg", raw))
    graph.output(OUTPUT, graph.op("Div", 1.0, graph.op("Add", odds, 1.0)))
    onnx = graph.to_bytes("cva recommendations by a ranker", OPSETS)
    _check_parity(onnx, columns, choice.ranker)
    return onnx


def _check_parity(onnx: bytes, columns: Sequence[str], ranker: Ranker) -> None:
    random = np.random.default_rng(7)
    rows = random.exponential(5.0, (ROWS, len(columns))).astype(np.float32)
    rows[: ROWS // 2] /= 10.0
    expected, found = ranker.predict(rows), _by_session(open_session(onnx), columns)(rows)
    worst = float(np.max(np.abs(expected - found)))
    if not worst <= TOLERANCE:
        raise ModelError(f"the file differs from the fitted ranker by {worst:.1e}; not deployed")


def _by_session(session: Any, columns: Sequence[str]) -> Any:
    def predict(matrix: Scores) -> Floats:
        inputs = {name: matrix[:, [place]] for place, name in enumerate(columns)}
        return np.asarray(session.run([OUTPUT], inputs)[0], dtype=np.float64).ravel()

    return predict


def build_manifest(
    choice: Choice, onnx: bytes, *, as_of: str, horizon: int, database: str, first_order: str,
    new: ColdChoice | None = None,
) -> Manifest:  # fmt: skip
    """What is frozen with the file: what won, on which day, by how much; what `new` ones get."""
    from cva_sql.models_onnx.value.graph.builder import OPSET

    digest = hashlib.sha256(onnx).hexdigest()
    names = names_of(choice)
    return Manifest(
        name=KIND,
        version=f"{as_of.replace('-', '')}-h{horizon}-{choice.name}-{digest[:8]}",
        sha256=digest,
        features=tuple(Feature(name, "number") for name in column_names(names)),
        horizon_days=horizon,
        is_baseline=False,
        opset=OPSET,
        training={
            "database": database,
            "as_of": as_of,
            "first_order": first_order,
            "kind": choice.name,
            "candidates": list(names),
            "new_customers": new.name if new else POPULAR,
            "calibration": asdict(choice.calibration) if choice.calibration else None,
        },
        evaluation={
            "validation_dates": [choice.judged_on] if choice.judged_on else [],
            "customers": len(choice.judged.customer) if choice.judged else 0,
            "scores": choice.figures(),
            "intervals": choice.intervals(),
            "verdict": choice.verdict,
            "new_customers": new.verdict if new else "",
        },
        outputs=(OUTPUT,),
    )


def offers_what_similar_buy(manifest: Manifest) -> bool:
    """Whether customers without an order get what those like them buy."""
    return manifest.training.get("new_customers") == SIMILAR


def read_calibration(manifest: Manifest) -> Calibration | None:
    """How likely what it lists is bought; None where too little was, or in older manifests."""
    raw = manifest.training.get("calibration")
    return Calibration.from_dict(raw) if raw else None


def read_ranker(folder: Path, length: int = POOL) -> tuple[Ranker, Manifest]:
    """The deployed file as a ranker of lists of `length`; raises ModelError if it cannot be run."""
    model = load_model(folder)
    names = tuple(model.manifest.training.get("candidates") or ())
    columns = [feature.name for feature in model.manifest.features]
    pool = POOL if model.manifest.training.get("kind") == RANKER else max(POOL, length)
    if columns != column_names(names):
        raise ModelError(
            f"{model.manifest.version} reads other columns than this version of cva makes; "
            "fit it again with: cva recommend"
        )
    missing = not_installed(names)
    if missing:  # silent ones would give lists that nobody judged
        raise ModelError(
            f"{model.manifest.version} reads {' and '.join(missing)}, which needs the extra: "
            f"pip install 'cva-sql[{EXTRA}]'"
        )
    return Ranker(_by_session(model.session, columns), names, pool=pool), model.manifest
