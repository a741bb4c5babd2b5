"""`cva watch`: what arrives is scored and published while it arrives."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cva_sql.cli.load.options import Dates, Decimal, Timezone
from cva_sql.cli.run.command import AcceptDrift, Metrics
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
from cva_sql.cli.shop.progress import count_of
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.load.table import Wanted
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.watch.sources import Source
    from cva_sql.cli.watch.watching import Watched


Raw = Annotated[
    str,
    typer.Option(
        "--raw", help="Folder that files arrive in, or a table of the database, e.g. raw.orders."
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Stop once all that is there is published.")]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")]
Settle = Annotated[
    float,
    typer.Option(
        "--settle", min=0.0, help="Seconds that a file has not been written before it is read."
    ),
]
PresetOf = Annotated[
    str | None,
    typer.Option(
        "--preset", help="Preset, or yml file of your own, of files whose name names no table."
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", help="The page to write after each run. Default: report.html beside --db."
    ),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write no page.")]


def watch(
    raw: Raw,
    is_once: Once = False,
    every: Every = 1.0,
    settle: Settle = 1.0,
    preset: PresetOf = None,
    report: Report = None,
    has_no_report: NoReport = False,
    accept_drift: AcceptDrift = False,
    metrics: Metrics = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    timezone: Timezone = "UTC",
    decimal: Decimal = None,
    dates: Dates = None,
    status_counts: StatusCounts = None,
    status_cancelled: StatusCancelled = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    published: PublishedDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Load files as they arrive, score again and publish; readers never wait.

    A file is what its name begins with or its folder is called: orders-17.csv, or orders/17.csv.
    Files may come late, twice and in any order. One that cannot be loaded is moved to rejected/.
    """
    from cva_sql.cli.load.rows import asked_for
    from cva_sql.cli.load.table import Wanted
    from cva_sql.cli.report.writing import refuse_page
    from cva_sql.cli.shop.resolver import Need, open_shop
    from cva_sql.cli.watch.watching import Pace, Wish, watch_shop

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
        need=Need.NOTHING,
    )
    page = None if has_no_report else report or shop.db.parent / "report.html"
    if page is not None:
        refuse_page(page, shop.db, "name another: --report FILE, or --no-report")
    source = _source(
        shop,
        raw,
        settle,
        preset,
        Wanted(
            {},
            asked=asked_for(decimal, dates),
            status_counts=status_counts or (),
            status_cancelled=status_cancelled or (),
        ),
        timezone,
    )
    tell = partial(_print, as_json=as_json)
    wish = Wish(page, metrics, accept_drift)
    done = watch_shop(shop, source, Pace(every, is_once), wish, tell)
    if is_once and not done.runs:
        tell(done)


def _source(
    shop: ResolvedShop,
    raw: str,
    settle: float,
    preset: str | None,
    wanted: Wanted,
    timezone: str,
) -> Source:
    """The folder or table that --raw names; raises UsageError where it is neither."""
    from cva_sql.cli.load.by_preset import find_named
    from cva_sql.cli.load.table import Into
    from cva_sql.cli.shop.connection import connect, find_relation
    from cva_sql.cli.shop.expressions import shortened
    from cva_sql.cli.watch.arriving import Reading
    from cva_sql.cli.watch.folder import Settling
    from cva_sql.cli.watch.sources import Folder, Table

    named = find_named(preset) if preset is not None else None
    if Path(raw).is_dir():
        into = Into(str(shop.var("cva_raw_schema")), append=True, timezone=timezone)
        _refuse_own_files(shop, Path(raw))
        return Folder(Path(raw), shop.db, Reading(named, wanted, into), Settling(settle))
    schema, _, name = raw.rpartition(".")
    schema = schema or str(shop.var("cva_raw_schema"))
    if shop.db.is_file():
        con = connect(shop.db, read_only=True)
        try:
            is_there = find_relation(con, schema, name) is not None
        finally:
            con.close()
        if is_there:
            return Table(schema, name)
    raise UsageError(
        f"--raw {shortened(raw)} is no folder, and no table of {shop.db}; expected where files"
        f" arrive, e.g. --raw arriving, or a table, e.g. --raw raw.orders"
    )


def _refuse_own_files(shop: ResolvedShop, folder: Path) -> None:
    """Raises UsageError where the folder holds what is the shop's, which is no file of rows."""
    inside = folder.resolve()
    for own in (shop.db, shop.models_dir, shop.published, shop.work_dir):
        if own.resolve().is_relative_to(inside):
            raise UsageError(
                f"--raw {folder} holds {own.name} of the shop; expected a folder that only files"
                " arrive in, e.g. --raw arriving"
            )


def _print(done: Watched, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(done)), flush=True)
        return
    from cva_sql.cli.run.command import describe

    said = f"{count_of(done.files, 'file')} with {count_of(done.rows, 'row')} loaded"
    if done.rejected:
        said += f", {len(done.rejected):,} rejected"
    print(said)
    print(describe(done.last) if done.last else "nothing to publish", flush=True)
