"""Training examples: the same models as scoring, for past dates, in a schema of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import connect, has_table
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.package import opted_out
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.texts import NO_TEXTS, Texts, read_texts, refuse_taught_later

if TYPE_CHECKING:
    from cva_sql.models_onnx.value.data.cutoffs import Plan
    from cva_sql.models_onnx.value.data.dataset import Dataset
    from cva_sql.models_onnx.value.data.terms import Terms
    from cva_sql.udfs.projection import TextProjection

TRAIN_SCHEMA = "cva_train"
MAX_ROWS = 300_000  # examples; more add minutes and hardly any quality
EVALUATE_SCHEMA = (
    "cva_evaluate"  # dropped after reading: cva_train stays what the model was made from
)
LABELS = "labels"  # the target that the shop's own table tells
PROJECTION_FILE, WORDS_FILE = "text_projection.json", "words_projection.json"


@dataclass(frozen=True)
class History:
    """The first valid order, None without one, and the date to look from.

    `notes` are what is unclear in the data, and the option that settles it. `labels` is date ->
    how many the shop's own table has, where these are learned from.
    """

    first_order: date | None
    as_of: date
    notes: tuple[str, ...] = ()
    labels: Mapping[date, int] | None = None

    def plan(self, as_of: date, horizon_days: int) -> Plan | None:
        """The dates to learn from for scoring on `as_of`; None where there are none."""
        from cva_sql.models_onnx.value.data.cutoffs import plan_cutoffs, plan_labelled

        if self.labels is None:
            return plan_cutoffs(self.first_order, as_of, horizon_days)
        return plan_labelled(self.labels, self.first_order, as_of, horizon_days)

    def too_short(self, horizon_days: int) -> str:
        """What is said where there is no plan for today."""
        if self.labels is None:
            since = self.first_order or "no valid order"
            return f"the history ({since} .. {self.as_of}) is too short to learn from"
        from cva_sql.models_onnx.value.data.cutoffs import MIN_LABELS

        if not self.labels:
            return "cva_target is labels, and the table labels has no usable row; see cva_rejects"
        return (
            f"no date of labels ({min(self.labels)} .. {max(self.labels)}) with {MIN_LABELS} or "
            f"more customers lies {horizon_days} days before {self.as_of}; --horizon-days says how "
            "far a label looks"
        )


def read_history(shop: ResolvedShop, schema: str) -> History:
    """Builds what is needed to know it, then looks."""
    is_labelled = shop.target == LABELS
    notes = run_dbt(
        shop,
        "run",
        select=[
            "+int_cva__as_of_dates",
            "+int_cva__orders_valid",
            *(["+int_cva__labels_valid"] if is_labelled else []),
        ],
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
        labels = None
        if is_labelled:
            labels = dict(
                con.execute(
                    "select as_of_date, count(*) from "
                    f"{schema}_cva.int_cva__labels_valid group by 1 order by 1"
                ).fetchall()
            )
    finally:
        con.close()
    return History(first_order=rows[0][1], as_of=rows[0][0], notes=notes, labels=labels)


@dataclass(frozen=True)
class TrainingSet:
    """What a model is made from: when the shop began, the dates, the texts and the examples."""

    first_order: date
    plan: Plan
    texts: Texts
    data: Dataset


def read_training_set(
    shop: ResolvedShop,
    history: History,
    horizon_days: int,
    *,
    max_rows: int = MAX_ROWS,
    terms: Terms | None = None,
) -> TrainingSet | None:
    """The examples in schema TRAIN_SCHEMA; None where the history is too short to learn from."""
    from cva_sql.cli.shop.progress import step

    plan = history.plan(history.as_of, horizon_days)
    if plan is None or history.first_order is None:
        return None
    refuse_taught_later(shop, before=plan.cutoffs[-1])
    texts = read_texts(shop, before=plan.cutoffs[-1], is_rated=True)
    dates = [(day, plan.label_days) for day in (plan.as_of, *plan.cutoffs)]
    with step(
        f"building examples of {len(plan.cutoffs)} dates, {plan.cutoffs[-1]} .. {plan.cutoffs[0]}"
    ):
        data = build_examples(
            shop,
            dates,
            TRAIN_SCHEMA,
            scored_on=[plan.as_of],
            max_rows=max_rows,
            texts=texts,
            terms=terms,
        )
    return TrainingSet(history.first_order, plan, texts, data)


def build_examples(
    shop: ResolvedShop,
    dates: Iterable[tuple[date, int]],
    schema: str,
    *,
    scored_on: Iterable[date],
    max_rows: int,
    texts: Texts = NO_TEXTS,
    terms: Terms | None = None,
) -> Dataset:
    """The examples of (date, label length) pairs; above `max_rows` a sample of customers.

    `scored_on` are the dates for which models are made: the shop's past is read as of each. `terms`
    are what models are learned under.
    """
    from cva_sql.models_onnx.value.data.dataset import read_dataset
    from cva_sql.models_onnx.value.data.shop_past import read_shop_past
    from cva_sql.models_onnx.value.data.target import TARGETS
    from cva_sql.udfs.text import PROJECTION_VARIABLE, WORDS_VARIABLE

    wanted = [[day.isoformat(), label_days] for day, label_days in sorted(set(dates))]
    handed_over = {
        PROJECTION_VARIABLE: _written(shop, PROJECTION_FILE, texts.projection),
        WORDS_VARIABLE: _written(shop, WORDS_FILE, texts.words),
        **texts.environment,
    }
    run_dbt(
        shop,
        "run",
        select=["+cva_training_examples", "cva_feature_catalog", *_calendar(shop)],
        variables={
            "cva_spine": "training",
            "cva_training_dates": wanted,
            "cva_training_max_rows": max_rows,
            "cva_text_vectors": texts.vectors,
            "cva_udfs": True,  # this schema is filled by nobody else
        },
        schema=schema,
        environment=handed_over,
        from_scratch=True,
    )
    con = connect(shop.db)
    try:
        data = read_dataset(con, schema, TARGETS[shop.target])
        objecting = opted_out(f"{schema}_cva.stg_cva__customers")
        pasts = {day: read_shop_past(con, schema, day, objecting) for day in scored_on}
    finally:
        con.close()
    data = replace(data, shops={day: past for day, past in pasts.items() if past is not None})
    return data.under(terms) if terms else data


def _written(shop: ResolvedShop, name: str, projection: TextProjection | None) -> str:
    """The file of a projection, for a run to read.

    Written also where there is nothing to project on: else the deployed model's, which knows later
    texts, would take its place.
    """
    from cva_sql.udfs.projection import empty_projection

    file = shop.work_dir / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text((projection or empty_projection()).to_json(), encoding="utf-8")
    return str(file)


def _calendar(shop: ResolvedShop) -> list[str]:
    """The model of the shop's events, where it has any."""
    return ["stg_cva__calendar"] if has_table(shop.db, *shop.raw_table("calendar")) else []


@contextmanager
def dropped_after(shop: ResolvedShop, schema: str) -> Iterator[None]:
    """Drops the schema, and those that were built beside it, once the block is left.

    Which are `_cva`, `_packaged` and `_packaged_cva`, and what else begins with it and was not
    there before: models of the user's own project may have a schema of their own.
    """
    ours = {f"{schema}{end}" for end in ("", "_cva", "_packaged", "_packaged_cva")}
    before = _beginning_with(shop, schema)
    try:
        yield
    finally:
        found = _beginning_with(shop, schema)
        con = connect(shop.db)
        try:
            for name in found & ours | found - before:
                quoted = name.replace('"', '""')
                con.execute(f'drop schema "{quoted}" cascade').fetchall()
        finally:
            con.close()


def _beginning_with(shop: ResolvedShop, schema: str) -> set[str]:
    """The schemas of the database that are called so, or so and `_` and more."""
    con = connect(shop.db)
    try:
        names = con.execute(
            "select schema_name from duckdb_schemas() where database_name = "
            "current_database() and (schema_name = ? or starts_with(schema_name, ?))",
            [schema, f"{schema}_"],
        ).fetchall()
    finally:
        con.close()
    return {name for (name,) in names}
