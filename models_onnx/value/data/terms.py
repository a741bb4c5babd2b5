"""What the shop's owner asks of every model that is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Terms:
    """Directions to hold, and features to leave out, as vars cva_monotone and cva_features_off say.

    As a feature of `monotone` rises and all else stays, no prediction falls (1) or rises (-1).
    `features_off` are names of features: what they hold is not learned from.
    """

    monotone: Mapping[str, int] = field(default_factory=dict)
    features_off: tuple[str, ...] = ()


NO_TERMS = Terms()
