"""Which past dates the model learns from: the cutoff dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

MAX_CUTOFFS = 9  # with a step of a third of the label: three horizons of different seasons
MIN_LABEL_DAYS = 7  # a shorter window says little of a longer one
MIN_HISTORY_DAYS = 30  # before a cutoff, where there are so many
MIN_LABELS = 50  # of a date, or it is no cutoff: one date a customer teaches nothing


@dataclass(frozen=True)
class Plan:
    """Cutoff dates, newest first, from each of which `label_days` are known before `as_of`.

    `label_days` is the horizon, or a third of the history where that is shorter: what is learned is
    then extrapolated to the horizon.
    """

    as_of: date
    horizon_days: int
    label_days: int
    cutoffs: tuple[date, ...]

    @property
    def extrapolation(self) -> float:
        """horizon_days / label_days, at least 1."""
        return self.horizon_days / self.label_days

    def trained_before(self, cutoff: date) -> tuple[date, ...]:
        """The cutoffs whose labels are complete on `cutoff`."""
        end = timedelta(days=self.label_days)
        return tuple(other for other in self.cutoffs if other + end <= cutoff)


def plan_cutoffs(first_order: date | None, as_of: date, horizon_days: int) -> Plan | None:
    """The plan for scoring on `as_of`, None where the history is too short to learn from."""
    if first_order is None or first_order >= as_of:
        return None
    label_days = min(horizon_days, (as_of - first_order).days // 3)
    if label_days < min(MIN_LABEL_DAYS, horizon_days):
        return None
    step = max(7, round(label_days / 3))
    newest = as_of - timedelta(days=label_days)
    # What is learned a label before the newest cutoff can be judged there, however short the past.
    judged_from = newest - timedelta(days=label_days)
    history = timedelta(days=max(label_days // 2, MIN_HISTORY_DAYS))
    earliest = min(first_order + history, judged_from)
    days = [newest - timedelta(days=step * index) for index in range(MAX_CUTOFFS)]
    cutoffs = {day for day in days if day >= earliest}
    if min(cutoffs) > judged_from:
        cutoffs.add(judged_from)
    newest_first = tuple(sorted(cutoffs, reverse=True))
    return Plan(as_of, horizon_days, label_days, newest_first)


def plan_labelled(
    labels: Mapping[date, int], first_order: date | None, as_of: date, horizon_days: int
) -> Plan | None:
    """The plan of a shop that says itself what customers turned out to be worth from a date on.

    `labels` is date -> how many it has. The cutoffs are the newest of these dates with
    MIN_LABELS or more, after the first order and a horizon or more before `as_of`; None without.
    """
    if first_order is None:
        return None
    known = as_of - timedelta(days=horizon_days)
    days = [day for day, n in labels.items() if first_order < day <= known and n >= MIN_LABELS]
    newest_first = tuple(sorted(days, reverse=True)[:MAX_CUTOFFS])
    return Plan(as_of, horizon_days, horizon_days, newest_first) if newest_first else None
