"""What trained models have of a person: the name, in manifests of before, and rare values."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.audit import note_redacted
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.files import write_atomic, written_to
from cva_sql.cli.shop.sql_text import column_names, quoted
from cva_sql.udfs.distributions import FACTS
from cva_sql.udfs.manifest import MANIFEST_FILE, without_ids
from cva_sql.udfs.model_files import parse_object
from cva_sql.udfs.sessions import VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


def is_in_a_manifest(shop: ResolvedShop, is_theirs: Callable[[str], bool]) -> bool:
    """Whether a manifest of before names them among the customers left out of learning."""
    return any(any(map(is_theirs, _named(file))) for file in _manifests(shop))


def redact_manifests(
    con: DuckDBPyConnection, shop: ResolvedShop, known: Tombstones
) -> tuple[list[str], list[str]]:
    """Takes customers out of manifests of before that name them: what to say, and what is left.

    What is read of such a manifest stays the same, as it is read without ids. All of its ids go,
    since one that was left would be the next to be asked for.
    """
    notes, left = list[str](), list[str]()
    for file in _manifests(shop):
        why = None
        if not any(map(known.is_named, _named(file))):
            if _parsed(file) is not None or not known.names_in(_text(file)):
                continue
            why = "no JSON"
        elif any(path.is_symlink() for path in (file, *file.parents[:2])):
            why = "a link"
        elif (data := _without_ids(file)) is None:
            why = "not as a training writes it"
        else:
            _replace(con, file, data)
            notes.append(f"{file} named customers, and names nobody now; scores stay as they were")
        if why:
            left.append(f"{file}, which names them and is {why}; remove it")
    return notes, left


def _replace(con: DuckDBPyConnection, file: Path, data: bytes) -> None:
    times = file.stat()
    note_redacted(con, file.parent, data, "forget")
    with written_to(file.parent):
        write_atomic(file, data)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # models are told by age


def _manifests(shop: ResolvedShop) -> list[Path]:
    return sorted(shop.models_dir.glob(f"*/*/{MANIFEST_FILE}"))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # nobody can read it, here


def _parsed(file: Path) -> dict[str, Any] | None:
    """The manifest; None where it is no JSON object."""
    try:
        return parse_object(_text(file))
    except ValueError:
        return None


def _named(file: Path) -> list[str]:
    """The customers that a manifest names, as training did until it kept a count of them alone."""
    try:
        named = (_parsed(file) or {})["training"]["outliers"]
        return [str(one["customer_id"]) for one in named]
    except (KeyError, TypeError):
        return []


def _without_ids(file: Path) -> bytes | None:
    """The manifest as it is read, without the customers; None for one that cannot be."""
    raw = _parsed(file) or {}
    try:
        raw["training"] = without_ids(raw["training"])
    except (KeyError, TypeError, ValueError):
        return None
    return (json.dumps(raw, indent=2, sort_keys=True) + "\n").encode()
