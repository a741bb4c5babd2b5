"""`cva report`: one HTML file that says what the tables say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.report.writing import SectionState, Written, write_report
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars
from cva_sql.cli.shop.resolver import Need, open_shop


def report(
    db: ShopDb = None,
    project: ProjectDir = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="The file to write; a report that nobody changed is replaced."),
    ] = Path("report.html"),
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Write what the tables say into one HTML file that opens offline, for a person to read.

    Needs `cva run`. After `cva evaluate` the section on quality is about past dates with intervals;
    before, it shows training's own validation.
    """
    shop = open_shop(
        db, variables=variables, models_dir=models_dir, project=project, need=Need.DATABASE
    )
    written = write_report(shop, out)
    print(json.dumps(asdict(written)) if as_json else describe(written))


def describe(written: Written) -> str:
    """The result in one line."""
    return f"{written.path}: {written.bytes / 1000:,.0f} kB; {_left_out(written.sections)}"


def _left_out(sections: Sequence[SectionState]) -> str:
    """The sections left out, those for one reason together."""
    names: dict[str, list[str]] = {}
    for section in sections:
        if section.left_out:
            names.setdefault(section.left_out, []).append(section.name)
    out = [f"{', '.join(found)} ({reason})" for reason, found in names.items()]
    return f"left out: {'; '.join(out)}" if out else "all sections are in it"
