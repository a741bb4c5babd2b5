"""Learns what recommends best in a shop, deploys it, and makes the first lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.run.baskets import EPOCH, Sold, read_sold
from cva_sql.cli.run.margins import check_margins, without_margin
from cva_sql.cli.run.recommendations import (
    COUNT_VAR,
    DAYS_VAR,
    check_names,
    drop_recommendations,
    fill_recommendations,
    whole_number,
)
from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.owner import Owned
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.recommend.choice import Choice
    from cva_sql.udfs.manifest import Manifest


@dataclass(frozen=True)
class Recommended:
    """What won, why, and how everything did in the days that judged; `rows` of lists were made.

    `scoring` is the version that makes lists from now on, `is_deployed` whether it is this one;
    `not_compared` could have recommended too, if the extra `recommend` were installed.
    `without_margin` is how many products that may be offered have no known margin, None where
    nothing asks for margins. `new_customers` is what who has no order gets, and why.
    """

    version: str
    is_deployed: bool
    reason: str
    scoring: str | None
    rows: int
    judged_on: str | None
    figures: dict[str, dict[str, float]]
    not_compared: tuple[str, ...] = ()
    without_margin: int | None = None
    new_customers: str = ""


def _entry(found: Recommended) -> Entry:
    return Entry(rows=found.rows, model_version=found.version)


@recording("recommend", _entry, Owned.MODELS)
def recommend_shop(shop: ResolvedShop) -> Recommended:
    """Judges everything that recommends, deploys the winner and writes the tables.

    Works on what the last run built. Raises CvaError where no order names its products.
    """
    from cva_sql.cli.shop.model_store import note_deployed, store_model
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.deployment import settle
    from cva_sql.models_onnx.recommend.registry import not_installed
    from cva_sql.udfs.manifest import read_manifest

    horizon = whole_number(shop, DAYS_VAR, 365)
    whole_number(shop, COUNT_VAR, 1000)
    check_margins(shop)
    with step("reading orders and their products"):
        sold = _read(shop)
    with step("judging what recommends"):
        choice, onnx, manifest = _learn(shop, sold, horizon)
    stored = read_manifest(store_model(shop.models_dir, onnx, manifest))
    settled = settle(
        shop.models_dir, stored, is_better=True, reason=choice.verdict, kind=stored.name
    )
    note_deployed(shop, "recommend")
    with step("making recommendations"):
        rows = fill_recommendations(shop)
    return Recommended(
        stored.version,
        settled.is_deployed,
        settled.reason,
        settled.scoring,
        rows or 0,
        choice.judged_on,
        choice.figures(),
        tuple(not_installed()),
        without_margin(shop, sold.margin[~(sold.excluded | sold.sold_out)]),
        str(manifest.evaluation["new_customers"]),
    )


@recording("recommend", lambda _: Entry(), Owned.MODELS)
def withdraw_shop(shop: ResolvedShop) -> list[str]:
    """Lets nothing recommend any more, and drops the tables; says which there were."""
    from cva_sql.cli.shop.model_store import note_deployed, withdraw
    from cva_sql.models_onnx.recommend.export import KIND

    withdraw(shop.models_dir, KIND)
    note_deployed(shop, "recommend")
    return drop_recommendations(shop)


def _read(shop: ResolvedShop) -> Sold:
    from cva_sql.cli.shop.connection import connect

    con = connect(shop.db, read_only=True)
    try:
        check_names(con, shop.schema)
        sold = read_sold(con, shop)
    finally:
        con.close()
    given = shop.var("cva_as_of")
    built = date.fromordinal(EPOCH + sold.day).isoformat() if sold else None
    if given is not None and built is not None and str(given) != built:
        raise UsageError(
            f"cva_as_of is {given}, but the tables are as of {built}, and are what is learned "
            f"from; build them for that day with: {shop.command(f'run --as-of {given}')}"
        )
    if sold is None:
        raise CvaError(
            f"{shop.db} has no order whose products are known; load them with: cva load "
            f"order_items FILE --db {shop.db}, then: {shop.command('run')}"
        )
    return sold


def _learn(shop: ResolvedShop, sold: Sold, horizon: int) -> tuple[Choice, bytes, Manifest]:
    from cva_sql.cli.shop.progress import say
    from cva_sql.models_onnx.recommend.choice import choose
    from cva_sql.models_onnx.recommend.cold_choice import choose_cold
    from cva_sql.models_onnx.recommend.export import build_manifest, export
    from cva_sql.models_onnx.recommend.registry import all_candidates

    choice = choose(
        sold.baskets,
        sold.day,
        horizon,
        all_candidates(),
        lambda text: say(f"  {text}"),
        excluded=sold.excluded,
    )
    new = choose_cold(sold.baskets, sold.groups, sold.day, horizon, sold.excluded)
    onnx = export(choice)
    manifest = build_manifest(
        choice,
        onnx,
        as_of=date.fromordinal(EPOCH + sold.day).isoformat(),
        horizon=horizon,
        database=shop.db.name,
        first_order=date.fromordinal(EPOCH + sold.first_day).isoformat(),
        new=new,
    )
    return choice, onnx, manifest
