"""Training examples: the same models as scoring, for past dates, in a schema of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.dbt import Shop, run_dbt
from cva_sql.cli.options import connect

if TYPE_CHECKING:
    from cva_sql.models_onnx.value.dataset import Dataset

TRAIN_SCHEMA = "cva_train"
EVALUATE_SCHEMA = (
    "cva_evaluate"  # dropped after reading: cva_train stays what the model was made from
)


@dataclass(frozen=True)
class History:
    """The first valid order, None without one, and the date to look from."""

    first_order: date | None
    as_of: date


def read_history(shop: Shop, schema: str) -> History:
    """Builds what is needed to know it, then looks."""
    run_dbt(
        shop,
        "run",
        select=["+int_cva__as_of_dates", "+int_cva__orders_valid"],
        variables={"cva_spine": "scoring"},
        schema=schema,
    )
    con = connect(shop.db)
    try:
        rows = con.execute(
            f"select (select max(as_of_date) from {schema}_cva.int_cva__as_of_dates) as as_of, "
            f"(select min(order_date) from {schema}_cva.int_cva__orders_valid where order_date < "
            f"(select max(as_of_date) from {schema}_cva.int_cva__as_of_dates))"
        ).fetchall()
    finally:
        con.close()
    return History(first_order=rows[0][1], as_of=rows[0][0])


def build_examples(
    shop: Shop, dates: Iterable[tuple[date, int]], schema: str, *, max_rows: int
) -> Dataset:
    """The examples of (date, label length) pairs; above `max_rows` a sample of customers."""
    from cva_sql.models_onnx.value.dataset import read_dataset

    wanted = [[day.isoformat(), label_days] for day, label_days in sorted(set(dates))]
    run_dbt(
        shop,
        "run",
        select=["+cva_training_examples", "cva_feature_catalog"],
        variables={
            "cva_spine": "training",
            "cva_training_dates": wanted,
            "cva_training_max_rows": max_rows,
        },
        schema=schema,
    )
    con = connect(shop.db)
    try:
        return read_dataset(con, schema)
    finally:
        con.close()


@contextmanager
def dropped_after(shop: Shop, schema: str) -> Iterator[None]:
    """Drops the schema and its companion once the block is left."""
    try:
        yield
    finally:
        con = connect(shop.db)
        try:
            for name in (schema, f"{schema}_cva"):
                con.execute(f"drop schema if exists {name} cascade").fetchall()
        finally:
            con.close()
