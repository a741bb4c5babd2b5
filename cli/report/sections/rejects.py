"""Which rows were not used, and why."""

from __future__ import annotations

from cva_sql.cli.report.page import Section, Table, missing
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.wording import counted, percent, plain

NAME, TITLE = "rejects", "Rows that were not used"
COLUMNS = ("table_name", "reason", "row_count", "raw_row_count")
SHOWN = 60  # rows; more reasons than that are the user's own


def rejects(source: Source) -> Section:
    """The section: rows that were not used, by table and reason."""
    name = source.table("cva_rejects", COLUMNS, is_internal=True)
    tables = source.rows(
        f"select table_name, max(raw_row_count)::bigint from {name} group by 1"
    ) if name else []  # fmt: skip
    if not tables:
        what = f"It is not known which rows were left out: {source.command('run')}"
        return missing(NAME, TITLE, what)
    rows = source.rows(
        f"select table_name, reason, row_count, raw_row_count from {name} where row_count > 0 "
        "order by row_count desc, table_name, reason"
    )
    of = f"{counted(sum(row[1] or 0 for row in tables), 'row')} in {counted(len(tables), 'table')}"
    if not rows:
        return Section(NAME, TITLE, f"All {of} were used.")
    sentence = (
        f"{sum(row[2] for row in rows):,} of {of} were not used; most of them, {rows[0][2]:,} of "
        f"{plain(rows[0][0])}, for the reason “{_words(rows[0][1])}”."
    )
    cells = [
        [plain(row[0]), _words(row[1]), f"{row[2]:,}", f"{row[3]:,}",
         percent(row[2] / row[3] if row[3] else None)]
        for row in rows[:SHOWN]
    ]  # fmt: skip
    header = ("Table", "Reason", "Rows", "Of", "Share")
    block = Table(TITLE, header, cells, texts=2, kind="narrow")
    return Section(NAME, TITLE, sentence, (block,))


def _words(reason: str | None) -> str:
    return plain(reason or "no reason named", 100).replace("_", " ")
