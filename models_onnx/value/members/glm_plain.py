"""A Tweedie regression of spend, to which what buy-till-you-die expects is a feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cva_sql.models_onnx.value.estimators.linear import (
    PENALTY,
    TWEEDIE_POWER,
    fit_spend_linear,
)
from cva_sql.models_onnx.value.members.contract import Examples, LinearMember, Member


def fit(examples: Examples) -> LinearMember:
    """The regression of spend over its date's mean, raised to the mean of all dates."""
    found = fit_spend_linear(
        examples.rows.z,
        examples.value,
        examples.weight,
        examples.spend_mean,
        examples.signs,
        examples.settings["penalty"],
    )
    raised = found.intercept + float(np.log(examples.mean_spend))
    return LinearMember(0.0, replace(found, intercept=raised))


MEMBER = Member(
    name="glm_plain",
    place=30,
    weight=0.2,
    kind="glm",
    fit=fit,
    settings={"tweedie_power": TWEEDIE_POWER},
    tunable={"penalty": PENALTY},
    needs_orders=False,
)
