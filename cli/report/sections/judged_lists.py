"""How everything that could recommend did on the days that judged it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.report.page import Card, Cell, Plot, Table, plot
from cva_sql.cli.report.plots.bars import BELOW, ROW, Bar, paint_bars
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.wording import counted, plain
from cva_sql.udfs.errors import ModelError

if TYPE_CHECKING:
    from cva_sql.udfs.manifest import Manifest

KIND = "recommendations"
SHOWN = 16  # of what was judged


@dataclass(frozen=True)
class Figure:
    """A mean over customers with its 95 % interval; NaN where unknown."""

    value: float
    lower: float
    upper: float

    @property
    def cell(self) -> Cell:
        """Three digits, the interval below."""
        if not math.isfinite(self.value):
            return Cell("–")
        has_interval = math.isfinite(self.lower) and math.isfinite(self.upper)
        small = f"{self.lower:.3f} to {self.upper:.3f}" if has_interval else ""
        return Cell(f"{self.value:.3f}", small=small)


@dataclass(frozen=True)
class Contender:
    """What could recommend, and how it did."""

    name: str
    is_deployed: bool
    recall: Figure
    ndcg: Figure


@dataclass(frozen=True)
class JudgedLists:
    """The deployed recommender's own report: the best first, none where nothing was judged."""

    version: str
    verdict: str
    judged_on: str
    days: int
    customers: int
    contenders: tuple[Contender, ...]


def judged_lists(source: Source) -> JudgedLists | None:
    """What the deployed recommender's manifest says; None without one, or a broken one."""
    manifest = _manifest(source)
    if manifest is None:
        return None
    evaluation = manifest.evaluation
    dates = evaluation.get("validation_dates") or [""]
    intervals = evaluation.get("intervals") or {}
    found = [
        Contender(
            plain(name, 40).replace("_", " "),
            name == manifest.training.get("kind"),
            _figure("recall", scores, intervals.get(name) or {}),
            _figure("ndcg", scores, intervals.get(name) or {}),
        )
        for name, scores in sorted((evaluation.get("scores") or {}).items())
    ]
    found = [one for one in found if math.isfinite(one.ndcg.value)]
    return JudgedLists(
        manifest.version,
        plain(str(evaluation.get("verdict") or ""), 300),
        plain(str(dates[0])),
        manifest.horizon_days or 0,
        int(evaluation.get("customers") or 0),
        tuple(sorted(found, key=lambda one: (-one.ndcg.value, one.name))[:SHOWN]),
    )


def _manifest(source: Source) -> Manifest | None:
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.sessions import deployed_folder

    try:
        return read_manifest(deployed_folder(source.shop.models_dir, KIND))
    except (ModelError, OSError):
        return None


def _figure(name: str, scores: Mapping[str, Any], intervals: Mapping[str, Any]) -> Figure:
    ends = intervals.get(name) or (None, None)
    value, lower, upper = (
        math.nan if one is None else float(one) for one in (scores.get(name), *ends)
    )
    return Figure(value, lower, upper)


def how_good(judged: JudgedLists) -> list[Card | Plot]:
    """A plot and a table of all that was judged, or a card that says why nothing was."""
    title = "How good are the lists?"
    verdict = f"Why these lists: {judged.verdict}." if judged.verdict else ""
    if not judged.contenders:
        return [Card(title, f"Nothing could be judged yet. {verdict}".strip())]
    by = f"what {counted(judged.customers, 'customer')}" if judged.customers else "what customers"
    sentence = (
        f"Judged by {by} bought in {counted(judged.days, 'day')} from {judged.judged_on}. Recall: "
        "the share of it that was in a list of ten. NDCG: the same for the order of the list, 1 "
        f"is the best there could be. "
    )
    if any(math.isfinite(one.ndcg.lower) for one in judged.contenders):
        sentence += "Below each is its 95\u00a0% interval. "
    sentence += verdict
    rows: list[list[str | Cell]] = [
        [Cell(one.name, small="makes the lists" if one.is_deployed else ""), one.recall.cell,
         one.ndcg.cell]
        for one in judged.contenders
    ]  # fmt: skip
    header = ("Name", "Recall@10", "NDCG@10")
    table = Table("All that could recommend", header, rows)
    return [_plot(judged.contenders), Card(title, sentence.strip(), table, is_wide=True)]


def _plot(found: Sequence[Contender]) -> Plot:
    bars = [
        Bar(
            one.name, one.ndcg.value, *_ends(one.ndcg), one.ndcg.cell.text,
            is_soft=not one.is_deployed,
        )
        for one in found
    ]  # fmt: skip
    largest = max(max(bar.size, bar.upper) for bar in bars)
    sentence = f"“{found[0].name}” has the most: {bars[0].label}."
    if any(bar.lower < bar.upper for bar in bars):
        sentence += " The line is the interval."
    return plot(
        "lists", "Whose lists were right", sentence, ROW * len(bars) + BELOW,
        lambda drawing: paint_bars(drawing, bars, largest, "NDCG@10"),
        legend=(("accent", "makes the lists"), ("soft", "compared with it")), kind="top",
    )  # fmt: skip


def _ends(figure: Figure) -> tuple[float, float]:
    """The interval; two equal ends where it is unknown, which draw no line."""
    if math.isfinite(figure.lower) and math.isfinite(figure.upper):
        return figure.lower, figure.upper
    return figure.value, figure.value
