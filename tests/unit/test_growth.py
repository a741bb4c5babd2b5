"""What a value becomes over other days: by buy till you die, the season, and a discount."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.estimators.btyd import DropoutModel
from cva_sql.models_onnx.value.estimators.forecasts import expected_orders, purchase_probability
from cva_sql.models_onnx.value.total.calibration import Outcome
from cva_sql.models_onnx.value.total.season import season_by_window
from cva_sql.models_onnx.value.training.growth import AGES, DAYS, FREQUENCIES, _tables, dispersion
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.growth import value_growth
from cva_sql.udfs.manifest import Manifest

DROPOUT = DropoutModel("mbgnbd", 0.7, 25.0, 1.1, 4.5, 0.0, True, "")
HORIZON = 90


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    orders, probability = _tables(DROPOUT)
    growth = {
        "frequencies": list(FREQUENCIES),
        "ages": list(AGES),
        "days": list(DAYS),
        "orders": orders,
        "probability": probability,
        "season": [],
        "events": [],
        "dispersion": 20.0,
    }
    facts = {"growth": growth, "total_forecast": {"standard_deviation": 0.1}}
    return Manifest("value", "v1", "", (), HORIZON, False, 17, facts, {})


def group(rows: list[dict[str, Any]], frequency: int, age: int) -> dict[int, dict[str, Any]]:
    return {
        row["days"]: row
        for row in rows
        if row["frequency_from"] == frequency and row["age_from"] == age
    }


def test_growth_is_the_ratio_of_expected_orders_whatever_the_recency(manifest: Manifest) -> None:
    found = group(value_growth(manifest, [30, 90, 365], 1095, 0.0), 3, 240)
    for recency in (50.0, 200.0, 295.0):
        x, t_x, T = (np.array([value]) for value in (3.0, recency, 300.0))

        def ratio(of: Any, days: int, rows: tuple[Any, ...] = (x, t_x, T)) -> float:
            return float(of(DROPOUT, *rows, days)[0] / of(DROPOUT, *rows, HORIZON)[0])

        for days in (30, 365):
            assert found[days]["value_factor"] == pytest.approx(
                ratio(expected_orders, days), rel=0.03
            )
            assert found[days]["probability_factor"] == pytest.approx(
                ratio(purchase_probability, days), rel=0.03
            )
        assert found[365]["clv_factor"] == pytest.approx(ratio(expected_orders, 1095), rel=0.05)
    assert found[90]["value_factor"] == 1.0


def test_no_path_falls_and_a_discount_makes_less_of_it(manifest: Manifest) -> None:
    plain = value_growth(manifest, [1, 7, 28, 90, 365, 3650, 5000], 1095, 0.0)
    cheaper = value_growth(manifest, [90], 1095, 0.1)
    for frequency in FREQUENCIES:
        for age in AGES:
            rows = group(plain, frequency, age)
            for name in ("value_factor", "probability_factor"):
                values = [rows[day][name] for day in sorted(rows)]
                assert values == sorted(values)
            assert 0 < group(cheaper, frequency, age)[90]["clv_factor"] < rows[90]["clv_factor"]


def test_season_and_events_move_value_between_windows(manifest: Manifest) -> None:
    season = [1.0, 1.0, 1.0, 2.0, *[7 / 8] * 8]
    facts = {**manifest.training["growth"], "season": season}
    seasonal = replace(manifest, training={**manifest.training, "growth": facts})
    usual = group(value_growth(manifest, [120], 1095, 0.0), 3, 240)[120]["value_factor"]
    found = group(value_growth(seasonal, [120], 1095, 0.0), 3, 240)[120]["value_factor"]
    assert found - 1 == pytest.approx(2 * (usual - 1), rel=0.1)
    facts = {**manifest.training["growth"], "events": [1.0, 1.0, 1.0, 2.0]}
    event = replace(manifest, training={**manifest.training, "growth": facts})
    assert group(value_growth(event, [120], 1095, 0.0), 3, 240)[120]["value_factor"] == found


def test_a_model_without_growth_has_none_and_a_broken_one_is_refused(manifest: Manifest) -> None:
    assert value_growth(replace(manifest, training={}), [90], 1095, 0.1) == []
    assert value_growth(replace(manifest, horizon_days=None), [90], 1095, 0.1) == []
    broken = replace(manifest, training={"growth": {"frequencies": [0]}})
    with pytest.raises(ModelError, match="the growth in the manifest of"):
        value_growth(broken, [90], 1095, 0.1)


def test_growth_of_a_shop_is_no_season() -> None:
    when = np.arange(1000)
    grown = np.full(1000, 5, dtype=np.int64)
    as_of = date(2022, 9, 27)

    def season(amount: Any) -> list[float]:
        return season_by_window(as_of, 90, ShopSales(date(2020, 1, 1), amount, grown), [], 12)

    growing = season(100 * np.exp(0.5 * when / 365))
    assert max(growing, default=1.0) - min(growing, default=1.0) < 0.02
    # Twice as much in the 30 days that come again from day 90 ahead on.
    high = season(np.where((when + 365 - 1000) % 365 // 30 == 3, 200.0, 100.0))
    assert np.argmax(high) == 3
    assert high[3] > 1.6


def test_the_dispersion_is_that_of_what_came() -> None:
    random = np.random.default_rng(3)
    mean = random.gamma(1.0, 50.0, 40_000)
    actual = mean + np.sqrt(9.0 * mean**1.5) * random.standard_normal(len(mean))
    nothing = np.zeros(len(mean))
    told = Outcome(actual, nothing, np.log(mean), nothing, nothing, nothing)
    assert dispersion([told], 1.0) == pytest.approx(9.0, rel=0.1)
    assert dispersion([replace(told, actual=nothing)], 1.0) is None
