"""Who is in an audience, and what of them goes into the file."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.audience.formats import EXTRAS, FORMATS, Sheet, normal_email, normal_phone
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

SEGMENTS = "customer_segments"
VALUES = ("predicted_value", "clv", "historic_value", "score")
FOLDER = "audience"  # in the shop's .cva/, for the time of the command


def make_audience(
    shop: ResolvedShop,
    condition: str,
    to: str,
    *,
    value: str = "predicted_value",
    needs_consent: bool = True,
    suppressed: Iterable[Path] = (),
) -> Sheet:
    """The customers for whom `condition` holds, by columns of customer_value and its segments.

    Of what was published last. Whoever is not eligible (objects to being profiled, say), has not
    consented, is in a file of `suppressed`, or cannot be reached by what the importer takes is left
    out and counted. Highest value first.
    """
    from cva_sql.cli.shop.expressions import check_expression

    check_expression(condition, "The condition")
    if to not in FORMATS:
        raise UsageError(f"--to is {to!r}; expected {' or '.join(FORMATS)}")
    if value not in VALUES:
        raise UsageError(f"--value is {value!r}; expected {' or '.join(VALUES)}")
    barred = _read_suppressed(suppressed)
    chosen = _choose(shop, condition, value)
    contacts = _read_contacts(shop, needs_consent=needs_consent)
    kind, left_out, rows = FORMATS[to], Counter[str](), list[list[Any]]()
    extras = EXTRAS if kind.extras else ()
    for customer in chosen:
        known = contacts.get(customer["customer_id"], {})
        row = {
            **customer,
            "email": normal_email(known.get("email")),
            "phone": normal_phone(known.get("phone")),
            "name": known.get("name"),
        }
        if reason := _left_out(row, known, kind.needs, barred, needs_consent=needs_consent):
            left_out[reason] += 1
            continue
        rows.append([of(row) for of in kind.columns.values()] + [row[name] for name in extras])
    return Sheet((*kind.columns, *extras), rows, dict(sorted(left_out.items())))


def _left_out(
    row: dict[str, Any],
    known: dict[str, Any],
    needs: tuple[str, ...],
    barred: set[str],
    *,
    needs_consent: bool,
) -> str | None:
    # Who objects since the last run is left out too, by the raw rows.
    if row["score_status"] == "not_eligible" or known.get("has_objected"):
        return "not eligible"
    if needs_consent and known.get("has_consent") is not True:
        return "no consent"
    if barred & {str(row["customer_id"]).lower(), row["email"] or ""}:
        return "suppressed"
    if needs and not any(row[name] for name in needs):
        return f"no {' or '.join(needs)}"
    return None


def _choose(shop: ResolvedShop, condition: str, value: str) -> list[dict[str, Any]]:
    """The customers of the published tables, the one with the highest value first."""
    import duckdb

    from cva_sql.cli.run.scores import published_file
    from cva_sql.cli.shop.connection import connect, reason_of
    from cva_sql.cli.shop.own_project import DEFAULT_SCHEMA

    con = connect(published_file(shop), read_only=True)
    try:
        found = con.execute(
            f"select customer_id, {value} as value, value_tier, lifecycle_stage, rfm_segment, "
            "score_status from ("
            "select value.*, segments.* exclude (customer_id, as_of_date, value_tier, "
            "historic_value, predicted_value, purchase_probability) "
            f"from {DEFAULT_SCHEMA}.customer_value as value "
            f"inner join {DEFAULT_SCHEMA}.{SEGMENTS} as segments using (customer_id)) "
            f"where (\n{condition}\n) order by value desc nulls last, customer_id"
        )
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise UsageError(f"the condition cannot be used: {reason_of(error)}") from None
    finally:
        con.close()


def _read_contacts(shop: ResolvedShop, *, needs_consent: bool) -> dict[str, dict[str, Any]]:
    """How customers may be reached, by id; nothing of it stays on disk."""
    import json

    import pyarrow.parquet as pq

    from cva_sql.cli.shop.dbt_runner import run_dbt

    folder = shop.work_dir / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # what a killed command left
    folder.mkdir(parents=True, mode=0o700)
    file = folder / "contacts.parquet"
    try:
        arguments = ["cva.write_contacts", "--args", json.dumps({"path": str(file.resolve())})]
        run_dbt(shop, "run-operation", variables={"cva_spine": "scoring"}, arguments=arguments)
        rows = pq.read_table(file).to_pylist()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if needs_consent and all(row["has_consent"] is None for row in rows):
        raise UsageError(
            "nobody's marketing_consent is known; load it (cva load customers FILE --replace "
            "--column marketing_consent=…), or say --without-consent for messages that need none"
        )
    return {row["customer_id"]: row for row in rows}


def _read_suppressed(files: Iterable[Path]) -> set[str]:
    """Ids and addresses in files of one to a line, or in the first column of a CSV."""
    found = set[str]()
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            raise UsageError(f"--suppress {file} cannot be read: {error}") from None
        for row in csv.reader(io.StringIO(text)):
            if row and row[0].strip():
                found |= {row[0].strip().lower(), normal_email(row[0]) or ""} - {""}
    return found
