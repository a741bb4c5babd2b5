"""What trained models have of a person: no model names a customer, but it may know a rare value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.sql_text import column_names, quoted
from cva_sql.udfs.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from cva_sql.cli.person.raw import Who
    from cva_sql.cli.shop.shop import ResolvedShop

FEATURES = "customer_features"


def told_apart(con: DuckDBPyConnection, shop: ResolvedShop, who: Who) -> list[str]:
    """A line for each category of a model that nobody but they have."""
    relation = find_relation(con, shop.schema, FEATURES)
    if relation is None:
        return []
    there, found = column_names(con, f"from {relation}"), list[str]()
    for version, feature, values in _categories(shop):
        if feature not in there:
            continue
        rows = con.execute(
            f"select {quoted(feature)} from {relation} where list_contains(?, {quoted(feature)})"
            f" group by 1 having bool_and({who('customer_id')}) order by 1",
            [values],
        ).fetchall()
        found += [
            f"model {version} tells {feature} {value!r} apart, which nobody else has now; it is"
            " gone with a training: cva train"
            for (value,) in rows
        ]
    return found


def _categories(shop: ResolvedShop) -> Iterator[tuple[str, str, list[str]]]:
    """Version, feature and values of the categories of every trained model."""
    for file in sorted(shop.models_dir.glob(f"*/*/{MANIFEST_FILE}")):
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            features = raw["features"]
            for feature in features:
                if feature.get("kind") == "category":
                    yield raw["version"], feature["name"], list(feature.get("values", ()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # what is wrong with a model is said by cva models
