"""How a call in Python reaches its shop: to read, or with other commands kept off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

AnyPath = str | PathLike[str]
Made = TypeVar("Made")


def reading(shop: ResolvedShop) -> ResolvedShop:
    """The shop, whose database has to be there; raises UsageError."""
    from cva_sql.cli.shop.resolver import Need, require

    require(shop, Need.DATABASE)
    return shop


def writing(
    shop: ResolvedShop, call: Callable[[ResolvedShop], Made], *, needs_orders: bool = True
) -> Made:
    """What `call` gives, other commands kept off the shop meanwhile.

    Raises UsageError or CvaError where there is no database, or none with orders.
    """
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.shop.resolver import Need, require

    require(shop, Need.ORDERS if needs_orders else Need.DATABASE)
    with exclusive(shop):
        return call(shop)


def paths_of(files: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """The paths of one file or of several."""
    return [Path(file) for file in ([files] if isinstance(files, (str, PathLike)) else files)]


def texts_of(texts: str | Iterable[str]) -> list[str]:
    """One text, or several; not the letters of one."""
    return [texts] if isinstance(texts, str) else list(texts)
