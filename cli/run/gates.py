"""What has to hold before a run is published, beyond dbt's own tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.own_project import DEFAULT_SCHEMA
from cva_sql.cli.shop.owner import Owned, check_owner
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE, ResolvedShop
from cva_sql.cli.shop.sql_text import one_line
from cva_sql.udfs.errors import CvaError

TOLERANCE = 1e-4  # relative; the file and the table come from the same graph, so this is generous
SAMPLE_ROWS = 20_000
COLLAPSED = 0.5  # of the customers published before
COMPARED = (
    "predicted_value",
    "predicted_value_p10",
    "predicted_value_p50",
    "predicted_value_p90",
    "purchase_probability",
    "predicted_orders",
)


@dataclass(frozen=True)
class Gate:
    """What the gate compared and found."""

    rows: int
    worst: float
    model_version: str


def check_customers(shop: ResolvedShop) -> None:
    """Raises CvaError where most of the published customers would be gone.

    What was published and cannot be read any more is nothing to compare with: it is replaced.

    A clock that was set back, a table that was half loaded: dbt's own tests would pass.
    """
    import duckdb

    check_owner(shop, Owned.PUBLISHED)
    published = shop.published / CURRENT / PUBLISHED_FILE
    if not published.is_file():
        return
    now = _count(shop.db, shop.schema)
    try:
        before = _count(published, DEFAULT_SCHEMA)
    except (CvaError, duckdb.Error) as error:
        say(f"  {published} cannot be read, so nothing is compared with it: {one_line(error)}")
        return
    if now < COLLAPSED * before:
        raise CvaError(
            f"customer_value has {now:,} customers and the published one {before:,}, so nothing was"
            f" published; insist with: {shop.command('run')} --allow-empty"
        )


def _count(db: Path, schema: str) -> int:
    con = connect(db, read_only=True)
    try:
        return int(con.execute(f"select count(*) from {schema}.customer_value").fetchall()[0][0])
    finally:
        con.close()


def check_scores(shop: ResolvedShop, model_folder: Path) -> Gate:
    """Runs the deployed file by a session of its own over customer_features and compares with the
    table.

    Raises CvaError where a score differs by more than TOLERANCE or carries another model's hash.
    """
    import numpy as np

    from cva_sql.udfs.predict import predict
    from cva_sql.udfs.sessions import load_model

    model = load_model(model_folder)
    features, table = _read(shop)
    rows = len(table["customer_id"])
    if rows == 0:
        return Gate(0, 0.0, model.manifest.version)
    hashes = set(table["model_hash"])
    if hashes != {model.manifest.sha256}:
        raise CvaError(
            f"customer_value was scored by model {sorted(hashes)[0][:12]}…, deployed is "
            f"{model.manifest.sha256[:12]}…; score again with: {shop.command('run')}"
        )
    expected = predict(model, features, rows)
    worst = 0.0
    for name in COMPARED:
        want, got = expected[name], np.asarray(table[name], dtype=np.float64)
        scale = np.maximum(np.abs(want), 1e-6)
        difference = float(np.max(np.abs(want - got) / scale))
        if not difference <= TOLERANCE:
            raise CvaError(
                f"{name} in customer_value differs from the deployed file by {difference:.1e}; "
                f"expected at most {TOLERANCE:.0e}, so nothing was published"
            )
        worst = max(worst, difference)
    return Gate(rows, worst, model.manifest.version)


def _read(shop: ResolvedShop) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """A sample of customer_features as Arrow columns and the same customers' scores."""
    con = connect(shop.db)
    try:
        # Both in one query, so that they cannot be out of step.
        query = (
            "select cva_features, cva_scores "  # aliases that no column of the user's has
            f"from {shop.schema}.customer_features as cva_features "
            f"join {shop.schema}.customer_value as cva_scores using (customer_id, as_of_date) "
            f"order by md5(customer_id) limit {SAMPLE_ROWS}"
        )
        table = con.sql(query).to_arrow_table().combine_chunks()
    finally:
        con.close()

    def columns(name: str) -> dict[str, Any]:
        struct = table.column(name)
        return {field.name: _flat(struct, i) for i, field in enumerate(struct.type)}

    scores = columns("cva_scores")
    return columns("cva_features"), {
        name: scores[name].to_pylist() for name in (*COMPARED, "customer_id", "model_hash")
    }


def _flat(struct: Any, index: int) -> Any:
    import pyarrow as pa

    flat = pa.chunked_array(
        [chunk.field(index) for chunk in struct.chunks], struct.type[index].type
    )
    return flat.combine_chunks()
