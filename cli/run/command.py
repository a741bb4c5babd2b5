"""`cva run`: dbt build, gates, atomic publish."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.run.build import Run, run_shop
from cva_sql.cli.shop.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    PublishedDir,
    ShopDb,
    StatusCancelled,
    StatusCounts,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import open_shop

AllowEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="Publish even without customers, or with less than half of those published before.",
    ),
]

AcceptDrift = Annotated[
    bool,
    typer.Option(
        "--accept-drift",
        help="Publish even where customers are not those that the model learned from.",
    ),
]

Metrics = Annotated[
    Path | None,
    typer.Option(
        "--metrics", help="Also write what the run found into this file, for Prometheus to read."
    ),
]

Adopt = Annotated[
    bool,
    typer.Option(
        "--adopt",
        help="The database was renamed or moved: take over the folders that it had under its"
        " former name.",
    ),
]


def run(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    status_counts: StatusCounts = None,
    status_cancelled: StatusCancelled = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    published: PublishedDir = None,
    work_dir: WorkDir = None,
    allow_empty: AllowEmpty = False,
    accept_drift: AcceptDrift = False,
    metrics: Metrics = None,
    is_to_adopt: Adopt = False,
    as_json: Json = False,
) -> None:
    """Build the tables, test them, and publish customer_value for readers.

    If anything fails, what was published before stays as it is.
    """
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.shop.owner import adopt

    shop = open_shop(
        db,
        as_of=as_of,
        horizon_days=horizon_days,
        status_counts=status_counts,
        status_cancelled=status_cancelled,
        variables=variables,
        models_dir=models_dir,
        published=published,
        work_dir=work_dir,
        project=project,
    )
    if is_to_adopt:
        adopt(shop)
    with exclusive(shop):
        result = run_shop(shop, allow_empty=allow_empty, accept_drift=accept_drift, metrics=metrics)
    print(json.dumps(asdict(result), indent=2) if as_json else describe(result))


def describe(result: Run) -> str:
    """The result for a person."""
    statuses = ", ".join(f"{count:,} {name}" for name, count in result.statuses.items())
    lines = [f"customer_value as of {result.as_of}: {result.customers:,} customers ({statuses})"]
    if "other_currency" in result.statuses:
        lines.append(
            "other_currency: no rate for the currency of their orders; it converts them: "
            "cva load exchange_rates FILE"
        )
    lines += result.notes
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
