"""Why a customer's score is what it is, and what a changed feature makes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.history import say_unpublished
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.explain.members import MemberEffect
    from cva_sql.cli.explain.sentences import Sentences
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.manifest import Manifest
    from cva_sql.udfs.sessions import ValueModel


TABLE = "int_cva__customer_explanations"
FIGURES = (
    "predicted_value",
    "predicted_value_p10",
    "predicted_value_p50",
    "predicted_value_p90",
    "purchase_probability",
)


@dataclass(frozen=True)
class FeatureEffect:
    """What a feature adds to the prediction, in the shop's currency; values as text.

    `sentence` says the values as the reasons in customer_value do.
    """

    feature: str
    label: str
    sentence: str
    value: str | None
    reference_value: str | None
    attribution: float
    standard_error: float


@dataclass(frozen=True)
class FamilyEffect:
    """What a family of features adds: the sum of its features, the largest of them first."""

    family: str
    attribution: float
    features: tuple[FeatureEffect, ...]


@dataclass(frozen=True)
class Changed:
    """The prediction with features changed as in `changes`; `difference` is in predicted_value.

    `unknown` has the texts that the model tells apart, for each category set to another one.
    """

    changes: dict[str, str]
    figures: dict[str, float]
    difference: float
    unknown: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Explained:
    """A customer's prediction and what it is made of: baseline + families = predicted_value.

    `changed` and `members` are None unless they were asked for.
    """

    customer_id: str
    as_of_date: str
    model_version: str
    is_baseline: bool
    figures: dict[str, float]
    score: float | None
    reasons: tuple[str, ...]
    baseline_prediction_value: float
    families: tuple[FamilyEffect, ...]
    changed: Changed | None
    members: tuple[MemberEffect, ...] | None = None


def parse_changes(texts: list[str]) -> dict[str, str]:
    """Feature -> change of `NAME=CHANGE` texts; raises UsageError."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, change = text.partition("=")
        if not sign or not name.strip() or not change.strip():
            raise UsageError(f"--set is {text!r}; expected e.g. --set orders_90d_count=+1")
        if name.strip() in found:
            raise UsageError(f"--set names {name.strip()} twice; give one change of a feature")
        found[name.strip()] = change.strip()
    return found


def explain_customer(
    shop: ResolvedShop, customer: str, changes: dict[str, str], *, members: bool = False
) -> Explained:
    """One customer by the deployed model; raises CvaError where the tables lack the customer, and
    with `members` where nothing is known of the model's."""
    from cva_sql.cli.explain.members import explain_members
    from cva_sql.cli.explain.sentences import read_sentences
    from cva_sql.udfs.explained_rows import explain_struct
    from cva_sql.udfs.explainer import load_explainer
    from cva_sql.udfs.predict import predict_struct
    from cva_sql.udfs.sessions import deployed_folder, load_model

    folder = deployed_folder(shop.models_dir)
    model = load_model(folder)
    con = connect(shop.db, read_only=True)
    try:
        say_unpublished(con)
        customer = _person_of(con, shop, customer)
        row = _read_features(con, shop, customer)
        sentences = read_sentences(con, shop, is_baseline=model.manifest.is_baseline)
        score, reasons = _read_told(con, shop, customer, model.manifest)
    finally:
        con.close()
    figures = predict_struct(model, row)[0].as_py()
    told = explain_members(folder, model.manifest, row, figures) if members else None
    found = explain_struct(load_explainer(folder), row)[0].as_py()
    return Explained(
        customer,
        str(row.field("as_of_date")[0].as_py()),
        model.manifest.version,
        model.manifest.is_baseline,
        {name: figures[name] for name in FIGURES},
        score,
        reasons,
        found["baseline_prediction_value"],
        _families(found["feature_attributions"], sentences),
        _change(model, row, changes, figures["predicted_value"]) if changes else None,
        told,
    )


def _person_of(con: DuckDBPyConnection, shop: ResolvedShop, customer: str) -> str:
    """The customer whom a raw id is of; the id itself where no table says otherwise."""
    import duckdb

    try:
        found = con.execute(
            f"select customer_id from {shop.schema}.customer_ids where raw_id = ?", [customer]
        ).fetchall()
    except duckdb.CatalogException:  # built before there was such a table
        return customer
    return str(found[0][0]) if found else customer


