"""Whether the deployed model has to be trained again: by its age, by drift, by what came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.manifest import Manifest

LIVE = "cva_live_performance"


@dataclass(frozen=True)
class Need:
    """Whether to train, and why or why not."""

    is_needed: bool
    reason: str


def needs_training(shop: ResolvedShop) -> Need:
    """Looks at what the last run built; raises UsageError for a `cva_retrain_days` that is none.

    To be trained are a shop without a model or without a run, a model of another target or horizon
    than is asked for, one that is older than `cva_retrain_days`, one whose customers have drifted
    so far that nothing is published, and one of whose forecasts of the total most of the last
    horizon's lay outside their 90 % interval.
    """
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.sessions import deployed_folder

    days = shop.var("cva_retrain_days")
    if type(days) is not int or days < 1:
        raise UsageError(f"cva_retrain_days is {days!r}; expected a whole number of days from 1 on")
    manifest = read_manifest(deployed_folder(shop.models_dir))
    if manifest.is_baseline or manifest.trained_until is None:
        return Need(True, "no trained model is deployed")
    if other := _asked_otherwise(shop, manifest):
        return Need(True, other)
    as_of = _last_run(shop)
    if as_of is None:
        return Need(True, "no run has looked at the customers yet")
    age = (as_of - manifest.trained_until).days
    version = manifest.version
    if age >= days:
        return Need(True, f"{version} is {age} days old, and cva_retrain_days is {days}")
    found = _drifted(shop, manifest) or _missed(shop, manifest)
    if found:
        return Need(True, found)
    return Need(
        False,
        f"{version} is {age} days old (cva_retrain_days is {days}), customers are those that it "
        "learned from, and what came was within what it said",
    )


def _asked_otherwise(shop: ResolvedShop, manifest: Manifest) -> str | None:
    """Where the shop asks for another forecast than the model makes."""
    if manifest.target != shop.target:
        return f"{manifest.version} predicts {manifest.target}, and cva_target is {shop.target}"
    if manifest.horizon_days not in (None, shop.horizon_days):
        return (
            f"{manifest.version} looks {manifest.horizon_days} days ahead, and cva_horizon_days is "
            f"{shop.horizon_days}"
        )
    return None


def _last_run(shop: ResolvedShop) -> date | None:
    """The date that the tables look from; None where there are none, or of a former version."""
    from cva_sql.cli.run.drift import TABLE as DRIFT
    from cva_sql.cli.shop.connection import connect, find_relation

    con = connect(shop.db, read_only=True)
    try:
        table = find_relation(con, shop.schema, "customer_value")
        if table is None or find_relation(con, shop.schema, DRIFT) is None:
            return None
        rows = con.execute(f"select max(as_of_date) from {table}").fetchall()
    finally:
        con.close()
    found: date | None = rows[0][0]
    return found


def _drifted(shop: ResolvedShop, manifest: Manifest) -> str | None:
    from cva_sql.cli.run.drift import read_drift

    drift = read_drift(shop)
    if drift.blocks and drift.model_version == manifest.version:
        return f"customers are not those that {manifest.version} learned from: {drift.said()}"
    return None


def _missed(shop: ResolvedShop, manifest: Manifest) -> str | None:
    """Where most totals of the windows that ended within the last horizon missed."""
    from cva_sql.cli.shop.connection import connect, find_relation

    con = connect(shop.db, read_only=True)
    try:
        table = find_relation(con, shop.schema, LIVE)
        if table is None:
            return None
        rows = con.execute(
            f"with passed as (select * from {table} where has_passed and model_version = ? "
            "and is_total_within is not null) select count(*), "
            "count(*) filter (not is_total_within), max_by(realised_ratio, ends_on) from passed "
            "where ends_on > (select max(ends_on) from passed) - horizon_days",
            [manifest.version],
        ).fetchall()
    finally:
        con.close()
    windows, missed, ratio = rows[0]
    if not windows or 2 * missed <= windows:
        return None
    return (
        f"{missed} of the last {windows} totals that {manifest.version} forecast came out beyond "
        f"their 90 % interval, the newest at {ratio:.2f} of the forecast"
    )
