"""`cva train`: learn from the past, and let the model score only if it beats the rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from cva_sql.cli.dbt import Shop

MAX_ROWS = 300_000  # examples; more add minutes and hardly any quality


@dataclass(frozen=True)
class Trained:
    """What `cva train` found. `version` is None where nothing could be fitted."""

    version: str | None
    is_deployed: bool
    reason: str
    scores: dict[str, dict[str, float]]
    validation_dates: tuple[str, ...]
    parity: float | None
    examples: int


def train(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Train the value model on past dates and deploy it if it beats the rules.

    Nothing after --as-of is learned from. Where a rule does as well, or the history is too short,
    the rule goes on scoring, and this says so.
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
        trained = train_shop(shop)
    if as_json:
        print(json.dumps(trained.__dict__, indent=2))
        return
    print(describe(trained, shop))


def train_shop(shop: Shop) -> Trained:
    """Builds examples, fits, validates, exports, checks parity and deploys."""
    from cva_sql.cli.deploy import deploy, store_model, withdraw
    from cva_sql.cli.progress import say, step
    from cva_sql.cli.training_data import TRAIN_SCHEMA, build_examples, read_history, read_texts
    from cva_sql.models_onnx.value.export import build_manifest, build_model, check_parity
    from cva_sql.models_onnx.value.fit import OPTIONAL_FAMILY, fit_both_ways, has_family
    from cva_sql.models_onnx.value.origins import plan_origins

    horizon = int(shop.vars.get("cva_horizon_days", 90))
    with step("looking at the history"):
        history = read_history(shop, TRAIN_SCHEMA)
    plan = plan_origins(history.first_order, history.as_of, horizon)
    if plan is None or history.first_order is None:
        withdraw(shop.models_dir)
        since = history.first_order or "no valid order"
        reason = f"the history ({since} .. {history.as_of}) is too short to learn from"
        return Trained(None, False, reason, {}, (), None, 0)
    texts = read_texts(shop, before=plan.origins[-1])
    dates = [(day, plan.label_days) for day in (plan.as_of, *plan.origins)]
    with step(
        f"building examples of {len(plan.origins)} dates, {plan.origins[-1]} .. {plan.origins[0]}"
    ):
        data = build_examples(shop, dates, TRAIN_SCHEMA, max_rows=MAX_ROWS, texts=texts)
    with step("fitting"):
        (rows, (model, choice)), *others = fit_both_ways(data, plan, lambda text: say(f"  {text}"))
        if others:
            word = "with" if has_family(rows, OPTIONAL_FAMILY) else "without"
            say(f"  the model {word} {OPTIONAL_FAMILY} did better")
    if model is None:
        withdraw(shop.models_dir)
        reason = f"{len(data):,} examples are too few to learn from"
        return Trained(None, False, reason, {}, (), None, len(data))
    with step("exporting"):
        onnx = build_model(model)
        manifest = build_manifest(
            model,
            onnx,
            plan,
            choice,
            history.first_order,
            shop.db.name,
            texts.projection if has_family(rows, OPTIONAL_FAMILY) else None,
        )
        parity = check_parity(model, onnx, manifest, rows.seen_from(plan.as_of))
        store_model(shop.models_dir, onnx, manifest)
    if choice.is_better:
        deploy(shop.models_dir, manifest.version)
    else:
        withdraw(shop.models_dir)
    return Trained(
        manifest.version,
        choice.is_better,
        choice.reason,
        choice.scores,
        tuple(day.isoformat() for day in choice.dates),
        parity.worst,
        len(data),
    )


def describe(trained: Trained, shop: Shop) -> str:
    """The result for a person."""
    lines = []
    if trained.scores:
        lines.append(f"validated forward in time on {', '.join(trained.validation_dates)} (means):")
        lines += score_table(trained.scores)
    if trained.is_deployed:
        lines.append(f"deployed {trained.version}: {trained.reason}")
        lines.append(f"ONNX file and fitted model agree within {trained.parity:.0e}")
    else:
        lines.append(f"not deployed, the packaged rule scores: {trained.reason}")
    lines.append(f"next: cva run{shop.naming}")
    return "\n".join(lines)


def score_table(scores: dict[str, dict[str, float]]) -> list[str]:
    """One line a candidate or rule, the best deviance first."""
    columns = ("d2_shape", "d2_tweedie", "ngini", "spearman", "mae", "r2", "bias")
    lines = [f"  {'':<14}" + "".join(f"{name:>12}" for name in columns)]
    for name in sorted(scores, key=lambda n: -scores[n]["d2_shape"]):
        cells = "".join(
            f"{scores[name][c]:>12.2f}" if c == "mae" else f"{scores[name][c]:>12.3f}"
            for c in columns
        )
        lines.append(f"  {name:<14}{cells}")
    return lines
