"""Builds, checks and publishes a shop's tables."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.history import RUN_VARIABLE, Entry, recording, run_id_of, running_since
from cva_sql.cli.shop.owner import Owned
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.run.gates import Gate
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.manifest import Manifest

RECOMMENDER = "recommendations"  # the kind of model that cva recommend deploys


@dataclass(frozen=True)
class Run:
    """What a run made: counts, rejects by table and reason, where it was published.

    `texts_encoded` are the texts read in this run, `text_statuses` the reviews by the status of
    their text ('' is fine); both empty without reviews. `notes` are what is unclear in
    the data: what was made of it, and the option that settles it.
    """

    as_of: str | None
    customers: int
    statuses: dict[str, int]
    rejects: list[dict[str, Any]]
    texts_encoded: int
    text_statuses: dict[str, int]
    model_version: str
    parity: float
    published: str
    notes: tuple[str, ...] = ()


def _entry(run: Run) -> Entry:
    rejected = sum(reject["rows"] for reject in run.rejects)
    return Entry(run.as_of, run.customers, rejected, run.model_version)


@recording("run", _entry, Owned.PUBLISHED)
def run_shop(
    shop: ResolvedShop,
    *,
    allow_empty: bool = False,
    accept_drift: bool = False,
    metrics: Path | None = None,
    with_lists: bool = True,
) -> Run:
    """Builds, checks and publishes; raises CvaError with nothing published.

    `allow_empty`: also without customers, or with less than half of those published before.
    `accept_drift`: also where customers are not those that the model learned from. `metrics` is a
    file for Prometheus. Without `with_lists` recommendations stay those of before, but for who may
    have none any more.
    """
    from cva_sql.cli.embed.texts import count_texts
    from cva_sql.cli.run.drift import check_drift
    from cva_sql.cli.run.gates import check_customers, check_scores
    from cva_sql.cli.run.metrics import check_metrics_file, write_metrics
    from cva_sql.cli.run.publish import publish
    from cva_sql.cli.shop.dbt_runner import run_dbt
    from cva_sql.cli.shop.progress import step
    from cva_sql.udfs.journal import clear_journals

    started = time.monotonic()
    if metrics is not None:
        check_metrics_file(metrics)
    folder = _check_first(shop)
    texts = count_texts(shop)
    run_id = run_id_of(running_since(shop.db))
    with step("building and testing the tables"):
        variables = {"cva_allow_empty": True} if allow_empty else {}
        notes = run_dbt(shop, "build", variables=variables, environment={RUN_VARIABLE: run_id})
    if not allow_empty:
        check_customers(shop)
    with step("checking the scores against the model file"):
        gate = check_scores(shop, folder)
    drift = check_drift(shop, is_accepted=accept_drift)
    notes += _recommend(shop, with_lists=with_lists)
    clear_journals(shop.work_dir, shop.db.stem)  # what a killed run left is in the table by now
    with step("publishing"):
        publish(shop, run_id)
    run = _made(shop, gate, texts, notes)
    if metrics is not None:
        write_metrics(shop, metrics, run, drift, time.monotonic() - started)
    return run


def _recommend(shop: ResolvedShop, *, with_lists: bool = True) -> tuple[str, ...]:
    """Makes the lists anew where a recommender is deployed; nothing else is even imported.

    One that fails leaves the lists as they were, and says so: the values are published without it.
    """
    from cva_sql.cli.shop.model_store import deployed_version
    from cva_sql.cli.shop.progress import step

    if deployed_version(shop.models_dir, RECOMMENDER) is None:
        return ()
    from cva_sql.cli.run.recommendations import fill_recommendations, prune_recommendations

    try:
        if not with_lists:
            prune_recommendations(shop)
            return ()
        with step("making recommendations"):
            fill_recommendations(shop)
    except CvaError as error:
        remedy = shop.command("recommend")
        return (f"recommendations are those of before: {error}; learn anew with: {remedy}",)
    return ()


def _check_recommending(shop: ResolvedShop) -> None:
    """Raises CvaError or UsageError for a name or var that no lists can be made with."""
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.model_store import deployed_version

    if deployed_version(shop.models_dir, RECOMMENDER) is None:
        return
    from cva_sql.cli.run.baskets import checked_products
    from cva_sql.cli.run.margins import check_margins
    from cva_sql.cli.run.recommendations import COUNT_VAR, check_names, whole_number

    whole_number(shop, COUNT_VAR, 1000)
    checked_products(shop)
    check_margins(shop)
    con = connect(shop.db, read_only=True)
    try:
        check_names(con, shop.schema)
    finally:
        con.close()


def _check_first(shop: ResolvedShop) -> Path:
    """The folder of the model that scores; raises CvaError for what would cost a build in vain."""
    from cva_sql.cli.run.publish import check_place
    from cva_sql.cli.shop.model_store import require_target
    from cva_sql.udfs.sessions import deployed_folder, load_model

    check_place(shop)
    require_target(shop)
    _check_recommending(shop)
    folder = deployed_folder(shop.models_dir)
    _check_database(shop, load_model(folder).manifest)  # an altered file is noticed by loading it
    return folder


def _made(shop: ResolvedShop, gate: Gate, texts: int, notes: tuple[str, ...]) -> Run:
    """What the run made, of which `texts` were read before it."""
    from cva_sql.cli.embed.texts import count_texts, status_counts
    from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE

    as_of, statuses, rejects = _summary(shop)
    return Run(
        as_of,
        sum(statuses.values()),
        statuses,
        rejects,
        max(0, count_texts(shop) - texts),
        status_counts(shop),
        gate.model_version,
        gate.worst,
        str(shop.published / CURRENT / PUBLISHED_FILE),
        notes,
    )


def _check_database(shop: ResolvedShop, manifest: Manifest) -> None:
    """Raises CvaError where the model is another database's, unless its folder was adopted."""
    from cva_sql.cli.shop.owner import other_database

    name = other_database(shop.models_dir, shop.db, manifest.training.get("database"))
    if name is not None:
        raise CvaError(
            f"{shop.models_dir} has a model trained on {name}, not on {shop.db.name}; name others"
            f" by --models-dir; if {name} was renamed: {shop.command('run')} --adopt"
        )


def _summary(shop: ResolvedShop) -> tuple[str | None, dict[str, int], list[dict[str, Any]]]:
    from cva_sql.cli.shop.connection import connect

    con = connect(shop.db)
    try:
        dates = con.execute(
            f"select max(as_of_date)::varchar from {shop.schema}_cva.int_cva__as_of_dates"
        ).fetchall()
        statuses = con.execute(
            f"select score_status, count(*) from {shop.schema}.customer_value group by 1 order by 1"
        ).fetchall()
        rejects = con.execute(
            "select table_name, reason, row_count, raw_row_count "
            f"from {shop.schema}_cva.cva_rejects where row_count > 0 "
            "order by table_name, row_count desc, reason"
        ).fetchall()
    finally:
        con.close()
    keys = ("table", "reason", "rows", "of")
    return dates[0][0], dict(statuses), [dict(zip(keys, row, strict=True)) for row in rejects]
