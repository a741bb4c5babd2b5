"""The packaged rule as an ONNX file: decayed spend, its total set by the shop's own back-test.

predicted_value = Σ amount·exp(−age_days/180) · horizon_days/180 · shop_spend_level, and orders
arrive as a Poisson stream whose rate is found alike. Run this module to write the artefact again:
python -m cva_sql.models_onnx.value.graph.baseline DIR
"""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path

from cva_sql.models_onnx.value.graph.builder import (
    OPSET,
    Graph,
    add_log_logistic_quantile,
    add_shares_among_buyers,
    output_quantiles,
)
from cva_sql.models_onnx.value.judging.rules import DECAY_DAYS
from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, Explanation, Feature, Manifest

INPUTS = (
    "decayed_spend",
    "decayed_orders",
    "orders_count",
    "horizon_days",
    "shop_spend_level",
    "shop_orders_level",
    "shop_retention_rate",
    "shop_cold_start_value",
    "shop_cold_start_purchase_rate",
    "shop_error_spread",
)


def build_baseline() -> bytes:
    """The rule's ONNX file."""
    graph = Graph()
    matrix = graph.whole_blocks([graph.number_input(name) for name in INPUTS])
    x = {name: graph.lines(matrix, i, i + 1) for i, name in enumerate(INPUTS)}
    is_cold = graph.op("LessOrEqual", x["orders_count"], 0.0)
    scale = graph.op("Div", x["horizon_days"], DECAY_DAYS)

    orders = graph.op("Mul", graph.op("Mul", x["decayed_orders"], scale), x["shop_orders_level"])
    cold_rate = graph.clip(x["shop_cold_start_purchase_rate"], 0.0, 0.999)
    cold_orders = graph.op("Neg", graph.op("Log", graph.op("Sub", 1.0, cold_rate)))
    orders = graph.op("Where", is_cold, cold_orders, orders)
    probability = graph.op("Sub", 1.0, graph.op("Exp", graph.op("Neg", orders)))

    value = graph.op("Mul", graph.op("Mul", x["decayed_spend"], scale), x["shop_spend_level"])
    value = graph.op("Where", is_cold, x["shop_cold_start_value"], value)

    mean_if_purchase = graph.op("Div", value, graph.op("Max", probability, 1e-9))
    # A logistic with standard deviation σ has scale σ√3/π; at 0.6 and above the mean runs away.
    shape = graph.clip(graph.op("Mul", x["shop_error_spread"], math.sqrt(3) / math.pi), 0.05, 0.6)
    u, is_zero = add_shares_among_buyers(graph, probability)
    spend = add_log_logistic_quantile(graph, mean_if_purchase, shape, u)
    output_quantiles(graph, spend, is_zero)
    graph.output("predicted_value", value)
    graph.output("purchase_probability", probability)
    graph.output("predicted_orders", orders)
    graph.output("horizon_retention_rate", x["shop_retention_rate"])
    # The rule has no training reference; customer_value takes the percentile in the run instead.
    graph.output("score", graph.op("Mul", graph.op("Add", value, 1.0), 0.0))
    return graph.to_bytes("decayed past spend, levelled by back-test")


def write_baseline(folder: Path) -> None:
    """Writes the rule's model and manifest into `folder`."""
    data = build_baseline()
    manifest = Manifest(
        name="baseline",
        version="baseline-1",
        sha256=hashlib.sha256(data).hexdigest(),
        features=tuple(Feature(name, "number") for name in INPUTS),
        horizon_days=None,
        is_baseline=True,
        opset=OPSET,
        training={},
        evaluation={},
        # The rule knows no shop, so it cannot know a typical customer: a customer who has ordered
        # and spent nothing since takes that place, and the inputs about the shop explain nothing.
        explanation=Explanation(
            reference={"decayed_orders": 0.0, "decayed_spend": 0.0, "orders_count": 1.0},
            families={
                "decayed_orders": "frequency",
                "decayed_spend": "spend",
                "orders_count": "frequency",
            },
            link="identity",
            money_rule="difference",
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(data)
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")


if __name__ == "__main__":
    write_baseline(Path(sys.argv[1]))
