"""`cva run`: dbt build, gates, atomic publish."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    open_shop,
)
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.dbt import Shop
    from cva_sql.udfs.manifest import Manifest


@dataclass(frozen=True)
class Run:
    """What a run made: counts, rejects by table and reason, where it was published.

    `texts_encoded` are the texts read in this run, `text_statuses` the reviews by the status of
    their text ('' is fine); both empty without reviews.
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


def run(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Build the tables, test them, and publish customer_value for readers.

    If anything fails, what was published before stays as it is.
    """
    from cva_sql.cli.dbt import exclusive

    shop = open_shop(
        db,
        as_of=as_of,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        project=project,
    )
    with exclusive(shop):
        result = run_shop(shop)
    print(json.dumps(asdict(result), indent=2) if as_json else describe(result))


def run_shop(shop: Shop) -> Run:
    """Builds, checks and publishes; raises CvaError with nothing published."""
    from datetime import UTC, datetime

    from cva_sql.cli.dbt import run_dbt
    from cva_sql.cli.gates import check_scores
    from cva_sql.cli.progress import step
    from cva_sql.cli.publish import CURRENT, DATABASE, publish
    from cva_sql.cli.texts import count_texts, status_counts
    from cva_sql.udfs.journal import clear_journals
    from cva_sql.udfs.sessions import deployed_folder, load_model

    folder = deployed_folder(shop.models_dir)
    # Neither an altered file nor another shop's model should cost a build to be noticed.
    _check_database(shop, load_model(folder).manifest)
    texts = count_texts(shop)
    with step("building and testing the tables"):
        run_dbt(shop, "build")
    with step("checking the scores against the model file"):
        gate = check_scores(shop, folder)
    clear_journals(shop.work_dir, shop.db.stem)  # what a killed run left is in the table by now
    with step("publishing"):
        publish(shop, datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f"))
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
        str(shop.published / CURRENT / DATABASE),
    )


def _check_database(shop: Shop, manifest: Manifest) -> None:
    trained_on = manifest.training.get("database")
    if trained_on is not None and trained_on != shop.db.name:
        raise CvaError(
            f"{shop.models_dir} has a model trained on {trained_on}, not on {shop.db.name}; keep "
            f"shops in folders of their own, or retrain with: cva train{shop.naming}"
        )


def _summary(shop: Shop) -> tuple[str | None, dict[str, int], list[dict[str, Any]]]:
    from cva_sql.cli.options import connect

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


def describe(result: Run) -> str:
    """The result for a person."""
    statuses = ", ".join(f"{count:,} {name}" for name, count in result.statuses.items())
    lines = [f"customer_value as of {result.as_of}: {result.customers:,} customers ({statuses})"]
    lines.append(
        f"scored by {result.model_version}; table and file agree within {result.parity:.0e}"
    )
    if result.text_statuses:
        counts = ", ".join(
            f"{count:,} {status or 'fine'}" for status, count in result.text_statuses.items()
        )
        lines.append(f"review texts: {counts}; {result.texts_encoded:,} read in this run")
    for reject in result.rejects:
        lines.append(
            f"not used: {reject['rows']:,} of {reject['of']:,} rows of {reject['table']}: "
            f"{reject['reason']}"
        )
    lines.append(f"published: {result.published}")
    return "\n".join(lines)
