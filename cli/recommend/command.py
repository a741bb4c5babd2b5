"""`cva recommend`: what to offer each customer next."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Annotated

import typer

from cva_sql.cli.recommend.learning import Recommended, recommend_shop, withdraw_shop
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars, WorkDir
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.resolver import open_shop

SHOWN = ("recall", "ndcg", "map", "recall_rebuys", "recall_new", "coverage")
NEEDS_EXTRA = "not compared, needs: pip install 'cva-sql[recommend]'"
MEDIAN = ": ordered as if it were the median of the others, and left out for none"
NOTHING = (
    "; every product is left out: sold to nobody for 180 days, at no price, or by the var "
    "cva_recommended_products"
)


def recommend(
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    is_to_withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Make no lists any more, and drop their tables.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Learn what to offer each customer next, and write the table recommendations.

    Judges each way to recommend by what customers bought afterwards; the best makes the lists, in
    each cva run from then on. Needs order_items, and tables that cva run built.
    """
    from cva_sql.cli.shop.lock import exclusive

    shop = open_shop(
        db, variables=variables, models_dir=models_dir, work_dir=work_dir, project=project
    )
    with exclusive(shop):
        if is_to_withdraw:
            dropped = withdraw_shop(shop)
            print(json.dumps({"dropped": dropped}) if as_json else _withdrawn(dropped))
            return
        found = recommend_shop(shop)
    from cva_sql.udfs.manifest import plain

    print(
        json.dumps(plain(asdict(found)), indent=2)
        if as_json
        else describe(found, shop.command("run"))
    )


def _withdrawn(dropped: list[str]) -> str:
    return f"dropped {', '.join(dropped)}" if dropped else "nothing recommended here"


def _figure(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def describe(found: Recommended, next_command: str) -> str:
    """The result for a person."""
    lines = []
    if found.figures:
        lines.append(f"judged by what was bought from {found.judged_on} on, lists of 10:")
        lines.append(f"  {'':<18}" + "".join(f"{name:>15}" for name in SHOWN))
        best = sorted(found.figures, key=lambda name: -found.figures[name]["ndcg"])
        for name in best:
            cells = "".join(f"{_figure(found.figures[name][shown]):>15}" for shown in SHOWN)
            lines.append(f"  {name:<18}{cells}")
        lines += [f"  {name:<18}{NEEDS_EXTRA:>15}" for name in found.not_compared]
    word = "deployed" if found.is_deployed else "not deployed"
    lines.append(f"{word} {found.version}: {found.reason}")
    if found.new_customers:
        lines.append(f"without an order: {found.new_customers}")
    lines.append(f"recommendations: {found.rows:,} rows" + ("" if found.rows else NOTHING))
    if found.without_margin:
        lines.append(f"{count_of(found.without_margin, 'product')} without a known margin{MEDIAN}")
    lines.append(f"publish them with: {next_command}")
    return "\n".join(lines)
