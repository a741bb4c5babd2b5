"""What `cva person` prints for a person, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cva_sql.cli.person.reading import Kept, Person
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.terminal import json_text

FIGURES = ("score", "score_status", "value_tier", "predicted_value", "purchase_probability")
COUNTED = ("_cva.", "cva_train", "cva_evaluate")  # schemas of steps on the way to the marts


def as_json(person: Person) -> str:
    """Everything as one JSON object; money and times as text."""
    return json_text(asdict(person), default=str, indent=2)


def as_text(person: Person) -> str:
    """Everything for a person to read: of tables on the way to others only how much there is."""
    lines = [f"customer {person.customer_id}"]
    if len(person.ids) > 1:
        lines.append(f"also known as: {', '.join(person.ids[1:])}")
    if person.says is not None:
        said = [f"{name} {_shown(person.says[name])}" for name in FIGURES if name in person.says]
        lines.append(f"as of {_shown(person.says.get('as_of_date'))}: {', '.join(said)}")
        lines += [f"  {reason}" for reason in person.reasons]
    counted = [kept for kept in person.tables if _is_counted(kept)]
    for kept in person.tables:
        if kept not in counted:
            lines += ["", *_table(kept)]
    if counted:
        lines += ["", "also, with every value in --json:"]
        lines += [f"  {kept.table}: {count_of(len(kept.rows), 'row')}" for kept in counted]
    if person.manifests:
        lines += ["", "models whose manifest names them; cva forget takes the name out:"]
        lines += [f"  {file}" for file in person.manifests]
    return "\n".join(lines)


def _is_counted(kept: Kept) -> bool:
    return kept.of == "published" or any(part in kept.table for part in COUNTED)


def _table(kept: Kept) -> list[str]:
    whose = {"own": ", a table of your own", "raw": "", "cva": ""}.get(kept.of, "")
    lines = [f"{kept.table}: {count_of(len(kept.rows), 'row')}{whose}"]
    if kept.meaning:
        lines.append(f"  ({kept.meaning.splitlines()[0]})")
    for row in kept.rows:
        values = [f"{name} {_shown(value)}" for name, value in row.items() if value is not None]
        lines.append(f"  - {'; '.join(values)}")
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return str(value).replace("\n", " ")
