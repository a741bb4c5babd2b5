"""The texts that people wrote, by the names under which what was read of them is kept."""

from __future__ import annotations

from collections.abc import Sequence

from cva_sql.cli.person.raw import RawSource, Who, WhoseOrder
from cva_sql.cli.shop.package import macro_value

# By text_hash alone; the last with the texts that several people searched for.
READINGS = ("int_cva__text_vectors", "int_cva__text_components", "int_cva__queries")
SCORES = "int_cva__review_scores"  # by customer and text_hash, as of the last run


def every_text(sources: Sequence[RawSource], who: Who, is_order: WhoseOrder) -> list[str]:
    """Queries of text_hash and is_theirs: every text of the raw tables, and each sentence of it."""
    parts = []
    for source in sources:
        text, theirs = text_rows(source), source.of(who, is_order)
        if text is not None and theirs is not None:
            named = NAMED.get(source.table, hashes)
            parts.append(
                f"select unnest({named('cva_text')}) as text_hash, is_theirs from (select {text}"
                f" as cva_text, {theirs} as is_theirs from ({source.rows}))"
                " where cva_text is not null"
            )
    return parts


def text_rows(source: RawSource) -> str | None:
    """SQL over canonical rows: the whole text of a row, before it is masked."""
    there = set(source.columns)
    if source.table == "reviews" and "body" in there:
        return "body"
    if source.table == "events" and "search_query" in there:
        return "search_query"
    if source.table != "tickets" or not there & {"subject", "body"}:
        return None
    if not {"subject", "body"} <= there:
        return "subject" if "subject" in there else "body"
    return (
        "case when subject is null then body when body is null then subject"
        " else concat(subject, chr(10), body) end"
    )


def hashes(text: str) -> str:
    """SQL: the names of a text, as it is and masked, and of each sentence of it, as a list."""
    sentence = macro_value("engine.sql", "trimmed", "cva_piece")
    sentences = macro_value("service.sql", "service_sentences", text)
    masked = macro_value("service.sql", "masked", text)
    whole, shown, part = (
        macro_value("engine.sql", "text_hash", one) for one in (text, masked, sentence)
    )
    return f"[{whole}, {shown}] || list_transform({sentences}, lambda cva_piece: {part})"


def review_hashes(text: str) -> str:
    """SQL: those, of each sentence as `review_insights` has it, and of the text without it."""
    sentences = macro_value("insights.sql", "review_sentences", text)
    sentence = macro_value("insights.sql", "review_sentence", "cva_piece")
    rest = macro_value("insights.sql", "text_without", text, sentence)
    part, other = (macro_value("engine.sql", "text_hash", one) for one in (sentence, rest))
    return (
        f"{hashes(text)} || flatten(list_transform({sentences}, lambda cva_piece: [{part},"
        f" {other}]))"
    )


def query_hashes(text: str) -> str:
    """SQL: the name of what was searched for, as a list of one."""
    query = macro_value("words.sql", "query_text", text)
    return f"[{macro_value('engine.sql', 'text_hash', query)}]"


NAMED = {"events": query_hashes, "reviews": review_hashes}  # by raw table; of others: hashes
