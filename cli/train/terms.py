"""What the shop asks of every model: directions to hold, features not to learn from; checked."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.settings import (
    describe_settings,
    read_networks,
    read_settings,
    settings_of_fitted,
)
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.models_onnx.value.data.terms import Terms

MONOTONE, FEATURES_OFF = "cva_monotone", "cva_features_off"
COMPONENT = "component"  # the unit of a part of what texts say
SIGNS = {1: "never falls", -1: "never rises"}


def read_terms(shop: ResolvedShop) -> Terms:
    """The terms of a shop's vars; raises UsageError, in one line, for what cannot be kept."""
    from cva_sql.models_onnx.value.data.terms import Terms

    lines = _catalogue(shop)
    networks = read_networks(shop)
    settings = settings_of_fitted(read_settings(shop), networks)
    terms = Terms(_monotone(shop, lines), _features_off(shop, lines), networks, settings)
    for line in describe_terms(terms):
        say(f"  {line}")
    return terms


def describe_terms(terms: Terms) -> list[str]:
    """A line for each var that asks something."""
    lines = []
    if terms.features_off:
        lines.append(f"not learned from ({FEATURES_OFF}): {', '.join(terms.features_off)}")
    if terms.monotone:
        held = ", ".join(f"{SIGNS[sign]} with {name}" for name, sign in terms.monotone.items())
        lines.append(f"predicted value, all else equal ({MONOTONE}): {held}")
    return [*lines, *describe_settings(terms)]


def known_features(shop: ResolvedShop) -> dict[str, str]:
    """Feature -> number or category, of those that models made elsewhere may read.

    Components of text are none: each trained model has its own directions.
    """
    off = shop.var("cva_families_off") or []
    return {
        name: str(line["kind"])
        for name, line in _catalogue(shop).items()
        if _is_input(shop, line) and line["family"] not in off and line.get("unit") != COMPONENT
    }


def check_scoring_rule(name: str | None, terms: Terms, target: str = "spend") -> None:
    """Raises UsageError where a rule that is to score goes against a direction."""
    from cva_sql.models_onnx.value.data.target import TARGETS
    from cva_sql.models_onnx.value.members.directions import rules_against

    if name in rules_against(terms.monotone, TARGETS[target]):
        raise UsageError(
            f"--deploy {name}: this rule goes against {MONOTONE} {dict(terms.monotone)}; "
            "take another, or leave that feature out of it"
        )


def _catalogue(shop: ResolvedShop) -> dict[str, Mapping[str, Any]]:
    """Feature -> its line of the catalogue, the shop's own beside, of families that are off too.

    Of lines of the shop's own that cannot be read dbt says what is wrong.
    """
    lines = list(macro_value("feature_catalog.sql", "feature_catalog"))
    own = shop.var("cva_feature_catalog_extra")
    for line in own if isinstance(own, list) else []:
        if isinstance(line, Mapping) and isinstance(line.get("name"), str):
            lines.append({"family": "own", "kind": "number", "is_model_input": True, **line})
    return {line["name"]: line for line in lines}


def _is_input(shop: ResolvedShop, line: Mapping[str, Any]) -> bool:
    wanted = line["is_model_input"]
    return bool(shop.var(wanted) if isinstance(wanted, str) else wanted)


def _monotone(shop: ResolvedShop, lines: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    from cva_sql.models_onnx.value.data.target import TARGETS
    from cva_sql.models_onnx.value.members.directions import unkept

    given = shop.var(MONOTONE)
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{MONOTONE} is {shortened(str(given))}; expected features with 1 or -1, "
            "e.g. {rating_mean: 1}"
        )
    for name, sign in given.items():
        line = _line(MONOTONE, name, lines)
        if type(sign) is not int or sign not in SIGNS:
            raise UsageError(
                f"{MONOTONE} has {name}: {shortened(str(sign))}; expected 1 (the predicted value "
                "never falls as it rises) or -1 (never rises)"
            )
        if line["kind"] != "number":
            raise UsageError(
                f"{MONOTONE} has {name}, a category, which does not rise; leave it out"
            )
        if not _is_input(shop, line):
            raise UsageError(f"{MONOTONE} has {name}, which no model learns from; leave it out")
    monotone = {name: int(sign) for name, sign in sorted(given.items())}
    for name, member, way in unkept(monotone, TARGETS[shop.target]):
        why = f"member {member} goes the other way with it; {way} can be held"
        if not way:
            why = f"member {member} reads it, and goes neither way for certain"
        raise UsageError(f"{MONOTONE} has {name}: {monotone[name]}; {why}, or leave it out")
    return monotone


def _features_off(shop: ResolvedShop, lines: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    from cva_sql.models_onnx.value.data.target import TARGETS
    from cva_sql.models_onnx.value.members.directions import needed_features

    given = shop.var(FEATURES_OFF)
    if not isinstance(given, list):
        raise UsageError(
            f"{FEATURES_OFF} is {shortened(str(given))}; expected a list of features or families, "
            "e.g. [country, reviews]"
        )
    families = {str(line["family"]) for line in lines.values()}
    needed, off = needed_features(TARGETS[shop.target]), set[str]()
    for name in given:
        own = [one for one, line in lines.items() if line["family"] == name]
        own = own or [_line(FEATURES_OFF, name, lines, families)["name"]]
        kept = [one for one in own if one in needed]
        if kept:
            users = ", ".join(sorted({needed[one] for one in kept}))
            raise UsageError(
                f"{FEATURES_OFF} has {name}; {', '.join(kept)} cannot be switched off: "
                f"{users} cannot do without; name the others"
            )
        off.update(own)
    return tuple(name for name in sorted(off) if _is_input(shop, lines[name]))


def _line(
    var: str, name: Any, lines: Mapping[str, Mapping[str, Any]], families: Collection[str] = ()
) -> Mapping[str, Any]:
    """The feature's line; raises UsageError with the names near it."""
    if isinstance(name, str) and name in lines:
        return lines[name]
    near = difflib.get_close_matches(str(name), [*lines, *sorted(families)], n=3, cutoff=0.5)
    hint = f"nearest: {', '.join(near)}" if near else "see: select feature from cva_feature_catalog"
    what = "feature or family" if families else "feature"
    raise UsageError(f"{var} has {shortened(str(name))}, which is no {what}; {hint}")
