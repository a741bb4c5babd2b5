"""`cva doctor`: what is there, what is wrong with it, what to do next."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from cva_sql.cli.doctor.examination import examine
from cva_sql.cli.doctor.report import describe
from cva_sql.cli.shop.options import (
    Json,
    ModelsDir,
    ProjectDir,
    PublishedDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import Need, open_shop


def doctor(
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    published: PublishedDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Look at versions, models and tables, and say what to do next. Nothing is written.

    The exit code is 1 where something is broken: a file that is not what its manifest says, a
    required column that is missing, a database that cannot be read.
    """
    report = examine(
        open_shop(
            db,
            project=project,
            variables=variables,
            models_dir=models_dir,
            published=published,
            work_dir=work_dir,
            need=Need.DATABASE,
        )
    )
    print(json.dumps(asdict(report), indent=2) if as_json else "\n".join(describe(report)))
    if not report.is_fine:
        raise typer.Exit(1)
