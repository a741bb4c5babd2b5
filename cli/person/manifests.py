"""The customers that manifests of before name: those who were left out of learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.forgotten import words_of
from cva_sql.udfs.manifest import MANIFEST_FILE
from cva_sql.udfs.model_files import parse_object

if TYPE_CHECKING:
    from pathlib import Path

    from cva_sql.cli.shop.shop import ResolvedShop

COUNTED = {"count", "spend"}  # what training has of them now


def customers_in_manifests(shop: ResolvedShop) -> dict[Path, frozenset[str]]:
    """The manifests that name customers, with the ids; none for one that cannot be opened.

    Where the list of them cannot be read, every word of the file counts as an id.
    """
    files = sorted(shop.models_dir.glob(f"*/*/{MANIFEST_FILE}"))
    found = {file: named_in(text_of(file)) for file in files}
    return {file: ids for file, ids in found.items() if ids}


def text_of(file: Path) -> str:
    """The text of a manifest; nothing of one that cannot be opened."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def named_in(text: str) -> frozenset[str]:
    """The customers that the text of a manifest names, see customers_in_manifests."""
    try:
        named = _outliers(parse_object(text))
        ids = {_id_of(one) for one in named}
    except ValueError:
        return frozenset(words_of(text))
    if None in ids:
        ids |= set(words_of(text))
    return frozenset(one for one in ids if one is not None)


def _outliers(manifest: dict[str, Any]) -> list[Any]:
    """The rows about customers; raises ValueError where it cannot be said which they are."""
    training = manifest.get("training") or {}
    outliers = training.get("outliers") if isinstance(training, dict) else training
    if not outliers or (isinstance(outliers, dict) and set(outliers) <= COUNTED):
        return []
    if not isinstance(outliers, list):
        raise ValueError("no list")
    return outliers


def _id_of(row: Any) -> str | None:
    """The customer of a row; None where it has none that can be read."""
    customer = row.get("customer_id") if isinstance(row, dict) else None
    return str(customer) if isinstance(customer, str | int) else None
