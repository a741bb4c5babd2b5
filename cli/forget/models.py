"""What trained models have of a person: no model names a customer, but it may know a rare value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.sql_text import column_names, quoted
from cva_sql.udfs.distributions import FACTS
from cva_sql.udfs.manifest import MANIFEST_FILE
from cva_sql.udfs.sessions import VALUE

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
            f"select cast({quoted(feature)} as varchar) from {relation} where"
            f" list_contains(cast(? as varchar[]), cast({quoted(feature)} as varchar))"
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
    """Version, feature and values that the manifest of each value model has of its categories."""
    for file in sorted(shop.models_dir.glob(f"{VALUE}/*/{MANIFEST_FILE}")):
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            counted = raw.get("training", {}).get(FACTS, {}).get("inputs", ())
            texts = {one["name"]: one.get("texts", ()) for one in counted}
            for feature in raw["features"]:
                if feature.get("kind") == "category":
                    name = feature["name"]
                    values = [*feature.get("values", ()), *texts.get(name, ())]
                    yield raw["version"], name, [one for one in dict.fromkeys(values) if one]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # what is wrong with a model is said by cva models
