"""Training's own validation: how the candidates and the rules did on the dates kept back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.report.page import Card, Cell, Grid, Plot, Section, Table, plot
from cva_sql.cli.report.plots.bars import BELOW, ROW, Bar, paint_bars
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.wording import MINUS, amount, counted, percent, plain

if TYPE_CHECKING:
    from cva_sql.udfs.manifest import Manifest

FIGURES = ("ngini", "d2_shape", "mae", "bias")  # of the manifest's scores
SHOWN = 16  # candidates and rules
PACKAGED = ("packaged rule", "rule: past spend, faded; scores until a model is deployed (baseline)")


@dataclass(frozen=True)
class Candidate:
    """A model or rule that training compared; figures are means of its dates, NaN where unknown."""

    name: str
    what: str
    is_rule: bool
    is_deployed: bool
    ranking: float
    deviance: float
    error: float
    total: float


def validation(source: Source, name: str, title: str) -> Section | None:
    """The section from the deployed model's manifest; None where it has no scores."""
    if source.deployed is None:
        return None
    found, evaluation = _candidates(source.deployed), source.deployed.evaluation
    dates = [str(day) for day in evaluation.get("validation_dates") or ()]
    if not found or not dates:
        return None
    verdict = plain(str(evaluation.get("verdict") or ""), 300)
    note = (
        "All figures are means of the dates, and training chose the model by them. "
        f"{f'Why it was deployed: {verdict}. ' if verdict else ''}Intervals, predicted beside "
        f"actual {source.words.noun}, and whether the ranges are right: "
        f"{source.command('evaluate')}"
    )
    blocks = (Grid((_ranking_plot(found), _card(source, found))),)
    return Section(name, title, _sentence(found, dates), blocks, note)


def last_reason(source: Source) -> str:
    """Why the last training deployed no model, as a sentence; '' where that is not known."""
    table = source.table("cva_training_runs", ("run_at", "as_of_date", "is_deployed", "reason"))
    if source.deployed or table is None:
        return ""
    rows = source.rows(
        f"select as_of_date, is_deployed, reason from {table} "
        "where reason is null or not starts_with(reason, 'encoder ') "  # of cva finetune
        "order by run_at desc, reason limit 1"
    )
    if not rows or rows[0][1] or not rows[0][2]:
        return ""
    return f"The training of {rows[0][0]} deployed no model: {plain(rows[0][2], 300)}. "


def _candidates(manifest: Manifest) -> list[Candidate]:
    """All that have a figure on ranking, the best first."""
    from cva_sql.models_onnx.value.judging.rules import RULES

    rules = {name: (name, f"rule: {rule.description}") for name, rule in RULES.items()}
    rules["baseline"] = PACKAGED
    found = []
    for key, scores in sorted((manifest.evaluation.get("scores") or {}).items()):
        name, what = rules.get(key, (key, "trained model"))
        figures = [scores.get(figure) for figure in FIGURES]
        numbers = [math.nan if value is None else float(value) for value in figures]
        if math.isfinite(numbers[0]):
            is_deployed = key == manifest.training.get("kind")
            words = plain(name, 40).replace("_", " ")
            found.append(Candidate(words, what, key in rules, is_deployed, *numbers))
    return sorted(found, key=lambda c: (-c.ranking, c.name))[:SHOWN]


def _sentence(found: Sequence[Candidate], dates: Sequence[str]) -> str:
    sentence = (
        f"Training's own validation on {counted(len(dates), 'date')} ({', '.join(dates)}), each "
        "predicted from what was before it"
    )
    for own in (c for c in found if c.is_deployed):
        sentence += f": the deployed model ranks customers at {_digits(own.ranking)}"
        for rule in [c for c in found if c.is_rule][:1]:
            sentence += f", the best rule ({rule.name}) at {_digits(rule.ranking)}"
        sentence += "; 1 is the perfect order, 0 a random one"
        if math.isfinite(own.total):
            side = "too high" if own.total >= 0 else "too low"
            sentence += f". Its total was {percent(abs(own.total))} {side}"
    return f"{sentence}."


def _ranking_plot(found: Sequence[Candidate]) -> Plot:
    bars = [
        Bar(c.name, max(c.ranking, 0.0), 0, 0, _digits(c.ranking), is_soft=not c.is_deployed)
        for c in found
    ]
    sentence = f"“{found[0].name}” ranks best: {_digits(found[0].ranking)}. Longer is better."
    return plot(
        "ranking", "Who ranks customers best", sentence, ROW * len(bars) + BELOW,
        lambda drawing: paint_bars(drawing, bars, 1.0, "Normalized Gini"),
        legend=(("accent", "deployed"), ("soft", "compared with it")), kind="top",
    )  # fmt: skip


def _card(source: Source, found: Sequence[Candidate]) -> Card:
    title = "Candidates and rules"
    sentence = (
        "Ranking: normalized Gini. Deviance explained: 1 is perfect, 0 the same for everyone; a "
        "model is chosen by it. Mean error: between a customer's predicted and actual "
        f"{source.words.noun}. "
        "Total: of all predictions, above (+) or below (−) what came."
    )
    header = ("Name", "Ranking", "Deviance explained", f"Mean error ({source.unit})", "Total")
    rows: list[list[str | Cell]] = [
        [
            Cell(c.name, small=c.what), _digits(c.ranking), _digits(c.deviance), amount(c.error),
            _share(c.total),
        ]
        for c in found
    ]  # fmt: skip
    return Card(title, sentence, Table(title, header, rows), is_wide=True)


def _digits(value: float) -> str:
    return f"{value:.3f}".replace("-", MINUS) if math.isfinite(value) else "–"


def _share(value: float) -> str:
    sign = "+" if value > 0 else MINUS if value < 0 else ""
    return sign + percent(abs(value))
