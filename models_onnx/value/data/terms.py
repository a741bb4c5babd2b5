"""What the shop's owner asks of every model that is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cva_sql.models_onnx.value.settings import Value


@dataclass(frozen=True)
class Terms:
    """Directions to hold, and features to leave out, as vars cva_monotone and cva_features_off say.

    As a feature of `monotone` rises and all else stays, no prediction falls (1) or rises (-1).
    `features_off` are names of features: what they hold is not learned from. `networks` are those
    that are fitted beside the members, and `settings` what is set otherwise than by default, of a
    member or network by its name: vars cva_networks and cva_member_settings.
    """

    monotone: Mapping[str, int] = field(default_factory=dict)
    features_off: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


NO_TERMS = Terms()
