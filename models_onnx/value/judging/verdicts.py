"""What the figures of a back-test say in a sentence, above all where a rule wins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cva_sql.models_onnx.value.judging.bootstrap import Metric

MARGIN = 1e-9  # rules that differ in their total alone rank the same but for rounding
# metric -> (title, whether more is better): on what a rule may be the better one.
FIGURES: Mapping[str, tuple[str, bool]] = {
    "spearman": ("Spearman", True),
    "ngini": ("nGini", True),
    "top_capture": ("top 10 %", True),
    "mae": ("MAE", False),
    "r2": ("R²", True),
    "decile_mape": ("dMAPE", False),
    "abs_bias": ("|bias|", False),
}


def figure(difference: Metric) -> str:
    """A difference with its interval, where it has one."""
    text = f"{difference.value:+.4f}"
    if math.isfinite(difference.lower):
        text += f" ({difference.lower:+.4f} .. {difference.upper:+.4f})"
    return text


def ranking_verdict(model: str, other: str, difference: Metric, *, is_rule: bool) -> str:
    """Whether `model` ranks above, below or like the other over the dates; if below, who wins."""
    named = f"the best rule {other}" if is_rule else other
    shown = f"nGini {figure(difference)}"
    if not math.isfinite(difference.value):
        return f"over the dates {model} and {named} cannot be compared: all customers spent alike"
    if not math.isfinite(difference.lower):
        return f"over the dates {model} against {named}: {shown}; no replicates, so no verdict"
    if difference.lower > MARGIN:
        return f"over the dates {model} ranks above {named}: {shown}"
    if difference.upper < -MARGIN:
        winner = f"rule {other}" if is_rule else other
        return f"{winner} wins: over the dates {model} ranks below it: {shown}"
    return f"over the dates {model} ranks like {named}: {shown}"


def figures_verdict(
    model: str,
    means: Mapping[str, Mapping[str, Metric]],
    rules: Sequence[str],
    kind: str = "rule",
) -> str:
    """On which figures some rule is better than `model`, by the means over the dates alone.

    `kind` is what the others are called, where they are no rules.
    """
    wins = []
    for name, (title, is_more) in FIGURES.items():
        sign = 1.0 if is_more else -1.0
        values = {rule: means[rule][name].value for rule in rules}
        known = {rule: value for rule, value in values.items() if math.isfinite(value)}
        if not known:
            continue
        best = max(known, key=lambda rule: sign * known[rule])
        own = means[model][name].value
        if sign * (known[best] - own) > MARGIN * max(1.0, abs(own)):
            wins.append(f"{title} ({best} {known[best]:.3f}, {model} {own:.3f})")
    if not wins:
        return f"no {kind} has a better {', '.join(title for title, _ in FIGURES.values())}"
    return f"a {kind} has the better {', '.join(wins)}"


def gain_verdict(family: str, gain: Metric) -> str:
    """Whether a family of features adds to the ranking, as far as the interval can tell."""
    shown = f"{gain.value:+.4f} nGini"
    if not math.isfinite(gain.lower):
        return f"{family}: {shown}; whether that is chance, only bootstrap replicates tell"
    interval = f"95 % interval {gain.lower:+.4f} .. {gain.upper:+.4f}"
    if gain.lower > 0:
        return f"{family} add {shown} ({interval})"
    if gain.upper < 0:
        return f"{family} make the ranking worse, by {shown} ({interval})"
    return f"{family} add nothing that can be told from chance here ({shown}, {interval})"
