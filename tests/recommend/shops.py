"""Small shops whose best recommendation is known, because it was put there."""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, make_baskets

START = 18_000  # a day in 2019


def shop_of_habits(customers: int = 300, days: int = 400, seed: int = 3) -> Baskets:
    """Each customer buys a product of their own every 14 days, and with it its partner.

    Products p00 to p39 are staples, q00 to q39 their partners; s00 is what half the orders hold.
    """
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        staple = customer % 40
        day = int(random.integers(0, 14))
        while day < days:
            order = f"o{customer}-{day}"
            rows.append((f"c{customer:03}", order, f"p{staple:02}", START + day, 2.0))
            if random.random() < 0.5:
                rows.append((f"c{customer:03}", order, f"q{staple:02}", START + day, 3.0))
            if random.random() < 0.5:
                rows.append((f"c{customer:03}", order, "s00", START + day, 1.0))
            other = int(random.integers(0, 40))
            rows.append((f"c{customer:03}", order, f"r{other:02}", START + day, 1.0))
            day += 14 + int(random.integers(-2, 3))
    return of_rows(rows)


def of_rows(rows: list[tuple[str, str, str, int, float]], **more: object) -> Baskets:
    """Baskets of (customer, order, product, day, price)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return make_baskets(*columns, **more)  # type: ignore[arg-type]
