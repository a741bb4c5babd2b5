"""What each member of the deployed model says of a customer, and how it moves the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, fsum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cva_sql.udfs.manifest import Manifest, MembersFile

FINITE = 700.0  # of a log: beyond, its exp is no number or nothing


@dataclass(frozen=True)
class MemberEffect:
    """A member of the geometric mean that a prediction is; money in the shop's currency.

    `weight` is its share in that mean, `predicted_value` what it alone predicts at the model's
    level. `pull` is the model's prediction less what it would be without the member, the others'
    weights scaled up to 1; None where there are no others.
    """

    name: str
    weight: float
    predicted_value: float
    pull: float | None


def explain_members(
    folder: Path, manifest: Manifest, row: Any, figures: Mapping[str, float]
) -> tuple[MemberEffect, ...]:
    """The members, the largest weight first, for the row of a customer and the model's figures.

    Raises ModelError where the model has no file of its members, or another than it should.
    """
    from cva_sql.udfs.members import members_of, predict_members
    from cva_sql.udfs.predict import struct_columns

    members, predicted = members_of(manifest), figures["predicted_value"]
    _, columns = struct_columns(row)
    logs = {
        name: float(values[0])
        for name, values in predict_members(folder, manifest, columns, 1).items()
    }
    return tuple(
        MemberEffect(name, weight, _money(logs[name]), _pull(members, logs, name, predicted))
        for name, weight in sorted(members.weights.items(), key=lambda one: (-one[1], one[0]))
    )


def _pull(
    members: MembersFile, logs: Mapping[str, float], name: str, predicted: float
) -> float | None:
    others = {other: weight for other, weight in members.weights.items() if other != name}
    if not others:
        return None
    without = fsum(weight * logs[other] for other, weight in others.items())
    return predicted - _money(min(without / fsum(others.values()), members.log_highest))


def _money(value: float) -> float:
    return exp(max(-FINITE, min(value, FINITE)))
