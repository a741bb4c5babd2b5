"""What customers without an order are worth: their mean, by how long ago they signed up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats

AGE = "days_since_signup"
# Days since sign-up that a bucket begins with. Twice as long each time: who has not ordered within
# the first days is another kind of customer than after a week, and a year is like two.
AGES = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
LEAST, MOST = 0.001, 0.999  # of a probability


@dataclass(frozen=True)
class ColdStart:
    """Means of those without an order: all of them, and by the bucket of AGES where it is known.

    `probabilities` are empty where sign-ups tell nothing. Spend is the probability times
    `spend_if_purchase`: sign-up says who comes, hardly what a first basket costs.
    """

    spend: float
    probability: float
    spend_if_purchase: float = 0.0
    probabilities: tuple[float, ...] = ()

    @property
    def by_age(self) -> tuple[Floats, Floats]:
        """(spend, probability): first where the age is unknown, then by bucket."""
        known = np.clip(self.probabilities, LEAST, MOST)
        spend = np.concatenate([[self.spend], known * self.spend_if_purchase])
        return spend, np.concatenate([[self.probability], known])

    def at(self, age: Floats) -> tuple[Floats, Floats]:
        """(spend, probability) at these days since sign-up, NaN where unknown, each (rows,)."""
        bucket = np.searchsorted(np.array(AGES), np.nan_to_num(age, nan=-1.0), side="right")
        spend, probability = self.by_age
        return spend[bucket], probability[bucket]


def fit_cold_start(value: Floats, age: Floats | None) -> ColdStart:
    """The means of the labels of customers without an order, at least one; `age` as in `at`."""
    bought = (value > 0).astype(np.float64)
    mean, rate = float(value.mean()), float(bought.mean())
    probability = float(np.clip(rate, LEAST, MOST))
    if age is None or not 0 < rate < 1:
        return ColdStart(mean, probability)
    known = age >= AGES[0]
    bucket = np.searchsorted(np.array(AGES), age[known], side="right") - 1
    shrunk = credible_means(bought[known], bucket, len(AGES), rate)
    if shrunk is None:
        return ColdStart(mean, probability)
    return ColdStart(mean, probability, mean / rate, tuple(float(p) for p in shrunk))


def credible_means(
    y: Floats, group: NDArray[np.integer[Any]], groups: int, mean: float
) -> Floats | None:
    """The mean of y in each group, drawn towards `mean` by how little it proves; None: all alike.

    Bühlmann and Straub (1970), "Glaubwürdigkeit für Schadensätze": a group's own mean counts
    n / (n + k), k being the variance within groups over that between them.
    """
    n = np.bincount(group, minlength=groups).astype(np.float64)
    if np.sum(n > 0) < 2 or n.sum() <= np.sum(n > 0):
        return None
    own = np.bincount(group, weights=y, minlength=groups) / np.maximum(n, 1.0)
    count = float(n.sum())
    within = float(np.sum((y - own[group]) ** 2)) / (count - np.sum(n > 0))
    spread = float(np.sum(n * (own - y.mean()) ** 2)) - (np.sum(n > 0) - 1) * within
    between = spread / (count - float(np.sum(n**2)) / count)
    if between <= 0:
        return None
    trust = n * between / (n * between + within) if within > 0 else (n > 0).astype(np.float64)
    return np.asarray(mean + trust * (own - mean))
