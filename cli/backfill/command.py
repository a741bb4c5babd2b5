"""`cva backfill`: fills customer_value_history with dates of before."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cva_sql.cli.backfill.filling import Backfilled, Step, backfill_shop
from cva_sql.cli.shop.options import (
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import open_shop, parse_date


def backfill(
    first: Annotated[
        str, typer.Option("--from", metavar="DATE", help="The first date to look from.")
    ],
    step: Annotated[Step, typer.Option("--step", help="How far apart the dates are.")] = Step.MONTH,
    is_to_replace: Annotated[
        bool, typer.Option("--replace", help="Do dates again that an earlier backfill did.")
    ] = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Fill customer_value_history with past dates, each by a model trained as of it.

    Works on a copy of the database, from which what came on a date or later is taken away. What a
    run said of a date stays. The next cva run publishes it, with segment_flows.
    """
    from cva_sql.cli.shop.lock import exclusive

    shop = open_shop(
        db,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        project=project,
    )
    start = parse_date(first, "--from")
    with exclusive(shop):
        result = backfill_shop(shop, start, step.value, is_to_replace=is_to_replace)
    print(
        json.dumps(asdict(result), indent=2) if as_json else describe(result, shop.command("run"))
    )


def describe(result: Backfilled, following: str) -> str:
    """The result for a person."""
    lines = [
        f"{day.as_of}: {day.customers:,} customers, {day.model_version}" for day in result.dates
    ]
    if result.kept:
        lines.append(f"left as they are: {', '.join(result.kept)}")
    lines.append(f"publish them with: {following}" if result.dates else "nothing to fill")
    return "\n".join(lines)
