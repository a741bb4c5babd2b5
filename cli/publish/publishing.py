"""Copies what was published last to where `to` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cva_sql.cli.publish.book import Book
    from cva_sql.cli.publish.postgresql import Copied
    from cva_sql.cli.shop.shop import ResolvedShop


def publish_shop(shop: ResolvedShop, to: str, *, is_to_adopt: bool = False) -> Book | Copied:
    """Copies all tables into PostgreSQL, or those that people read into a workbook.

    Raises UsageError for another place, and CvaError where nothing was published yet or what is
    there is not cva's.
    """
    from cva_sql.cli.publish.book import write_book
    from cva_sql.cli.publish.postgresql import copy_to_postgresql
    from cva_sql.cli.publish.tables import identity, opened
    from cva_sql.cli.publish.target import parse_target

    target = parse_target(to)
    with opened(shop) as source:
        owner = identity(shop)
        if isinstance(target, Path):
            return write_book(source, shop, target, owner, is_to_adopt=is_to_adopt)
        return copy_to_postgresql(source, target, owner, is_to_adopt=is_to_adopt)
