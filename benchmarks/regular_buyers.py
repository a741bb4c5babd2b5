"""Forecasts for customers who buy like clockwork, like a Poisson stream, and in between.

    .venv/bin/python benchmarks/regular_buyers.py [--customers 20000] [--fix 1]

Simulates shops whose customers come over two years, fits buy till you die to what is known of them
on one day and compares the 90 days from then on with it: bias by tenth of the customers by
frequency, the deviance explained and the absolute error beside each rule's, how soon a rhythm that
was given up is noticed, and how well the day of the next order is met. `--fix` sets the number of
stages in place of the shop's own.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from make_prior import KINDS, Floats, Kind, beta, gaps, spends

from cva_sql.models_onnx.value.estimators.btyd import fit_dropout
from cva_sql.models_onnx.value.estimators.forecasts import (
    expected_orders,
    p_alive,
    purchase_probability,
)
from cva_sql.models_onnx.value.estimators.prior import shop_priors
from cva_sql.models_onnx.value.estimators.regularity import choose_stages
from cva_sql.models_onnx.value.judging.metrics import d2_tweedie, mae

TODAY, HORIZON, SEED = 730.0, 90.0, 11
SHOPS = {
    "Poisson": KINDS["fashion"],
    "k = 3": KINDS["regular"],
    "monthly": KINDS["subscriptions"],
    "weekly": Kind(gaps(12, 6, 8), beta(1, 40), spends(0.4, 6)),
    "groceries": KINDS["groceries"],
    "wholesaler": KINDS["wholesale"],
}


@dataclass(frozen=True)
class Shop:
    """Of each customer known on TODAY, (customers,): what is known of them and what follows.

    `next_day` counts from TODAY, NaN where none comes; `stopped` says that none would ever.
    """

    x: Floats
    t_x: Floats
    T: Floats
    gap_mean: Floats
    gap_std: Floats
    recent: Floats
    decayed: Floats
    later: Floats
    next_day: Floats
    stopped: Floats


def draw_days(kind: Kind, random: np.random.Generator) -> tuple[Floats, bool]:
    """Days with an order until HORIZON after TODAY, and whether the customer stopped before it."""
    gap, stops = kind.gap(random), kind.stops(random)
    time, times, stopped = random.uniform(0, TODAY), [], False
    while time < TODAY + HORIZON:
        times.append(time)
        if random.random() < stops:
            stopped = True
            break
        time += gap()
    return np.unique(np.floor(times)), stopped


def simulate(kind: Kind, customers: int) -> Shop:
    """A shop of a kind of customers."""
    random = np.random.default_rng(SEED)
    rows = []
    for _ in range(customers):
        days, stopped = draw_days(kind, random)
        past, later = days[days < TODAY], days[days >= TODAY]
        gaps = np.diff(past)
        rows.append(
            (
                len(past) - 1.0,
                past[-1] - past[0],
                TODAY - past[0],
                gaps.mean() if len(gaps) else np.nan,
                gaps.std() if len(gaps) > 1 else np.nan,
                float(np.sum(past >= TODAY - HORIZON)),
                float(np.sum(np.exp(-(TODAY - past) / 180))),
                float(len(later)),
                later[0] - TODAY if len(later) else np.nan,
                float(stopped and not len(later)),
            )
        )
    return Shop(*(np.array(column) for column in zip(*rows, strict=True)))


def rescaled(told: Floats, actual: Floats) -> Floats:
    return told * (actual.sum() / told.sum())


def report(name: str, shop: Shop, fixed: int | None) -> None:
    """Prints what came of a shop."""
    stages = fixed or choose_stages(shop.x, shop.gap_mean, shop.gap_std)
    model = fit_dropout(shop.x, shop.t_x, shop.T, prior=shop_priors().dropout, stages=stages)
    rows = (model, shop.x, shop.t_x, shop.T)
    orders, alive = expected_orders(*rows, HORIZON), p_alive(*rows)
    chance = purchase_probability(*rows, HORIZON)
    print(
        f"{name}: {stages} stages, r {model.r:.2f}, a purchase every "
        f"{model.alpha * stages / model.r:.1f} days, dropout {model.a / (model.a + model.b):.3f}; "
        f"{shop.later.sum():,.0f} orders, expected {orders.sum():,.0f}; probability "
        f"{chance.mean():.3f}, bought {np.mean(shop.later > 0):.3f}"
    )
    # Who bought as often is in one of them, so there may be less than ten.
    place = np.searchsorted(np.unique(np.quantile(shop.x, np.arange(1, 10) / 10)), shop.x)
    cells = []
    for tenth in (place == number for number in np.unique(place)):
        told, came = orders[tenth].mean(), shop.later[tenth]
        off = told / max(came.mean(), 1e-9) - 1
        error = came.std() / np.sqrt(len(came)) / max(came.mean(), 1e-9)
        mark = "" if abs(off) <= max(0.05, 2 * error) else "!"
        cells.append(f"{came.mean():.2f}{off:+.1%}{mark}")
    print("  orders and bias by tenth of frequency: " + " ".join(cells))
    rules = {
        "last 90 days": shop.recent,
        "decayed": shop.decayed,
        "rate of all days": (shop.x + 1) / shop.T,
    }
    told = {"buy till you die": orders} | rules
    for who, guess in told.items():
        level = rescaled(guess, shop.later)
        print(
            f"  {who:18} D2 {d2_tweedie(shop.later, np.maximum(level, 0.02 * level.mean())):6.3f}  "
            f"MAE {mae(shop.later, level):.3f}"
            + (f" (as is {mae(shop.later, guess):.3f})" if who != "rate of all days" else "")
        )
    late = (TODAY - (TODAY - shop.T + shop.t_x)) / shop.gap_mean
    gone = (shop.stopped > 0) & (shop.x >= 3)
    for least, most in ((1.0, 1.5), (1.5, 2.0), (2.0, 3.0)):
        group = gone & (late > least) & (late <= most)
        going = ~gone & (shop.x >= 3) & (late > least) & (late <= most)
        print(
            f"  last order {least}-{most} gaps ago: of {group.sum():,} who stopped "
            f"{np.mean(alive[group] < 0.5):.0%} are noticed; of {going.sum():,} who go on "
            f"{np.mean(alive[going] < 0.5) if going.any() else 0:.0%} are called gone"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--fix", type=int, help="Number of stages.")
    parser.add_argument("--shops", default=",".join(SHOPS))
    arguments = parser.parse_args()
    for name in arguments.shops.split(","):
        report(name, simulate(SHOPS[name], arguments.customers), arguments.fix)


if __name__ == "__main__":
    main()
