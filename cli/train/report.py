"""What a training found, for a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from cva_sql.cli.train.training import Trained

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop


COLUMNS = ("d2_shape", "d2_tweedie", "ngini", "spearman", "mae", "r2", "bias")


def describe(trained: Trained, shop: ResolvedShop) -> str:
    """The result for a person."""
    lines = [*trained.notes, *trained.asked]
    if trained.scores:
        lines.append(f"validated forward in time on {', '.join(trained.validation_dates)} (means):")
        lines += score_table(trained.scores)
    lines += [f"family {describe_family(one)}" for one in trained.families]
    if trained.target != "spend" and trained.version:
        lines.append(describe_target(trained))
    if trained.total_forecast and trained.is_deployed:
        lines.append(describe_total(trained.total_forecast, trained.target))
    if trained.outliers:
        lines.append(describe_outliers(trained.outliers, shop))
    if trained.is_deployed:
        lines.append(f"deployed {trained.version}: {trained.reason}")
        lines.append(f"ONNX file and fitted model agree within {trained.parity:.0e}")
    elif trained.scoring:
        lines.append(f"not deployed, {trained.scoring} goes on scoring: {trained.reason}")
    else:
        lines.append(f"not deployed, the packaged rule scores: {trained.reason}")
    for other in trained.others:
        word = f"deployed {other.version}" if other.is_deployed else "not deployed"
        lines.append(f"{other.kind}: {word}: {other.reason}")
    if trained.removed:
        lines.append(
            f"removed, as cva_models_kept is {shop.var('cva_models_kept')}: "
            f"{', '.join(trained.removed)}"
        )
    lines.append(f"next: {shop.command('run')}")
    return "\n".join(lines)


def describe_family(family: Mapping[str, Any]) -> str:
    """What an optional family counts, and what it adds."""
    from cva_sql.models_onnx.value.training.families import FamilyWeight, describe_weight

    days = tuple(date.fromisoformat(day) for day in family["dates"])
    return describe_weight(FamilyWeight(**{**family, "dates": days}))


def describe_target(trained: Trained) -> str:
    """What is predicted in place of spend, and what was made of values below 0."""
    text = f"target: {trained.target}"
    if trained.floored:
        text += (
            f"; {trained.floored['examples']:,.0f} of {trained.examples:,} examples were below 0 "
            f"and count as 0, which raises the total learned from by {trained.floored['bias']:.1%}"
        )
    return text


def describe_total(forecast: dict[str, Any], target: str = "spend") -> str:
    """What all but the outliers are forecast to spend together, how sure, how wrong before."""
    what = "" if target == "spend" else f" {target}"
    text = (
        f"total: {forecast['total']:,.2f}{what} expected of {forecast['customers']:,} customers "
        f"together, {forecast['from']} .. {forecast['to']}, within a factor of "
        f"{math.exp(forecast['standard_deviation']):.2f} two times out of three"
    )
    if forecast["events"] != 1:
        text += f"; events of the calendar make it {forecast['events'] - 1:+.0%}"
    if forecast["unknown_events"]:
        text += (
            "; counted as usual days, without a factor or a former day: "
            f"{', '.join(forecast['unknown_events'][:3])}"
        )
    errors = forecast["backtest_log_errors"]
    if errors:
        missed = ", ".join(f"{math.exp(-error) - 1:+.0%}" for error in errors)
        text += f"; on the validation dates it missed by {missed}"
    return text


def describe_outliers(outliers: tuple[dict[str, Any], ...], shop: ResolvedShop) -> str:
    """Who was left out of learning, and where to look."""
    named = ", ".join(f"{o['customer_id']} ({o['spend']:,.2f})" for o in outliers[:3])
    more = f" and {len(outliers) - 3} more" if len(outliers) > 3 else ""
    return (
        f"left out of learning, spend far above all others: {named}{more}; "
        f"look at them with: {shop.command('doctor')}"
    )


def score_table(scores: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """One line a candidate or rule, the best deviance first; – where a figure is not defined.

    Of another kind of model, all the figures that it has.
    """
    is_value = any(COLUMNS[0] in figures for figures in scores.values())
    columns: Sequence[str] = COLUMNS
    if not is_value:
        columns = list(dict.fromkeys(name for figures in scores.values() for name in figures))

    def figure(name: str, column: str) -> float:
        value = scores[name].get(column)
        return math.nan if value is None else value

    def cell(value: float, digits: int) -> str:
        return f"{value:>12.{digits}f}" if math.isfinite(value) else f"{'–':>12}"

    def order(name: str) -> float:
        value = figure(name, COLUMNS[0])
        return -value if math.isfinite(value) else math.inf

    lines = [f"  {'':<14}" + "".join(f"{name:>12}" for name in columns)]
    for name in sorted(scores, key=order) if is_value else scores:
        cells = "".join(cell(figure(name, c), 2 if c == "mae" else 3) for c in columns)
        lines.append(f"  {name:<14}{cells}")
    return lines
