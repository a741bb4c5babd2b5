"""`cva check-features`: does a feature look past as_of_date? Take the future away, and see."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from cva_sql.cli.check_features.check import Check, check_shop
from cva_sql.cli.shop.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import open_shop, parse_date


def check_features(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Find features that look into the future, your own included, on a copy of the database.

    Builds them as of a past date twice: from the whole tables, and from tables without what came
    on that date or later. Names each feature that differs and exits with 1. Nothing is left behind.
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
    day = parse_date(as_of, "--as-of") if as_of is not None else None
    with exclusive(shop):
        result = check_shop(shop, day)
    print(json.dumps(asdict(result), indent=2) if as_json else describe(result))
    if result.differences:
        raise typer.Exit(1)


def describe(result: Check) -> str:
    """The result for a person."""
    lines = [
        f"features as of {result.as_of}: {result.features} of {result.customers:,} customers, "
        "built from the whole tables and from tables without what came later"
    ]
    for table in result.tables:
        why = f"by {table.by}" if table.by else "no column to cut by, taken whole"
        gone = table.rows - table.left
        lines.append(f"  {table.name}: {gone:,} of {table.rows:,} rows less, {why}")
    lines += [f"  note: {note}" for note in result.notes]
    for found in result.differences:
        model = f" (model {found.model})" if found.model else ""
        lines.append(
            f"{found.feature}{model} looks into the future: it differs for {found.customers:,} "
            f"customers, e.g. {found.example}: {found.whole or 'null'} from the whole tables, "
            f"{found.cut or 'null'} without what came later"
        )
    if result.differences:
        lines.append("a model trained on these knows what it should predict; keep rows on or after")
        lines.append("as_of_date out, e.g. where ordered_at < spine.as_of_date")
    else:
        lines.append("no feature looks into the future")
    return "\n".join(lines)
