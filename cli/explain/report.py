"""What `cva explain` prints of a customer for a person."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, log
from unicodedata import east_asian_width

from cva_sql.cli.explain.explanation import Explained, FeatureEffect
from cva_sql.cli.explain.members import MemberEffect

WORDS_WIDTH = 80  # with two columns of money and an error still a line of 120
BASELINES = {  # whom a model explains against, and whom the packaged rule, which knows no shop
    False: "the shop's typical customer",
    True: "a customer who has spent nothing since ordering",
}
ROUNDING = 1e-6  # relative: by less, a prediction is not at its most
SHOWN_FEATURES = 3  # of a family; customer_value_explain has them all
SHOWN_VALUES = 5  # of a category; the manifest has them all


def describe(explained: Explained) -> str:
    """The explanation for a person."""
    figures = explained.figures
    score = "" if explained.score is None else f", score {explained.score:.1f}"
    lines = [
        f"customer {explained.customer_id} as of {explained.as_of_date}, by "
        f"{explained.model_version}{score}",
        f"predicted_value {figures['predicted_value']:,.2f} "
        f"(p10 {figures['predicted_value_p10']:,.2f}, p50 {figures['predicted_value_p50']:,.2f}, "
        f"p90 {figures['predicted_value_p90']:,.2f}), "
        f"purchase_probability {figures['purchase_probability']:.2f}",
    ]
    lines += [f"  {reason}" for reason in explained.reasons]
    lines += [
        "",
        _line(BASELINES[explained.is_baseline], f"{explained.baseline_prediction_value:,.2f}"),
    ]
    for family in explained.families:
        lines.append(_line(family.family, f"{family.attribution:+,.2f}"))
        lines += [_feature_line(effect) for effect in family.features[:SHOWN_FEATURES]]
        rest = family.features[SHOWN_FEATURES:]
        if rest:
            total = sum(effect.attribution for effect in rest)
            lines.append(_line(f"  {len(rest)} more", "", f"{total:+,.2f}"))
    lines.append(_line("predicted_value", f"{figures['predicted_value']:,.2f}"))
    lines.append("Attributions say what the model looked at. They are not causes.")
    if explained.members:
        lines += ["", *member_lines(explained.members, figures["predicted_value"])]
    if explained.changed:
        lines += ["", *_changed_lines(explained)]
    return "\n".join(lines)


def _line(words: str, family: str, feature: str = "") -> str:
    """Words and two columns of money: a family's, and a feature's in it."""
    while _columns(words) > WORDS_WIDTH:
        words = words[:-2] + "…"
    room = " " * (WORDS_WIDTH - _columns(words))
    return f"{words}{room}{family:>14}{feature:>14}".rstrip()


def _columns(text: str) -> int:
    """The columns that a text takes in a terminal: a Chinese character has two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _feature_line(effect: FeatureEffect) -> str:
    error = f"  ± {effect.standard_error:,.2f}" if effect.standard_error >= 0.005 else ""
    return _line(f"  {effect.sentence}", "", f"{effect.attribution:+,.2f}") + error


def member_lines(members: Sequence[MemberEffect], predicted: float) -> list[str]:
    """A line a member: weight, what it predicts alone, what it moves the prediction by."""
    width = max(len("member"), *(len(member.name) for member in members))
    lines = [f"{'member':<{width}}{'weight':>9}{'predicts':>14}{'pull':>14}"]
    for member in members:
        pull = "" if member.pull is None else f"{member.pull:+,.2f}"
        lines.append(
            f"{member.name:<{width}}{member.weight:>9.3f}{member.predicted_value:>14,.2f}"
            f"{pull:>14}".rstrip()
        )
    mean = exp(fsum(member.weight * log(member.predicted_value) for member in members))
    if mean > predicted * (1 + ROUNDING):
        lines.append(f"Their mean is {mean:,.2f}; the model predicts {predicted:,.2f} at most.")
    return lines


def _changed_lines(explained: Explained) -> list[str]:
    changed, before = explained.changed, explained.figures
    if changed is None:
        return []
    told = ", ".join(f"{name} {change}" for name, change in changed.changes.items())
    after = changed.figures
    unknown = [
        f"  {name} is none of those the model tells apart: "
        f"{', '.join(values[:SHOWN_VALUES])}{', …' if len(values) > SHOWN_VALUES else ''}"
        for name, values in changed.unknown.items()
    ]
    return [
        f"with {told}:",
        *unknown,
        f"  predicted_value {before['predicted_value']:,.2f} -> {after['predicted_value']:,.2f} "
        f"({changed.difference:+,.2f}), purchase_probability "
        f"{before['purchase_probability']:.2f} -> {after['purchase_probability']:.2f}",
        "  It is what the model would say of such a customer, other features as they are; not what "
        "would happen.",
    ]
