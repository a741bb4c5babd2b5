"""What reviews speak of, what got worse, and which sentence moved a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import numpy as np

from cva_sql.cli.report.page import Card, Cell, Grid, Plot, Section, Table, plot
from cva_sql.cli.report.plots.months import Months, paint_months
from cva_sql.cli.report.source import Row, Source
from cva_sql.cli.report.wording import counted, money, percent, plain, tone

NAME, TITLE = "insights", "What the reviews speak of"
TRENDS = (
    "level", "aspect", "month_date", "reviews_count", "mentions_count", "mean_sentiment",
    "mean_sentiment_p10", "mean_sentiment_p90",
)  # fmt: skip
ISSUES = (
    "issue_rank", "level", "category", "product_id", "aspect", "complaint_share",
    "before_complaint_share", "change_p10", "change_p90", "sentence_rank", "sentence",
)  # fmt: skip
REASONS = (
    "customer_id", "level", "reason_rank", "review_date", "sentence", "predicted_value",
    "value_change",
)  # fmt: skip
NEWEST = 3  # months that are held beside the nine before them
MONTHS = 12
DRAWN = 2  # aspects with a plot of their own
SHOWN = 10  # things that got worse, and sentences
LENGTH = 160  # characters of a sentence
HEIGHT = 230.0
NOTE = (
    "Aspects and tone are read by a model, which misses some. A sentence that moved a prediction "
    "is what the model looked at, not a cause."
)


@dataclass(frozen=True)
class Spoken:
    """An aspect in the shop's reviews of the newest months, and of those before; None: unknown."""

    aspect: str
    reviews: int
    mentions: int
    tone: float | None
    before_share: float | None
    before_tone: float | None

    @property
    def share(self) -> float:
        return self.mentions / self.reviews if self.reviews else 0.0


def insights(source: Source) -> tuple[Section, ...]:
    """The section, as the only one; none where nobody asked for it, or no table has a row."""
    trends = source.table("aspect_trends", TRENDS)
    aspects = _aspects(source, trends) if trends else []
    cards: list[Card | Plot] = []
    if trends and aspects:
        drawn = [one for one in aspects if one.tone is not None][:DRAWN]
        cards.append(_aspects_card(aspects))
        cards += [_tone_plot(source, trends, k, one) for k, one in enumerate(drawn)]
    cards += [*_issues_card(source), *_reasons_card(source)]
    if not cards:
        return ()
    return (Section(NAME, TITLE, _sentence(aspects), (Grid(cards),), NOTE),)


def _aspects(source: Source, trends: str) -> list[Spoken]:
    """Aspects of the whole shop, the most spoken of first."""
    (last,) = source.rows(f"select max(month_date) from {trends} where level = 'shop'")[0]
    if last is None:
        return []
    rows = source.rows(
        f"select aspect, month_date > ?::date - to_months({NEWEST}) as is_new, "
        "sum(reviews_count)::bigint, sum(mentions_count)::bigint, sum(round(mean_sentiment * "
        "mentions_count, 9)::decimal(28, 9))::double / nullif(sum(mentions_count), 0)::double "
        f"from {trends} where level = 'shop' and month_date > ?::date - to_months({MONTHS}) "
        "group by 1, 2 order by 1, 2",
        [last, last],
    )
    found = []
    for aspect, both in groupby(rows, key=lambda row: row[0]):
        parts = {is_new: rest for _, is_new, *rest in both}
        reviews, mentions, felt = parts.get(True, (0, 0, None))
        was = parts.get(False)
        share = was[1] / was[0] if was and was[0] else None
        found.append(Spoken(aspect, reviews, mentions, felt, share, was[2] if was else None))
    return sorted(found, key=lambda one: (-one.share, one.aspect))


def _sentence(aspects: Sequence[Spoken]) -> str:
    known = [one for one in aspects if one.mentions and one.tone is not None]
    if not known:
        return "Sentences of reviews by what they are about, and those that moved a prediction."
    most, worst = known[0], min(known, key=lambda one: (one.tone, one.aspect))
    return (
        f"Of {counted(most.reviews, 'review')} of the last {NEWEST} months, {percent(most.share)} "
        f"speak of {plain(most.aspect, 40)}. Their tone is lowest where they speak of "
        f"{plain(worst.aspect, 40)}: {tone(worst.tone)}."
    )