def _read_features(con: DuckDBPyConnection, shop: ResolvedShop, customer: str) -> Any:
    """The customer's row as an Arrow struct of one."""
    import duckdb

    table = f"{shop.schema}.customer_features"
    try:
        found = con.sql(
            f"select cva_row from {table} as cva_row where customer_id = ?", params=[customer]
        ).to_arrow_table()
        if not found.num_rows:
            some = con.execute(f"select count(*), min(customer_id) from {table}").fetchall()[0]
            raise CvaError(
                f"customer {customer!r} is not among the {some[0]:,} of {table}"
                + (f"; ids are text such as {some[1]!r}" if some[0] else "")
            )
    except duckdb.CatalogException:
        raise CvaError(f"{shop.db} has no {table}; build it with: {shop.command('run')}") from None
    return found.column("cva_row").combine_chunks()


def _read_told(
    con: DuckDBPyConnection, shop: ResolvedShop, customer: str, manifest: Manifest
) -> tuple[float | None, tuple[str, ...]]:
    """Score and reasons as customer_value has them, if the deployed model wrote them."""
    import duckdb

    from cva_sql.cli.shop.progress import say

    try:
        rows = con.execute(
            "select score, reason_1, reason_2, reason_3, model_hash, model_version "
            f"from {shop.schema}.customer_value where customer_id = ?",
            [customer],
        ).fetchall()
    except duckdb.Error:
        return None, ()
    if not rows:
        return None, ()
    score, *reasons, model_hash, version = rows[0]
    if model_hash != manifest.sha256:
        say(f"customer_value was scored by {version}; this is by {manifest.version}")
        return None, ()
    return score, tuple(reason for reason in reasons if reason is not None)


def _families(items: list[dict[str, Any]], sentences: Sentences) -> tuple[FamilyEffect, ...]:
    """The families by size, each with its features that have an effect, in order of rank."""
    features: dict[str, list[FeatureEffect]] = {}
    totals: dict[str, float] = {}
    for item in items:
        totals[item["family"]] = item["family_attribution"]
        if item["attribution"]:
            features.setdefault(item["family"], []).append(
                FeatureEffect(
                    item["feature"],
                    sentences.label(item["feature"]),
                    sentences.say(item["feature"], item["value"], item["reference_value"]),
                    item["value"],
                    item["reference_value"],
                    item["attribution"],
                    item["standard_error"],
                )
            )
    order = sorted(totals, key=lambda family: (-abs(totals[family]), family))
    return tuple(FamilyEffect(f, totals[f], tuple(features.get(f, ()))) for f in order)


def _change(model: ValueModel, row: Any, changes: dict[str, str], before: float) -> Changed:
    import pyarrow as pa

    from cva_sql.udfs.changes import predict_changed, unknown_values

    after = predict_changed(model, row, pa.array([changes]))[0].as_py()
    return Changed(
        changes,
        {name: after[name] for name in FIGURES},
        after["predicted_value"] - before,
        unknown_values(model.manifest, changes),
    )


def _explained(shop: ResolvedShop) -> str:
    """Who is explained, as SQL over a row."""
    from cva_sql.cli.score.filling import TABLE as SCORES
    from cva_sql.cli.shop.expressions import check_expression
    from cva_sql.cli.shop.package import macro_value

    chosen = str(shop.var("cva_explained_customers"))
    check_expression(chosen, "cva_explained_customers")
    # On a line of its own: a comment at its end would take in the bracket behind it.
    return str(
        macro_value(
            "kept_explanations.sql", "is_explained", f"{chosen}\n", f"{shop.schema}_cva.{SCORES}"
        )
    )


def fill_explanations(shop: ResolvedShop, *, as_json: bool) -> None:
    """Writes the table of explanations; raises CvaError where there are no features."""
    from cva_sql.cli.score.filling import fill_table
    from cva_sql.cli.shop.model_store import require_target

    require_target(shop)
    target, rows = fill_table(shop, TABLE, "cva_explain", _explained(shop))
    if as_json:
        print(json.dumps({"rows": rows, "table": target}, indent=2))
    else:
        print(f"{target}: {rows:,} customers explained")
