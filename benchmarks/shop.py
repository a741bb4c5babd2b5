"""Synthetic shops: one of any size in SQL, 20 orders a customer over 1,000 days, and MBG/NBD's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ORDERS_EACH = 20


def live(
    rng: np.random.Generator,
    rate: NDArray[np.float64],
    leaving: NDArray[np.float64],
    born: NDArray[np.float64],
    end: float,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(who, when) of all orders before `end` of MBG/NBD customers, the first of each at `born`.

    Each is a Poisson stream of this `rate` who may leave after any order.
    """
    who, when = [], []
    alive, now = np.ones(len(rate), bool), born.copy()
    while alive.any():
        at = np.flatnonzero(alive)
        who.append(at)
        when.append(now[at])
        alive[at] = rng.random(len(at)) >= leaving[at]
        now[at] += rng.exponential(1 / rate[at])
        alive &= now < end
    return np.concatenate(who), np.concatenate(when)


def make_shop(db: Path, customers: int) -> None:
    """Writes raw.orders into a new database; customers differ in rate, amount and span."""
    import duckdb

    con = duckdb.connect(str(db))
    con.execute("create schema raw").fetchall()
    con.execute(
        f"""
        create table raw.orders as
        with draws as (
            select
                i,
                hash(i * 11 + 1) % 1000000 / 1000000.0 as u,
                -- A few customers order a lot: the square of a uniform number picks one.
                cast(floor(power(hash(i * 7 + 3) % 1000000 / 1000000.0, 2) * {customers})
                    as bigint) as customer
            from range({customers * ORDERS_EACH}) as t(i)
        )
        select
            'o' || i as order_id,
            'c' || customer as customer_id,
            timestamp '2022-01-01' + to_seconds(cast(
                floor(86400000 * u * (0.2 + hash(customer) % 1000 / 1250.0)) as bigint
            )) as ordered_at,
            cast(5 + exp(3 + (hash(i * 3 + 2) % 1000 + hash(customer * 5) % 1000) / 1000.0)
                as decimal(18, 4)) as amount,
            'paid' as status
        from draws
        """
    ).fetchall()
    con.close()
