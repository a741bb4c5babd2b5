"""Models and their details for a person."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cva_sql.cli.models.inventory import FIGURES, Model

if TYPE_CHECKING:
    from cva_sql.cli.models.comparison import Changes, Comparison
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.adding import Found

WIDTH = 100


def size_text(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def models_table(found: Sequence[Model]) -> list[str]:
    head = ("version", "as of", "days", "kind", *FIGURES, "size")
    rows = [
        (
            model.version,
            model.as_of or "",
            str(model.horizon_days or "any"),
            model.kind,
            *(_figure(model.figures.get(name)) for name in FIGURES),
            size_text(model.bytes),
        )
        for model in found
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    cells = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    lines = [f"  {cells[0]}"]
    for model, line in zip(found, cells[1:], strict=True):
        lines.append(f"{'*' if model.is_deployed else ' '} {line}")
        if model.problem:
            lines.append(f"    {model.problem}")
    return lines


def describe_added(found: Found, name: str, shop: ResolvedShop) -> str:
    """What adding a model found, for a person."""
    from cva_sql.cli.train.report import score_table

    lines = [f"judged on {', '.join(found.dates)}, which it had not seen (means):"]
    lines += score_table(found.scores)
    if found.left_out:
        dates = ", ".join(sorted(found.left_out))
        lines.append(f"left out, before --trained-until: {dates}")
    lines.append(found.verdict)
    if found.replaced:
        lines.append(f"in the place of {found.replaced}, which stays in {shop.models_dir}")
    word = "deployed" if found.is_deployed else "added"
    lines.append(f"{word} {found.version}; it and the file agree within {found.parity:.0e}")
    step = "run" if found.is_deployed else "evaluate"
    lines.append(f"next: {shop.command(step)}")
    if not found.is_deployed:
        lines.append(f"to let it score: {shop.command(f'models deploy {name}')}")
    return "\n".join(lines)


def describe_comparison(found: Comparison) -> str:
    """Two models side by side, and what the first would change, for a person."""
    first, second = found.first, found.second
    names = list(dict.fromkeys([*first.figures, *second.figures]))
    rows = [
        ("as of", first.as_of or "", second.as_of or ""),
        ("days", str(first.horizon_days or "any"), str(second.horizon_days or "any")),
        *((n, _figure(first.figures.get(n)), _figure(second.figures.get(n))) for n in names),
        ("judged on", *(", ".join(side.dates) or "no date" for side in (first, second))),
    ]
    width = max(len(cell) for cell in [first.version, *(row[1] for row in rows)]) + 2
    lines = [f"{'':<12}{first.version:<{width}}{second.version}"]
    lines += [f"{name:<12}{one:<{width}}{other}".rstrip() for name, one, other in rows]
    if not found.is_comparable:
        lines.append("judged on other dates or for something else: their figures do not compare")
    if found.why_not:
        lines.append(f"what changes for customers is not known: {found.why_not}")
    elif found.changes is None:
        lines.append("what changes for customers is known after a first cva run")
    else:
        lines += _describe_changes(found.changes)
    return "\n".join(lines)


def _describe_changes(changes: Changes) -> list[str]:
    lines = [
        f"as of {changes.as_of}, {_from_to(changes.before, changes.after)} predicted in all",
        f"{changes.tier_changes:,} of {changes.customers:,} customers would change their tier",
    ]
    for flow in changes.flows:
        tiers = f"{flow.tier_before} to {flow.tier_after}"
        money = _from_to(flow.before, flow.after)
        lines.append(f"  {tiers:<16}{flow.customers:>9,}   {money}")
    if changes.moves:
        lines.append("largest changes:")
    for move in changes.moves:
        tiers = f"{move.tier_before} to {move.tier_after}"
        lines.append(
            f"  {move.customer_id:<16}{_from_to(move.before, move.after)}, "
            + (tiers if move.tier_before != move.tier_after else f"stays {move.tier_after}")
        )
    return lines


def _from_to(before: float, after: float) -> str:
    """Two amounts of money, and the difference."""
    share = f" ({after / before - 1:+.1%})" if before else ""
    return f"{before:,.2f} to {after:,.2f}{share}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def describe_details(details: Mapping[str, Any]) -> list[str]:
    """The details, a line each; the figures of the validation as a table."""
    from cva_sql.cli.train.report import score_table

    lines = []
    for name, value in details.items():
        if name == "horizon_days":
            lines.append(f"{name}: {value or 'any'}")
        elif name == "evaluation":
            scores = value.get("scores")
            if scores:
                dates = ", ".join(value.get("validation_dates") or ["unknown dates"])
                lines += [f"validated forward in time on {dates} (means):", *score_table(scores)]
                lines.append(f"verdict: {value.get('verdict', 'none is known')}")
        elif isinstance(value, dict):
            lines += [f"{name}: {'' if value else 'none'}".rstrip()]
            lines += [f"  {key}: {_plain(item)}" for key, item in value.items()]
        else:
            text = f"{name}: {_plain(value)}"
            lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False)
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
