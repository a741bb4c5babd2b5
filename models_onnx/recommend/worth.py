"""Lists in the order of what they are expected to bring: probability times margin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Floats, Scores
from cva_sql.models_onnx.recommend.calibration import Calibration


@dataclass(frozen=True)
class Worth:
    """`margin` is what a unit of each product leaves, (products,), NaN where unknown.

    Without a calibration nothing is known of probabilities. Lists are `by_margin`, or by score.
    """

    calibration: Calibration | None
    margin: Floats
    by_margin: bool = False

    def probability(self, values: Scores) -> Floats:
        """Of scores of any shape; NaN where there is none."""
        if self.calibration is None:
            return np.full(values.shape, np.nan)
        return self.calibration.of(values)

    @cached_property
    def usual(self) -> Floats:
        """The margins, the median of those that are known where one is not."""
        return np.where(np.isfinite(self.margin), self.margin, np.nanmedian(self.margin))

    def order(self, values: Scores) -> Scores:
        """What a list is ordered by, 0 to 1, from scores (customers, products).

        By margin: the expected margin as a share of the customer's best. What leaves nothing, or
        is sold below cost, has 0, as what no candidate put forward.
        """
        if not self.by_margin:
            return values
        expected = np.maximum(np.nan_to_num(self.probability(values)) * self.usual, 0.0)
        best = expected.max(axis=1, keepdims=True, initial=0.0)
        return np.asarray(expected / np.where(best > 0, best, 1.0), dtype=np.float32)
