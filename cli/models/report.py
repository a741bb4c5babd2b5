"""Models and their details for a person."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cva_sql.cli.models.inventory import FIGURES, Model

if TYPE_CHECKING:
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
