"""What is predicted for the horizon, and by which columns the rules and members follow it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A target by its name in `cva_target`.

    `expected` is what buy till you die says of it, a field of `lifetimes.Expectation`. `decayed`,
    `historic` and `window` are features of the same: faded, all so far, and in the last horizon, or
    in the last `window_days`; `level` is how far decayed was off. With `is_priced` the members
    think in spend, and what a unit of spend is in the target is learned: a margin, or whatever the
    shop's labels count.
    """

    name: str
    expected: str = "spend"
    decayed: str = "decayed_spend"
    historic: str = "historic_value"
    window: str = "spend_horizon_1"
    level: str = "shop_spend_level"
    window_days: int | None = None
    is_priced: bool = False


SPEND = Target("spend")
ORDERS = Target(
    "orders",
    "orders",
    "decayed_orders",
    "orders_count",
    "orders_90d_count",
    "shop_orders_level",
    window_days=90,
)
TARGETS = {
    target.name: target
    for target in (
        SPEND,
        Target("margin", is_priced=True),
        ORDERS,
        Target("labels", is_priced=True),
    )
}
