"""What each part of the year ahead sells over a usual day, by the shop's former years."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.total.forecast import YEAR, YEARS, Clock, log_index, shrink_season
from cva_sql.models_onnx.value.total.windows import PastWindow


def season_by_window(
    as_of: date, label_days: int, sales: ShopSales, past: Sequence[PastWindow], windows: int
) -> list[float]:
    """By window of the year ahead what is sold over a usual day's; empty where that is not known.

    Each of the `windows` beside the year around it, as the total's season is read. Their mean is 1.
    """
    clock = Clock(as_of, label_days, sales, tuple(past))
    openness, indices = clock.openness(as_of), []
    days = round(YEAR / windows)
    for k in range(windows):
        ahead = timedelta(days=round(YEAR * k / windows))
        found = []
        for years in range(1, YEARS + 1):
            start = as_of + ahead - timedelta(days=YEAR * years)
            if start < sales.first or start + timedelta(days=days) > as_of:
                continue
            centred = start + timedelta(days=days // 2 - YEAR // 2)
            centred = min(centred, as_of - timedelta(days=YEAR))
            if centred >= sales.first:
                found += [clock.trust(centred) * i for i in log_index(clock, start, days, centred)]
            elif years == 1:
                known = max(sales.first, as_of - timedelta(days=YEAR))
                index = log_index(clock, start, days, known)
                found += [clock.trust(centred) * i for i in index]
        noise = clock.noise * label_days / days
        indices.append(openness * shrink_season(float(np.mean(found)), noise) if found else 0.0)
    if not any(indices):
        return []
    factors = np.exp(indices)
    return [float(factor) for factor in factors / factors.mean()]