def _aspects_card(aspects: Sequence[Spoken]) -> Card:
    rows = [
        [
            plain(one.aspect, 40), percent(one.share), percent(one.before_share),
            tone(one.tone), tone(one.before_tone),
        ]
        for one in aspects
    ]  # fmt: skip
    sentence = (
        f"Reviews of the last {NEWEST} months that speak of it, their tone from −1 to +1, and "
        "both in the nine months before."
    )
    header = ("Aspect", "Reviews", "Before", "Tone", "Before")
    return Card("Aspects", sentence, Table("Aspects of the reviews", header, rows))


def _tone_plot(source: Source, trends: str, place: int, spoken: Spoken) -> Plot:
    rows = source.rows(
        "select month_date, mean_sentiment, mean_sentiment_p10, mean_sentiment_p90 "
        f"from {trends} where level = 'shop' and aspect = ? order by 1 desc limit {MONTHS}",
        [spoken.aspect],
    )[::-1]
    value, lower, upper = (
        np.array([np.nan if row[k] is None else row[k] for row in rows], dtype=np.float64)
        for k in (1, 2, 3)
    )
    months = Months([_day(row) for row in rows], value, lower, upper)
    title = f"Tone of {plain(spoken.aspect, 40)}"
    sentence = "Mean tone of the reviews of each month that speak of it, with 80 % intervals."
    return plot(
        f"tone-{place}", title, sentence, HEIGHT,
        lambda drawing: paint_months(drawing, months, -1.0, 1.0, "Mean tone"),
    )  # fmt: skip


def _day(row: Row) -> date:
    return date(row[0].year, row[0].month, row[0].day)


def _issues_card(source: Source) -> list[Card]:
    """What is complained of more than before, with the sentences; none where nothing is."""
    issues = source.table("product_issues", ISSUES)
    rows = source.rows(
        f"select {', '.join(ISSUES)} from {issues} where issue_rank <= {SHOWN} "
        "order by issue_rank, sentence_rank"
    ) if issues else []  # fmt: skip
    cells: list[list[str | Cell]] = []
    for _, same in groupby(rows, key=lambda row: row[0]):
        said = list(same)
        _, level, category, product, aspect, share, before, low, high, *_ = said[0]
        where = {"product": product, "category": category}.get(level)
        cells.append(
            [
                Cell(plain(where or "the shop", 40), small=plain(aspect, 40)),
                Cell(items=tuple(plain(row[-1], LENGTH) for row in said)),
                percent(share),
                percent(before),
                f"{_points(low)} to {_points(high)}",
            ]
        )
    if not cells:
        return []
    sentence = (
        "Share of reviews that complain of it in the last 30 days and in the 180 days before; the "
        "80 % interval of the change is in points of a hundred."
    )
    header = ("Where, and of what", "In the words of customers", "Complain", "Before", "Change")
    table = Table("What got worse", header, cells, texts=2, kind="stacked", long=1)
    return [Card("What got worse", sentence, table, is_wide=True)]


def _reasons_card(source: Source) -> list[Card]:
    """The sentences that moved predictions most, up or down; none where none did."""
    reasons = source.table("customer_value_text_reasons", REASONS)
    rows = source.rows(
        f"select customer_id, review_date, sentence, predicted_value, value_change from {reasons} "
        "where level = 'sentence' and reason_rank = 1 "
        f"order by abs(value_change) desc, customer_id limit {SHOWN}"
    ) if reasons else []  # fmt: skip
    cells: list[list[str | Cell]] = [
        [
            Cell(plain(customer, 40), small=f"review of {day}"),
            plain(sentence or "–", LENGTH),
            money(predicted),
            _moved(change),
        ]
        for customer, day, sentence, predicted, change in rows
    ]
    if not cells:
        return []
    sentence = (
        "What the model predicts, less what it would predict had the sentence not been written: "
        f"the {SHOWN} largest differences."
    )
    header = ("Customer", "Sentence", "Predicted value", "Moved by")
    table = Table(
        "Sentences that moved a prediction", header, cells, texts=2, kind="stacked", long=1
    )
    return [Card("Sentences that moved a prediction", sentence, table, is_wide=True)]


def _moved(change: float) -> str:
    return f"+{money(change)}" if change > 0 else money(change)


def _points(share: float) -> str:
    return f"{100 * share:+.0f}".replace("-", "−")
