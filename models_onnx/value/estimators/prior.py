"""What shops are like: where the fit of a shop with few repeat buyers starts from.

Each of several logs of parameters is normal over shops, on its own. A fit maximises the
log-likelihood of all its customers plus the log of this density (maximum a posteriori), so the
prior counts as much as a handful of customers do, and nothing in a large shop. The packaged one is
made by `benchmarks/make_prior.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats


@dataclass(frozen=True)
class Prior:
    """Means and standard deviations over shops of `names`, which are logs; each (names,)."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def penalty(self, logs: Floats) -> tuple[float, Floats]:
        """(−log of the density but for a constant, its gradient by the logs), for one shop."""
        z = (logs - np.array(self.mean)) / np.array(self.deviation)
        return 0.5 * float(np.sum(z * z)), z / np.array(self.deviation)


@dataclass(frozen=True)
class ShopPriors:
    """The priors of both halves of buy till you die.

    `dropout` is of log r, log of r / alpha a year, log a and log b, `spend` of log p, log q and the
    log of the population's mean over the shop's own.
    """

    dropout: Prior
    spend: Prior


@cache
def shop_priors() -> ShopPriors:
    """The packaged priors."""
    path = files("cva_sql.models_onnx") / "artefacts" / "shops" / "prior.json"
    return read_priors(json.loads(path.read_text(encoding="utf-8")))


def read_priors(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> ShopPriors:
    """From half -> name -> mean and deviation."""

    def prior(half: str) -> Prior:
        by_name = found[half]
        means = tuple(float(facts["mean"]) for facts in by_name.values())
        return Prior(
            tuple(by_name), means, tuple(float(facts["deviation"]) for facts in by_name.values())
        )

    return ShopPriors(prior("dropout"), prior("spend"))
