"""`cva_value_growth`: what a value within the horizon becomes over other days, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import RETRAIN, Manifest

Floats = NDArray[np.float64]
GROWTH_TYPE = (
    "STRUCT(frequency_from BIGINT, frequency_to BIGINT, age_from BIGINT, age_to BIGINT,"
    " days BIGINT, value_factor DOUBLE, probability_factor DOUBLE, clv_factor DOUBLE,"
    " total_deviation DOUBLE, dispersion DOUBLE)[]"
)
YEAR = 365
EVENT_WINDOWS = 12  # of a year


def value_growth(
    manifest: Manifest, days: Sequence[int], clv_days: int, discount_rate: float
) -> list[dict[str, Any]]:
    """A row per group of customers and day: factors on what is predicted for the horizon.

    `value_factor` is the value within so many days over that within the horizon, 1 there and
    never falling, `probability_factor` that of the probability to order. `clv_factor` is the value
    within `clv_days`, each day's discounted at `discount_rate` a year. `total_deviation` is the
    standard deviation of the log of the total forecast, `dispersion` φ of a customer's variance
    φ·mean^1.5. Groups are by repeat purchase days and days since the first order, `_to` excluded
    and null for the last. Empty for a model that has no growth: a rule, or one from before.
    Raises ModelError for a manifest whose tables are broken.
    """
    facts = manifest.training.get("growth")
    if not isinstance(facts, dict) or manifest.horizon_days is None:
        return []
    try:
        return _rows(facts, manifest, sorted(set(days)), clv_days, discount_rate)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(
            f"the growth in the manifest of {manifest.version} cannot be read ({error}); {RETRAIN}"
        ) from None


def _rows(
    facts: dict[str, Any], manifest: Manifest, days: list[int], clv_days: int, rate: float
) -> list[dict[str, Any]]:
    horizon = int(manifest.horizon_days or 0)
    longest = max(*days, clv_days, horizon)
    season = _season(facts, longest)
    discount = (1 + rate) ** -((np.arange(longest) + 0.5) / YEAR)
    spread = {
        "total_deviation": manifest.training.get("total_forecast", {}).get("standard_deviation"),
        "dispersion": facts.get("dispersion"),
    }
    rows = []
    for i, frequency in enumerate(facts["frequencies"]):
        for j, age in enumerate(facts["ages"]):
            each = np.diff(_by_day(facts["days"], facts["orders"][i][j], longest)) * season
            value = np.concatenate([[0.0], np.cumsum(each)])
            probability = _by_day(facts["days"], facts["probability"][i][j], longest)
            base = value[horizon]
            clv = float((each * discount)[:clv_days].sum() / base)
            group = {
                "frequency_from": frequency,
                "frequency_to": _next(facts["frequencies"], i),
                "age_from": age,
                "age_to": _next(facts["ages"], j),
            }
            rows += [
                {
                    **group,
                    "days": day,
                    "value_factor": 1.0 if day == horizon else float(value[day] / base),
                    "probability_factor": float(probability[day] / probability[horizon]),
                    "clv_factor": clv,
                    **spread,
                }
                for day in days
            ]
    return rows


def _by_day(knots: Sequence[int], values: Sequence[float], longest: int) -> Floats:
    """A curve from 0 at day 0 through knots, at each day up to `longest`; flat after the last."""
    return np.interp(np.arange(longest + 1), [0, *knots], [0.0, *values])


def _season(facts: dict[str, Any], longest: int) -> Floats:
    """By day ahead what is sold over a usual day's: the year's windows, and known events."""
    by_day = np.ones(longest)
    season, events = facts["season"], facts.get("events") or []
    for k in range(-(-longest * len(season) // YEAR)):
        by_day[_window(k, len(season))] = season[k % len(season)]
    for k, factor in enumerate(events):
        by_day[_window(k, EVENT_WINDOWS)] *= factor
    return by_day


def _window(k: int, windows: int) -> slice:
    """The days of the k-th window ahead, with so many in a year."""
    return slice(round(YEAR * k / windows), round(YEAR * (k + 1) / windows))


def _next(edges: Sequence[int], k: int) -> int | None:
    return edges[k + 1] if k + 1 < len(edges) else None
