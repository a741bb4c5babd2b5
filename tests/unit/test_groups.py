"""What `cva evaluate` says of groups of customers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from cva_sql.cli.evaluate.groups import LEAST, group_rows, measured
from cva_sql.cli.evaluate.report import describe
from cva_sql.models_onnx.value.backtesting.backtest import Backtest
from cva_sql.models_onnx.value.judging.bootstrap import Sample

SIZES = {"f": LEAST, "m": 2 * LEAST, "rare": LEAST - 1, "": LEAST}
FACTORS = {"f": 1.0, "m": 2.0, "rare": 1.0, "": 0.5}  # predicted over actual
DATES = (date(2024, 1, 1), date(2024, 4, 1))


def shop() -> tuple[list[Sample], dict[str, list[dict[str, str]]]]:
    rng = np.random.default_rng(0)
    samples, of_date = [], []
    for _ in DATES:
        groups = np.repeat(list(SIZES), list(SIZES.values()))
        ids = np.array([f"c{i}" for i in range(len(groups))], dtype=object)
        actual = rng.gamma(1.0, 50.0, len(groups))
        predicted = actual * np.array([FACTORS[group] for group in groups])
        order = rng.permutation(len(groups))
        quantiles = {0.9: predicted[order]}
        samples.append(
            Sample(actual[order], predicted[order], None, quantiles, customer_id=ids[order])
        )
        of_date.append({i: g for i, g in zip(ids, groups, strict=True) if g})
    return samples, {"gender": of_date}


def test_each_group_has_its_own_bias_and_small_ones_are_left_out() -> None:
    samples, groups = shop()
    found = {group.value: group for group in measured(groups, samples, replicates=20)}
    assert list(found) == ["m", "", "f"]  # by size
    for value, group in found.items():
        bias = group.mean["bias"]
        assert np.isclose(bias.value, FACTORS[value] - 1)
        assert bias.lower <= bias.value <= bias.upper
        assert group.customers == (SIZES[value],) * 2
    assert found["f"].mean["mae"].value < 1e-9


def test_one_group_is_compared_with_nothing() -> None:
    samples, groups = shop()
    only = {"country": [{customer: "DE" for customer in one} for one in groups["gender"]]}
    assert [g.value for g in measured(only, samples, replicates=0)] == ["DE", ""]
    everybody = {"country": [{str(c): "DE" for c in s.customer_id} for s in samples]}  # type: ignore[union-attr]
    assert measured(everybody, samples, replicates=0) == []


def test_rows_and_what_people_read() -> None:
    samples, groups = shop()
    found = measured(groups, samples, replicates=5)
    empty = Backtest(90, DATES, (1, 1), {}, ())
    rows = group_rows(empty, found)
    of_m = [row for row in rows if row["group_value"] == "m" and row["metric"] == "bias"]
    assert [(row["as_of_date"], row["customers"]) for row in of_m] == [
        ("2024-01-01", 2 * LEAST), ("2024-04-01", 2 * LEAST), (None, 2 * LEAST),
    ]  # fmt: skip
    assert any(row["group_value"] is None for row in rows)
    text = describe(replace(empty, metrics={}), found)
    assert "cva by gender, mean over the dates" in text
    assert "not known" in text
