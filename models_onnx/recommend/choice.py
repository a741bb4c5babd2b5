"""Which of ranker, candidates and popularity recommends: the best on a later period."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Baskets
from cva_sql.models_onnx.recommend.calibration import Calibration, calibrate
from cva_sql.models_onnx.recommend.contract import Candidate
from cva_sql.models_onnx.recommend.judging import (
    METRICS,
    PARTS,
    RANKER,
    Judged,
    difference,
    estimate,
    judge_date,
)
from cva_sql.models_onnx.recommend.metrics import Estimate
from cva_sql.models_onnx.recommend.ranker import (
    Ranker,
    alone,
    fit_ranker,
    judged_customers,
    known,
)

POPULARITY = "popularity"
UNJUDGED = "own_most_bought"  # its lists are filled up by popularity, which is all that the new get
LEAST_CUSTOMERS = 30  # judged; with fewer an interval says nothing
MOST_CUSTOMERS = 5000  # judged; more would make intervals narrower than any lead that matters
LEARNED_DATES = 2


@dataclass(frozen=True)
class Choice:
    """What recommends, why, and how everything did on the day that judged.

    `ranker` is the very one that was judged, and None where a candidate recommends; `judged` is
    None where the past is too short to judge. `calibration` is of the winner on the days that
    judged, which the ranker was not fitted on.
    """

    name: str
    verdict: str
    ranker: Ranker | None = None
    judged: Judged | None = None
    calibration: Calibration | None = None

    @cached_property
    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """Name -> metric -> mean and interval, the parts as in recall_new."""
        if self.judged is None:
            return {}
        return {name: _estimates(self.judged, name) for name in self.judged.rows}

    def figures(self) -> dict[str, dict[str, float]]:
        """Name -> metric -> value, coverage and novelty too."""
        return {
            name: {
                **{metric: one.value for metric, one in found.items()},
                "coverage": self.judged.coverage[name],
                "novelty": self.judged.novelty[name],
            }
            for name, found in self.estimates.items()
            if self.judged is not None
        }

    def intervals(self) -> dict[str, dict[str, list[float]]]:
        """Name -> metric -> the ends of its 95 % interval over customers."""
        return {
            name: {metric: [one.lower, one.upper] for metric, one in found.items()}
            for name, found in self.estimates.items()
        }

    @property
    def judged_on(self) -> str | None:
        """The day that judged, as a date."""
        return _said(self.judged.day) if self.judged else None


def choose(
    baskets: Baskets,
    day: int,
    horizon: int,
    candidates: Sequence[Candidate],
    report: Callable[[str], None] = lambda _: None,
    *,
    excluded: NDArray[np.bool_] | None = None,
) -> Choice:
    """Fits a ranker on dates before the last whole horizon, and judges everything in that.

    Nothing on or after `day` is looked at.
    """
    past = baskets.before(day)
    judged_on = day - horizon
    if len(judged_customers(past, judged_on, horizon)) < LEAST_CUSTOMERS:
        why = "too few customers came back to judge by"
        return Choice(UNJUDGED, f"{UNJUDGED} recommends, then popularity: {why}")
    learned = [judged_on - horizon * back for back in range(1, LEARNED_DATES + 1)]
    days = [one for one in learned if len(judged_customers(past, one, horizon)) > 0]
    ranker = None
    if days:
        states = []
        for one in days:
            report(f"candidates as of {_said(one)}")
            states.append(known(past, one, horizon, candidates, excluded))
        report("ranker")
        ranker = fit_ranker(past, states)
    report(f"judging in the {horizon} days from {_said(judged_on)}")
    state = known(past, judged_on, horizon, candidates, excluded)
    judged = judge_date(past, state, ranker, MOST_CUSTOMERS)
    name, verdict = _winner(judged)
    winner = ranker if name == RANKER else None
    report("how likely what is listed is bought")
    likely = calibrate(past, state, winner or alone({name, POPULARITY}, name))
    return Choice(name, verdict, winner, judged, likely)


def _winner(judged: Judged) -> tuple[str, str]:
    """The most NDCG, if it is ahead of popularity by more than chance."""
    found = {name: estimate([judged], name, "all", "ndcg").value for name in judged.rows}
    best = max(sorted(found), key=lambda name: found[name])
    if best == POPULARITY:
        return best, f"{best} recommends: nothing has more ndcg@10 ({found[best]:.3f})"
    lead = difference([judged], best, POPULARITY, "all", "ndcg")
    said = f"ndcg@10 {found[best]:.3f}"
    if not lead.lower > 0:
        return POPULARITY, (
            f"popularity recommends: {best} is not ahead of it beyond its interval ({said}, "
            f"popularity {found[POPULARITY]:.3f}, lead {lead.lower:.3f} to {lead.upper:.3f})"
        )
    second = max(sorted(set(found) - {best}), key=lambda name: found[name])
    ahead = difference([judged], best, second, "all", "ndcg")
    return best, (
        f"{best} recommends: {said}, next {second} {found[second]:.3f} "
        f"(lead {ahead.value:.3f}, {ahead.lower:.3f} to {ahead.upper:.3f}), "
        f"popularity {found[POPULARITY]:.3f}"
    )


def _estimates(judged: Judged, name: str) -> dict[str, Estimate]:
    return {
        metric if part == "all" else f"{metric}_{part}": estimate([judged], name, part, metric)
        for part in PARTS
        for metric in METRICS
    }


def _said(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
