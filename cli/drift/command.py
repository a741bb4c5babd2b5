"""`cva drift`: how far today's customers are from those that the deployed model learned from."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from cva_sql.cli.run.drift import Drift, read_drift
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars
from cva_sql.cli.shop.resolver import Need, open_shop


def drift(
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Show how far each input of the model is from what it was trained on, the worst first.

    Reads cva_drift, as the last run built it, published or not. The exit code is 1 where so much
    has moved that the run was not published.
    """
    shop = open_shop(
        db, project=project, variables=variables, models_dir=models_dir, need=Need.DATABASE
    )
    found = read_drift(shop)
    if as_json:
        print(json.dumps({**asdict(found), "blocks": found.blocks}, indent=2))
    else:
        print("\n".join(describe(found)))
    if found.blocks:
        raise typer.Exit(1)


def describe(found: Drift) -> list[str]:
    """The table for a person; ! marks an anomaly."""
    if not found.rows:
        return [
            "nothing to compare with: the deployed model is a rule, or does not know what it was "
            "trained on; the next cva train writes it down"
        ]
    lines = [
        f"as of {found.as_of}, against the training of {found.model_version}",
        f"  {'input':<28}{'metric':<16}{'value':>8}{'usual':>8}{'threshold':>11}{'importance':>12}",
    ]
    for row in found.rows:
        mark = "!" if row.is_anomaly else " "
        lines.append(
            f"{mark} {row.input:<28}{row.metric:<16}{row.value:>8.3f}{row.usual:>8.3f}"
            f"{row.threshold:>11.3f}"
            + (f"{row.importance:>12.1%}" if row.kind != "output" else f"{'output':>12}")
        )
    if found.blocks:
        lines.append(f"too much has moved to publish: {found.said()}")
    elif found.anomalies:
        lines.append(
            f"{len(found.anomalies)} above their threshold, with {found.moved_share:.0%} of what "
            "the model looks at: too little to stop a run"
        )
    else:
        lines.append("nothing above its threshold")
    return lines
