"""The texts that people wrote, by the names under which what was read of them is kept."""

from __future__ import annotations

from collections.abc import Sequence

from cva_sql.cli.person.raw import RawSource, Who, WhoseOrder
from cva_sql.cli.shop.package import macro_value

READINGS = ("int_cva__text_vectors", "int_cva__text_components")  # by text_hash alone
SCORES = "int_cva__review_scores"  # by customer and text_hash, as of the last run


def every_text(sources: Sequence[RawSource], who: Who, is_order: WhoseOrder) -> list[str]:
    """Queries of text_hash and is_theirs: every text of the raw tables, and each sentence of it."""
    parts = []
    for source in sources:
        text, theirs = text_rows(source), source.of(who, is_order)
        if text is not None and theirs is not None:
            parts.append(
                f"select unnest({hashes('cva_text')}) as text_hash, is_theirs from (select {text}"
                f" as cva_text, {theirs} as is_theirs from ({source.rows}))"
                " where cva_text is not null"
            )
    return parts


def text_rows(source: RawSource) -> str | None:
    """SQL over canonical rows: the whole texts of a row, as the queue of service has them."""
    there = set(source.columns)
    if source.table == "reviews" and "body" in there:
        return "body"
    if source.table != "tickets" or not there & {"subject", "body"}:
        return None
    if not {"subject", "body"} <= there:
        return "subject" if "subject" in there else "body"
    return (
        "case when subject is null then body when body is null then subject"
        " else concat(subject, chr(10), body) end"
    )


def hashes(text: str) -> str:
    """SQL: the names of a text and of each sentence of it, as a list."""
    sentence = macro_value("engine.sql", "trimmed", "cva_piece")
    sentences = macro_value("service.sql", "service_sentences", text)
    whole, part = (macro_value("engine.sql", "text_hash", one) for one in (text, sentence))
    return f"list_prepend({whole}, list_transform({sentences}, lambda cva_piece: {part}))"
