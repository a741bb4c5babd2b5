"""What the reviews say, as far as they could be read."""

from __future__ import annotations

from collections.abc import Sequence

from cva_sql.cli.report.page import Card, Grid, Plot, Section, Table, missing, plot
from cva_sql.cli.report.plots.histogram import paint_sentiment
from cva_sql.cli.report.source import Row, Source
from cva_sql.cli.report.wording import counted, percent, plain, tone

NAME, TITLE = "reviews", "What the reviews say"
BINS = 20  # of sentiment, from -1 to 1
HEIGHT = 230.0
RATINGS = 10  # rows at most: on another scale a table of each rating says little
STATUSES = {
    "": "read",
    "truncated": "read up to 256 tokens",
    "empty": "empty",
    "unknown_script": "in a script that the encoder does not know",
}


def reviews(source: Source) -> Section:
    """The section: sentiment of the reviews, and how many could be read."""
    scores = source.table("int_cva__review_scores", ("sentiment",), is_internal=True)
    rows = source.rows(
        f"select least({BINS - 1}, greatest(0, floor((sentiment + 1) * {BINS / 2:g})))::integer, "
        f"count(*), sum(sentiment::decimal(18, 9))::double from {scores} "
        "where isfinite(sentiment) group by 1 order by 1"
    ) if scores else []  # fmt: skip
    statuses = _statuses(source)
    if not rows and not statuses:
        load = source.command("load reviews FILE")
        return missing(NAME, TITLE, f"The shop has no reviews. Load them: {load}")
    blocks: list[Plot | Card] = [_sentiment_plot(rows)] if rows else []
    blocks += [_statuses_card(statuses)] if statuses else []
    blocks += _ratings_card(source) if rows else []
    return Section(NAME, TITLE, _sentence(rows, statuses), (Grid(blocks),))


def _statuses(source: Source) -> list[tuple[str, int]]:
    name = source.table("cva_text_statuses", ("status", "review_count"), is_internal=True)
    if name is None:
        return []
    rows = source.rows(
        f"select coalesce(status, ''), sum(review_count)::bigint from {name} "
        "where review_count > 0 group by 1 order by 2 desc, 1"
    )
    return [(row[0], int(row[1])) for row in rows]


def _sentence(rows: Sequence[Row], statuses: Sequence[tuple[str, int]]) -> str:
    count = sum(row[1] for row in rows)
    if not count:
        total = sum(found for _, found in statuses)
        return f"None of {counted(total, 'review')} has a text that could be read."
    mean = sum(row[2] for row in rows) / count
    praise = sum(row[1] for row in rows if row[0] >= BINS / 2) / count
    return (
        f"{counted(count, 'review')} could be read; {percent(praise)} of them are nearer to "
        f"praise than to complaint, and their mean sentiment is {tone(mean)}."
    )


def _sentiment_plot(rows: Sequence[Row]) -> Plot:
    counts = [0] * BINS
    for k, count, _ in rows:
        counts[k] = count
    total, bad = sum(counts), sum(counts[: BINS // 2])
    sentence = (
        f"{bad:,} of {counted(total, 'review')} ({percent(bad / total)}) are nearer to complaint."
    )
    return plot(
        "sentiment", "Sentiment of the reviews", sentence, HEIGHT,
        lambda drawing: paint_sentiment(drawing, counts),
    )  # fmt: skip


def _ratings_card(source: Source) -> list[Card]:
    """Mean sentiment by rating, the best first; none where there are no ratings, or too many."""
    scores = source.table("int_cva__review_scores", ("sentiment", "rating"), is_internal=True)
    rows = source.rows(
        "select round(rating)::bigint as stars, count(*), "
        f"sum(sentiment::decimal(18, 9))::double / nullif(count(*), 0) from {scores} "
        "where isfinite(sentiment) and isfinite(rating) group by 1 order by 1 desc"
    ) if scores else []  # fmt: skip
    if not 2 <= len(rows) <= RATINGS:
        return []
    best, worst = rows[0], rows[-1]
    sentence = (
        f"A rating of {best[0]} goes with a mean sentiment of {tone(best[2])}, one of "
        f"{worst[0]} with {tone(worst[2])}. No rating was used to read the texts."
    )
    cells = [[str(stars), f"{count:,}", tone(mean)] for stars, count, mean in rows]
    header = ("Rating", "Reviews read", "Mean sentiment")
    return [Card("Do they agree with the ratings?", sentence, Table("Ratings", header, cells))]


def _statuses_card(statuses: Sequence[tuple[str, int]]) -> Card:
    total = sum(count for _, count in statuses)
    read = sum(count for status, count in statuses if status in ("", "truncated"))
    rows = [
        [plain(STATUSES.get(status, status)), f"{count:,}", percent(count / total)]
        for status, count in statuses
    ]
    sentence = f"{read:,} of {counted(total, 'review')} could."
    table = Table("Reviews by status of their text", ("Text", "Reviews", "Share"), rows)
    return Card("Could they be read?", sentence, table)
