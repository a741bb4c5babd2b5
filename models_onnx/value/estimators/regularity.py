"""How regularly the customers of a shop buy: the number of stages that lie between purchases."""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats

# Above 24 a gap varies by less than 0.2 of its mean, less than most lives let it.
STAGES = (1, 2, 3, 4, 6, 8, 12, 16, 24)
MIN_REGULAR = 20  # customers with two gaps or more; fewer say nothing of a shop
MOST_GAPS = 30.0  # that a customer counts for: a few who buy daily are not the shop
# Of a number of stages, that gaps have to be as regular as: beyond it by so many standard errors.
# Cautious, since more stages than there are take those for gone who pause. Gaps of Online Retail II
# look like 1.2 to 1.9 stages, and fewer the longer it is watched; two made its forecasts worse.
NEARLY, MARGIN = 0.93, 2.0


def choose_stages(gaps: Floats, mean: Floats, deviation: Floats) -> int:
    """The most of STAGES that gaps are as regular as, around each customer's own mean.

    `gaps` are counts, `mean` and `deviation` (of the population) days, each (customers,), NaN where
    unknown. Given how many gaps there were and their sum, Erlang-k gaps divide it as
    Dirichlet(k, …, k) does, whatever rates, dropout and the end of the record: n of them have a
    squared coefficient of variation of (n − 1) / (n·k + 1) in the mean. The estimate by variation
    is one of those in Platzer, Reutterer (2016), "Ticking away the moments".
    """
    known = (gaps >= 2) & (mean > 0) & np.isfinite(deviation)
    if int(known.sum()) < MIN_REGULAR:
        return 1
    n, weight = gaps[known], np.minimum(gaps[known], MOST_GAPS)
    varied = (deviation[known] / mean[known]) ** 2
    chosen = STAGES[0]
    for stages in STAGES[1:]:
        excess = weight * (varied - (n - 1) / (n * NEARLY * stages + 1))
        if not excess.sum() < -MARGIN * np.sqrt(np.sum(excess * excess)):
            break
        chosen = stages
    return chosen
