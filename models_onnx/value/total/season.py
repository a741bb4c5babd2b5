"""What each part of the year ahead sells over a usual day, by the shop's former years."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.total.clock import (
    YEAR,
    YEARS,
    Clock,
    log_index,
    shrink_season,
)
from cva_sql.models_onnx.value.total.sources import log_growth
from cva_sql.models_onnx.value.total.windows import PastWindow


def season_by_window(
    as_of: date, label_days: int, sales: ShopSales, past: Sequence[PastWindow], windows: int
) -> list[float]:
    """By window of the year ahead what is sold over a usual day's; empty where that is not known.

    Each of the `windows` beside the year around it, as the total's season is read. Their mean is 1.
    """
    clock = Clock(as_of, label_days, sales, tuple(past))
    days = round(YEAR / windows)
    noise = clock.noise * label_days / days
    indices = []
    for k in range(windows):
        found = _indices(clock, as_of + timedelta(days=round(YEAR * k / windows)), days)
        season = shrink_season(float(np.mean(found)), noise) if found else 0.0
        indices.append(clock.openness(as_of) * season)
    if not any(indices):
        return []
    factors = np.exp(indices)
    return [float(factor) for factor in factors / factors.mean()]


def _indices(clock: Clock, ahead: date, days: int) -> list[float]:
    """The log index of the window in each former year, the growth of the shop taken out.

    The year around a window that is not a year ago is not over, and lies before the window's
    middle: a shop that grows would seem to sell more in every later window.
    """
    found = []
    last, growth = clock.as_of - timedelta(days=YEAR), log_growth(clock)[0]
    for years in range(1, YEARS + 1):
        start = ahead - timedelta(days=YEAR * years)
        if start < clock.sales.first or start + timedelta(days=days) > clock.as_of:
            continue
        centred = min(start + timedelta(days=days // 2 - YEAR // 2), last)
        if centred < clock.sales.first and years > 1:
            break
        year = max(centred, min(clock.sales.first, last))
        if year < clock.sales.first:
            continue
        later = ((start - year).days + (days - YEAR) / 2) / YEAR
        index = [each - growth * later for each in log_index(clock, start, days, year)]
        found += [clock.trust(centred) * each for each in index]
    return found
