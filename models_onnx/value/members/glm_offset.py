"""A Tweedie regression of what there is to add to buy-till-you-die's log of expected spend."""

from __future__ import annotations

from cva_sql.models_onnx.value.estimators.linear import (
    PENALTY,
    TWEEDIE_POWER,
    fit_spend_linear,
)
from cva_sql.models_onnx.value.members.contract import Examples, LinearMember, Member


def fit(examples: Examples) -> LinearMember:
    """The regression with that log as its offset."""
    found = fit_spend_linear(
        examples.rows.z,
        examples.value,
        examples.weight,
        examples.spend_offset,
        examples.signs,
        examples.settings["penalty"],
    )
    return LinearMember(1.0, found)


MEMBER = Member(
    name="glm_offset",
    place=20,
    weight=0.2,
    kind="glm",
    fit=fit,
    settings={"tweedie_power": TWEEDIE_POWER},
    tunable={"penalty": PENALTY},
)
