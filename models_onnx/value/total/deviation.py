"""How far the forecast of a total may be off: by how far it was off before.

The forecast is made again as of each past cutoff, by what was known then. Its log errors have two
parts: the luck of who happened to buy, whose variance is known (`PastWindow.noise`) and which the
interval of a total counts by itself, and an error that all customers share. The second is what is
stated: the deviation of a random-effects model with a lognormal prior, as Turner et al. (2015,
"Predictive distributions for between-study heterogeneity") take it for what studies share.
"""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.total.clock import YEAR, Clock
from cva_sql.models_onnx.value.total.sources import UNSEEN_SEASON_DEVIATION, combine

# Of a shop's deviation before an error is seen: 95 % lie between 0.014 and 0.71.
PRIOR_MEDIAN, PRIOR_LOG_DEVIATION = 0.1, 1.0
GRID = np.geomspace(0.002, 3.0, 121)  # the deviations that are weighed
# A label is a third of the history or less, so that a forecast has a window to learn from. One made
# with less, and without a window, says nothing of those to come.
MATURE = 3  # labels of history
LEAST_DEVIATION = 0.05  # nobody knows a shop's next quarter better
SEASON_VARIES = 0.3  # of its log, as a deviation: how far a season misses the one of the next year


def prior_deviation() -> float:
    """What is stated before any error has been seen."""
    return shared_deviation(np.empty(0), np.empty(0), 0.0)


def stated_deviation(clock: Clock, season: float) -> float:
    """The standard deviation of the log of a total, the luck of its customers left out.

    `season` is the log of the factor that the window ahead was given. Past errors hardly show how
    far it is off: their windows have other seasons, but for those of more than a year.
    """
    is_seen = clock.as_of - timedelta(days=YEAR) >= clock.sales.first
    of_season = SEASON_VARIES * season if is_seen else UNSEEN_SEASON_DEVIATION
    return max(math.hypot(shared_deviation(*past_errors(clock)), of_season), LEAST_DEVIATION)


def past_errors(clock: Clock) -> tuple[Floats, Floats, float]:
    """(log errors, their noise, how many windows) of the forecasts that would have been made.

    Windows that overlap have days in common: all of them count as many as their days fill.
    """
    label = timedelta(days=clock.label_days)
    errors, noise, days = [], [], set()
    for window in clock.past:
        known = tuple(one for one in clock.past if one.cutoff + label <= window.cutoff)
        if not known and window.cutoff < clock.sales.first + MATURE * label:
            continue
        then = Clock(window.cutoff, clock.label_days, clock.sales.before(window.cutoff), known)
        told = combine(then, clock.label_days, window.expected).total
        errors.append(math.log(window.actual) - told)
        noise.append(window.noise)
        first = window.cutoff.toordinal()
        days |= {*range(first, first + clock.label_days)}
    return np.array(errors), np.array(noise), len(days) / clock.label_days


def shared_deviation(errors: Floats, noise: Floats, windows: float) -> float:
    """The root of the mean of σ² by errors of variance σ² + `noise` and a lognormal prior of σ.

    `errors` and `noise` have shape (errors,); together they weigh as much as `windows` of them: a
    composite likelihood (Varin, Reid and Firth 2011).
    """
    x = np.log(GRID / PRIOR_MEDIAN) / PRIOR_LOG_DEVIATION
    log_weight = -0.5 * x * x
    if len(errors):
        variance = GRID[:, None] ** 2 + noise
        likelihood = -0.5 * (np.log(variance) + errors**2 / variance)
        log_weight = log_weight + windows * likelihood.mean(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    return float(np.sqrt(np.average(GRID**2, weights=weight)))
