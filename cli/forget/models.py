"""What trained models have of a person: the name, in manifests of before, and rare values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cva_sql.cli.person.manifests import customers_in_manifests, named_in, text_of
from cva_sql.cli.shop.audit import note_redacted
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.files import write_atomic
from cva_sql.cli.shop.sql_text import column_names, quoted
from cva_sql.udfs.distributions import FACTS
from cva_sql.udfs.manifest import MANIFEST_FILE, without_ids
from cva_sql.udfs.model_files import parse_object
from cva_sql.udfs.sessions import VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from cva_sql.cli.person.raw import Who
    from cva_sql.cli.shop.forgotten import Tombstones
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


def redact_manifests(
    con: DuckDBPyConnection, shop: ResolvedShop, known: Tombstones
) -> tuple[list[str], list[str]]:
    """Takes customers out of manifests of before that name them: what to say, and what is left.

    What is read of such a manifest stays the same, as it is read without ids. All of its ids go,
    since one that was left would be the next to be asked for.
    """
    notes, left = list[str](), list[str]()
    for file, ids in customers_in_manifests(shop).items():
        if not any(map(known.is_named, ids)):
            continue
        if why := _redact(con, file, known):
            left.append(f"{file}, which names them and {why}; remove it")
        else:
            notes.append(f"{file} named customers, and names nobody now; scores stay as they were")
    return notes, left


def _redact(con: DuckDBPyConnection, file: Path, known: Tombstones) -> str | None:
    """Takes the customers out of a manifest; says why it was left as it is, None where it was not.

    What is noted of it is noted of the new file: one that stayed was not changed.
    """
    try:
        raw = parse_object(text_of(file))
    except ValueError:
        return "is no JSON"
    if any(path.is_symlink() for path in (file, *file.parents[:2])):
        return "is a link"
    data = _without_ids(raw)
    if data is None or any(map(known.is_named, named_in(data))):
        return "is not as a training writes it"
    try:
        was = file.stat()
        times = (was.st_atime_ns, was.st_mtime_ns)  # models are told by age
        write_atomic(file, data.encode(), times)
    except OSError as error:
        return f"cannot be written ({error.strerror or error})"
    note_redacted(con, file.parent, data.encode(), "forget")
    return None


def _without_ids(raw: dict[str, Any]) -> str | None:
    """The manifest as it is read, without the customers; None for one that cannot be."""
    try:
        training = without_ids(raw["training"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return json.dumps({**raw, "training": training}, indent=2, sort_keys=True) + "\n"
