"""Which networks are fitted, and what is set of members: vars cva_networks, cva_member_settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.train.examples import TrainingSet
    from cva_sql.models_onnx.value.data.terms import Terms
    from cva_sql.models_onnx.value.members.contract import Member
    from cva_sql.models_onnx.value.settings import Value

NETWORKS, SETTINGS = "cva_networks", "cva_member_settings"
SEQUENCES = "cva_use_sequences"
SHOW = "show"  # in place of a file: the defaults are printed


def read_networks(shop: ResolvedShop) -> tuple[str, ...]:
    """The networks that are asked for; none without torch, which is said.

    Raises UsageError for what is no network.
    """
    from cva_sql.models_onnx.value.members.networks.learning import HOW, has_torch
    from cva_sql.models_onnx.value.members.networks.sequence import NAME as SEQUENCE
    from cva_sql.models_onnx.value.members.registry import network_names

    given, known = shop.var(NETWORKS), network_names()
    has_sequences = shop.var(SEQUENCES) is True
    able = [name for name in known if name != SEQUENCE or has_sequences]
    asked = able if given is True else (given or [])
    if not isinstance(asked, list):
        raise UsageError(
            f"{NETWORKS} is {shortened(str(given))}; expected true, or a list of {', '.join(known)}"
        )
    for name in asked:
        if name not in known:
            raise UsageError(
                f"{NETWORKS} has {shortened(str(name))}; expected some of {', '.join(known)}"
            )
    if SEQUENCE in asked and not has_sequences:
        raise UsageError(
            f"{NETWORKS} has {SEQUENCE}, which reads the last orders one by one; "
            f"set {SEQUENCES}: true as well, here and for cva run"
        )
    if asked and shop.var("cva_monotone"):
        raise UsageError(
            f"{NETWORKS} and cva_monotone: a network keeps to no direction; leave one of them out"
        )
    if asked and not has_torch():
        say(f"left out, as torch is not installed: {', '.join(asked)}; for them: {HOW}")
        return ()
    return tuple(name for name in known if name in asked)


def refuse_unasked_network(shop: ResolvedShop, name: str | None) -> None:
    """Raises UsageError where a network is to score that is not fitted."""
    from cva_sql.models_onnx.value.members.networks.learning import HOW, has_torch
    from cva_sql.models_onnx.value.members.registry import network_names

    if name not in network_names():
        return
    if not has_torch():
        raise UsageError(f"--deploy {name}: torch is not installed: {HOW}")
    if name not in read_networks(shop):
        raise UsageError(
            f"--deploy {name}: this network is not fitted; ask for it with --vars "
            f"'{{{NETWORKS}: [{name}]}}'"
        )


def read_settings(shop: ResolvedShop) -> dict[str, dict[str, Any]]:
    """Member -> its settings other than by default; raises UsageError for what is not allowed."""
    given, members = shop.var(SETTINGS) or {}, settable()
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{SETTINGS} is {shortened(str(given))}; expected members with their settings, "
            "e.g. {lightgbm: {rounds: 120}}; all: cva train --params show"
        )
    found = {str(name): _of_member(name, one, members) for name, one in given.items()}
    return {name: own for name, own in found.items() if own}


def settings_of_fitted(
    settings: Mapping[str, dict[str, Any]], networks: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The settings of what is fitted; of networks that are not, it is said that they do nothing."""
    from cva_sql.models_onnx.value.members.registry import network_names

    idle = [name for name in settings if name in network_names() and name not in networks]
    if idle:
        say(f"{SETTINGS} has {', '.join(idle)}, not fitted as {NETWORKS} does not ask")
    return {name: own for name, own in settings.items() if name not in idle}


def settable() -> dict[str, Member]:
    """The members and networks of which something may be set, by name."""
    from cva_sql.models_onnx.value.members.registry import learners, network_names

    return {one.name: one for one in learners(network_names()) if one.tunable}


def _of_member(name: Any, given: Any, members: Mapping[str, Member]) -> dict[str, Any]:
    if name not in members:
        raise UsageError(f"{SETTINGS} has {shortened(str(name))}; {_nearest(name, members)}")
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{SETTINGS} has {name}: {shortened(str(given))}; expected settings with numbers"
        )
    tunable, found = members[name].tunable, {}
    for setting, value in given.items():
        if setting not in tunable:
            raise UsageError(
                f"{SETTINGS} has {name}: {shortened(str(setting))}; {_nearest(setting, tunable)}"
            )
        own = tunable[setting].read(value, f"{SETTINGS}: {name}: {setting}")
        if own != tunable[setting].default:
            found[str(setting)] = own
    return found


def _nearest(name: Any, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f"nearest: {', '.join(near)}" if near else f"expected one of {', '.join(known)}"


def with_params(shop: ResolvedShop, path: str | None) -> ResolvedShop:
    """The shop with a file's settings in place of those of its var."""
    if path is None:
        return shop
    return replace(shop, vars={**shop.vars, SETTINGS: read_params(path)})


def check_tuning(minutes: float | None) -> None:
    """Raises UsageError where settings cannot be looked for."""
    from cva_sql.models_onnx.value.members.networks.learning import HOW

    if minutes is not None and not 0 < minutes < inf:
        raise UsageError(f"--tune {minutes:g}: expected minutes above 0, e.g. --tune 10")
    if minutes and find_spec("optuna") is None:
        raise UsageError(f"--tune: optuna is not installed: {HOW}")


def tuned_terms(found: TrainingSet, minutes: float) -> Terms:
    """The terms with settings that did better on dates before those of the gate."""
    from cva_sql.cli.shop.progress import step
    from cva_sql.models_onnx.value.training.tuning import tune

    terms = found.data.terms
    with step(f"looking for better settings for {minutes:g} minutes"):
        tuned = tune(found.data, found.plan, minutes, lambda text: say(f"  {text}"))
    if not tuned:
        say("  no date before those of the gate has enough to learn from; the settings stay")
    settings = {**terms.settings, **{one.member: one.settings for one in tuned if one.settings}}
    return replace(terms, settings=settings)


def read_params(path: str) -> dict[str, Any]:
    """A file of settings, as `show` prints it; raises UsageError where it is none."""
    from cva_sql.cli.shop.yaml_text import parse_yaml

    wanted = "expected a YAML file of members with their settings, as cva train --params show"
    try:
        found = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not UTF-8 is a ValueError too
        why = " ".join(str(error).split())
        raise UsageError(f"--params {path}: {why}; {wanted}") from error
    if not isinstance(found, dict):
        raise UsageError(f"--params {path}: {shortened(str(found))}; {wanted}")
    return found


def show_params() -> str:
    """Every member's settings with their defaults, as YAML that may be edited and given back."""
    lines = []
    for name, member in settable().items():
        lines.append(f"{name}:")
        for setting, one in member.tunable.items():
            default = list(one.default) if isinstance(one.default, tuple) else one.default
            lines.append(f"  {setting}: {default}  # from {one.bounds}")
    return "\n".join(lines)


def describe_settings(terms: Terms) -> list[str]:
    """A line for what is asked of networks, and one of YAML for what is set of members."""
    lines = []
    if terms.networks:
        lines.append(f"networks beside the members ({NETWORKS}): {', '.join(terms.networks)}")
    members = [
        f"{member}: {{{', '.join(f'{name}: {_plain(value)}' for name, value in given.items())}}}"
        for member, given in terms.settings.items()
    ]
    if members:
        lines.append(f"{SETTINGS}: {{{', '.join(members)}}}")
    return lines


def _plain(value: Value) -> object:
    return list(value) if isinstance(value, tuple) else value
