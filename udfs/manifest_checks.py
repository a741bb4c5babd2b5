"""What has to hold of a manifest's JSON before anything is made of it; a ValueError says what."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from cva_sql.udfs.model_files import is_plain_name

Check = Callable[[Any], bool]

KINDS = ("number", "category")
BY_ITSELF = ("", "grows", "fades")
LINKS = ("log", "identity")
LONGEST_HORIZON = 36_500  # days
OUTPUT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
HEX = re.compile(r"[0-9a-f]{1,64}")
ROUNDING = 1e-9  # of a sum of shares


def is_text(value: Any) -> bool:
    """A text that can be printed and written: no lone half of a character, no NUL."""
    return isinstance(value, str) and value.isprintable()


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def is_date(value: Any) -> bool:
    try:
        date.fromisoformat(value)
    except (ValueError, TypeError):
        return False
    return True


def list_of(check: Check) -> Check:
    return lambda found: isinstance(found, list) and all(check(part) for part in found)


def texts_to(check: Check) -> Check:
    return lambda found: (
        isinstance(found, dict)
        and all(is_text(name) and check(part) for name, part in found.items())
    )


def is_value(value: Any) -> bool:
    """What a feature of a row may be."""
    return value is None or is_number(value) or isinstance(value, str)


def is_days(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LONGEST_HORIZON


def is_feature(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and is_text(value.get("name"))
        and value["name"] != ""
        and value.get("kind") in KINDS
        and list_of(lambda part: isinstance(part, str))(value.get("values", []))
        and _is_range(value.get("low"), value.get("high"))
        and value.get("by_itself", "") in BY_ITSELF
    )


def _is_range(low: Any, high: Any) -> bool:
    """Neither is known, or both are and in order."""
    if low is None or high is None:
        return low is high
    return is_number(low) and is_number(high) and low <= high


def is_outputs(value: Any) -> bool:
    """Names that a SQL type can have, each once."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(name, str) and OUTPUT.fullmatch(name) for name in value)
        and len({name.lower() for name in value}) == len(value)
    )


def is_outliers(value: Any) -> bool:
    """A count and spends; of manifests of before, customers with their spend."""
    if isinstance(value, list):
        return all(isinstance(one, dict) and is_number(one.get("spend")) for one in value)
    return (
        isinstance(value, dict)
        and type(value.get("count")) is int
        and list_of(is_number)(value.get("spend"))
    )


def is_digest(value: Any) -> bool:
    return isinstance(value, str) and HEX.fullmatch(value) is not None


def is_weights(value: Any) -> bool:
    """Shares of a whole by name, none of them nothing."""
    return (
        texts_to(lambda share: is_number(share) and share > 0)(value)
        and abs(math.fsum(value.values()) - 1) < ROUNDING
    )


WHOLE: Mapping[str, tuple[Check, str]] = {
    "name": (is_plain_name, "a plain name"),
    "version": (is_plain_name, "a plain name"),
    "sha256": (is_digest, "hex digits"),
    "features": (list_of(is_feature), "a list, each with name and kind"),
    "horizon_days": (or_none(is_days), f"null or days from 1 to {LONGEST_HORIZON}"),
    "is_baseline": (lambda value: isinstance(value, bool), "true or false"),
    "opset": (lambda value: type(value) is int, "a whole number"),
    "training": (lambda value: isinstance(value, dict), "an object"),
    "evaluation": (lambda value: isinstance(value, dict), "an object"),
}
OPTIONAL: Mapping[str, tuple[Check, str]] = {
    "outputs": (is_outputs, "one or more names of letters, digits and _"),
    "text_projection": (or_none(lambda value: isinstance(value, dict)), "null or an object"),
    "words_projection": (or_none(lambda value: isinstance(value, dict)), "null or an object"),
    "rating_head": (or_none(lambda value: isinstance(value, dict)), "null or an object"),
    "explanation": (or_none(lambda value: isinstance(value, dict)), "null or an object"),
    "members": (or_none(lambda value: isinstance(value, dict)), "null or an object"),
}
TRAINING: Mapping[str, tuple[Check, str]] = {
    "database": (or_none(is_text), "a file's name"),
    "as_of": (or_none(is_date), "a date"),
    "first_order": (or_none(is_date), "a date"),
    "kind": (is_text, "a name"),
    "target": (is_text, "a name"),
    "cutoff_dates": (list_of(is_date), "dates"),
    "outliers": (is_outliers, "a count and spends"),
    "total_forecast": (or_none(texts_to(lambda _: True)), "an object"),
    "lifetimes": (or_none(texts_to(lambda _: True)), "an object"),
    "score_reference": (list_of(or_none(is_number)), "numbers"),
    "monotone": (texts_to(lambda sign: sign in (1, -1)), "1 or -1 by feature"),
    "features_off": (list_of(is_text), "names of features"),
    "families": (list_of(texts_to(lambda _: True)), "what each optional family counts"),
}
EVALUATION: Mapping[str, tuple[Check, str]] = {
    "scores": (texts_to(texts_to(or_none(is_number))), "figures by model"),
    "validation_dates": (list_of(is_date), "dates"),
    "verdict": (lambda value: isinstance(value, str), "a sentence"),
}
EXPLANATION: Mapping[str, tuple[Check, str]] = {
    "reference": (texts_to(is_value), "a value for each feature"),
    "families": (texts_to(is_text), "a family for each feature"),
    "link": (lambda value: value in LINKS, " or ".join(LINKS)),
    "money_rule": (is_text, "a name"),
}

MEMBERS: Mapping[str, tuple[Check, str]] = {
    "sha256": (is_digest, "hex digits"),
    "weights": (is_weights, "weights above 0 by member that add up to 1"),
    "log_highest": (lambda v: is_number(v) and math.isfinite(v), "a number"),
}


def check_manifest(raw: Mapping[str, Any]) -> None:
    """Raises ValueError where a part is missing, or is not what it has to be."""
    _check(raw, WHOLE, "", required=True)
    _check(raw, OPTIONAL, "")
    _check(raw["training"], TRAINING, "training.")
    _check(raw["evaluation"], EVALUATION, "evaluation.")
    names = [feature["name"] for feature in raw["features"]]
    if len(set(names)) < len(names):
        raise ValueError("features has one of its names twice")
    explanation = raw.get("explanation")
    if explanation is not None:
        _check(explanation, EXPLANATION, "explanation.", required=True)
        _check_players(explanation, {part["name"]: part["kind"] for part in raw["features"]})
    if raw.get("members") is not None:
        _check(raw["members"], MEMBERS, "members.", required=True)


def _check(
    raw: Mapping[str, Any],
    expected: Mapping[str, tuple[Check, str]],
    where: str,
    *,
    required: bool = False,
) -> None:
    for name, (check, what) in expected.items():
        if name not in raw:
            if required:
                raise ValueError(f"{where}{name} is missing, expected {what}")
        elif not check(raw[name]):
            raise ValueError(f"{where}{name} is {_shown(raw[name])}, expected {what}")


def _check_players(explanation: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    reference, families = explanation["reference"], explanation["families"]
    for name, value in reference.items():
        is_right = is_number(value) if kinds.get(name) == "number" else isinstance(value, str)
        if name not in kinds or name not in families or not (value is None or is_right):
            raise ValueError(f"explanation.reference has {_shown(name)}, which does not fit")


def _shown(value: Any) -> str:
    text = ascii(value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}…"
