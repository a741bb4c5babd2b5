"""Registers the SQL functions in a DuckDB connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.udfs import text
from cva_sql.udfs.aged_rows import AGED_TYPE
from cva_sql.udfs.changes import SCENARIO, predict_changed
from cva_sql.udfs.distributions import DISTRIBUTIONS_TYPE, distributions
from cva_sql.udfs.encoder import ShopEncoder
from cva_sql.udfs.encoder_tiers import EXACT, check_tier
from cva_sql.udfs.explained_rows import EXPLANATION_TYPE
from cva_sql.udfs.growth import GROWTH_TYPE, value_growth
from cva_sql.udfs.kinds import kind_functions
from cva_sql.udfs.manifest import read_manifest
from cva_sql.udfs.memory import KEPT
from cva_sql.udfs.places import WORK_FOLDER, models_beside
from cva_sql.udfs.predict import RETURN_TYPE, predict_struct
from cva_sql.udfs.projection import DIMENSION
from cva_sql.udfs.sessions import (
    deployed_features,
    deployed_folder,
    deployed_horizon,
    load_model,
)
from cva_sql.udfs.shop_explainer import ShopExplainer
from cva_sql.udfs.target import target_problem

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FUNCTIONS = (
    "cva_predict",
    "cva_predict_changed",
    "cva_explain",
    "cva_explain_aged",
    "cva_embed",
    "cva_sentiment",
    "cva_text_status",
    "cva_read_text",
    "cva_encoder_key",
    "cva_use_encoder_tier",
    "cva_texts_stored",
    "cva_project",
    "cva_project_words",
    "cva_rate",
    "cva_version",
    "cva_horizon_days",
    "cva_model_features",
    "cva_target",
    "cva_value_growth",
    "cva_distributions",
    "cva_keep_memory_limit",
    "cva_kept_memory_limit",
)
_kind_names: set[str] = set()  # functions of kinds that any connection of this process has had


def register(
    con: DuckDBPyConnection,
    *,
    models_dir: Path | str | None = None,
    work_dir: Path | str | None = None,
    encoder_tier: str = EXACT,
) -> None:
    """Makes the functions known to `con`; models are loaded when a function is first called.

    `models_dir` holds trained models, by default `cva_models/` beside the database file; the value
    model is looked up at each call, so a deploy is seen without registering again, the encoder
    once. `work_dir`, by default `.cva/` beside the database, takes the journal of `cva_read_text`;
    a database in memory has none. `encoder_tier` is which packaged encoder reads, `exact` or
    `fast`, where the shop has none of its own. Each other kind of model that is deployed by now has
    a function cva_<kind>.
    """
    database = database_file(con)
    models = Path(models_dir) if models_dir is not None else models_beside(database)
    encoder = ShopEncoder(models, check_tier(encoder_tier))
    beside = database.parent / WORK_FOLDER if database else None
    work = Path(work_dir) if work_dir is not None else beside
    reader = text.Reader(encoder, work, database.stem if database else "")
    unregister(con)
    _create_scores(con, models)
    _create_texts(con, models, encoder, reader)
    con.execute(SCENARIO).fetchall()
    _create_facts(con, models)
    _create_memory(con)


def _on_batches(con: DuckDBPyConnection) -> Callable[..., Any]:
    """What makes functions that take and give Arrow arrays, NULL included."""
    from duckdb.func import FunctionNullHandling, PythonUDFType

    return partial(
        con.create_function,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def _create_scores(con: DuckDBPyConnection, models: Path) -> None:
    """Predictions and their reasons, of the value model and of each other kind."""
    create, explainer = _on_batches(con), ShopExplainer(models)
    # No parameter type: any struct is taken, so that a missing feature is our error, not the
    # binder's.
    create(
        "cva_predict",
        lambda rows: predict_struct(load_model(deployed_folder(models)), rows),
        None,
        RETURN_TYPE,
    )
    create(
        "cva_predict_changed",
        lambda rows, changes: predict_changed(load_model(deployed_folder(models)), rows, changes),
        None,
        RETURN_TYPE,
    )
    create("cva_explain", explainer.explain, None, EXPLANATION_TYPE)
    create("cva_explain_aged", explainer.explain_aged, None, AGED_TYPE)
    for function in kind_functions(models, FUNCTIONS):
        create(function.name, function.score, None, function.return_type)
        _kind_names.add(function.name)


def _create_texts(
    con: DuckDBPyConnection, models: Path, encoder: ShopEncoder, reader: text.Reader
) -> None:
    """What is read of texts."""
    create, vector = _on_batches(con), f"FLOAT[{DIMENSION}]"

    def on_text(function: Any) -> Any:
        return lambda rows: function(encoder.load(), rows)

    create("cva_embed", on_text(text.embed), ["VARCHAR"], vector)
    create("cva_sentiment", on_text(text.sentiment), ["VARCHAR"], "DOUBLE")
    create("cva_text_status", on_text(text.text_status), ["VARCHAR"], text.STATUS_TYPE)
    create(
        "cva_read_text",
        reader.read,
        ["VARCHAR", "BIGINT"],
        text.READING_TYPE,
    )

    def on_basis(basis: text.Basis) -> Any:
        return lambda rows: text.project(basis.active(models), rows, encoder)

    for name, basis in text.BASES.items():
        create(name, on_basis(basis), [vector], "FLOAT[]")
    create(
        "cva_rate",
        lambda bodies, vectors, tones: text.rate(
            read_manifest(deployed_folder(models)), encoder, bodies, vectors, tones
        ),
        ["VARCHAR", vector, "DOUBLE"],
        "DOUBLE[]",
    )
    con.create_function("cva_encoder_key", lambda: encoder.manifest.key, [], "VARCHAR")
    con.create_function(
        "cva_use_encoder_tier",
        lambda tier: encoder.use(check_tier(tier)),
        ["VARCHAR"],
        "VARCHAR",
        side_effects=True,
    )
    con.create_function("cva_texts_stored", reader.forget, [], "BIGINT", side_effects=True)


def _create_facts(con: DuckDBPyConnection, models: Path) -> None:
    """What the package and the deployed model say of themselves."""
    con.create_function("cva_version", package_version, [], "VARCHAR")
    con.create_function("cva_horizon_days", lambda: deployed_horizon(models), [], "BIGINT")
    con.create_function("cva_model_features", lambda: deployed_features(models), [], "VARCHAR[]")
    con.create_function(
        "cva_target", lambda wanted: target_problem(models, wanted), ["VARCHAR"], "VARCHAR"
    )
    con.create_function(
        "cva_value_growth",
        lambda days, clv_days, rate: value_growth(
            load_model(deployed_folder(models)).manifest, days, clv_days, rate
        ),
        ["BIGINT[]", "BIGINT", "DOUBLE"],
        GROWTH_TYPE,
    )
    con.create_function(
        "cva_distributions",
        lambda: distributions(load_model(deployed_folder(models)).manifest),
        [],
        DISTRIBUTIONS_TYPE,
    )


def _create_memory(con: DuckDBPyConnection) -> None:
    """DuckDB's memory limit, kept while texts are read."""
    from duckdb.func import FunctionNullHandling

    con.create_function(
        "cva_keep_memory_limit", KEPT.keep, ["VARCHAR", "VARCHAR"], "VARCHAR", side_effects=True
    )
    con.create_function(
        "cva_kept_memory_limit",
        KEPT.give_back,
        [],
        "VARCHAR",
        side_effects=True,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def package_version() -> str:
    """The version of the Python part; the dbt package compares it with its own."""
    return version("cva-sql")


def unregister(con: DuckDBPyConnection) -> None:
    """Forgets the functions; a process that ends with them registered prints pages of leaks."""
    import duckdb

    for name in (*FUNCTIONS, *_kind_names):
        try:
            con.remove_function(name)
        except duckdb.Error:
            continue
    with suppress(duckdb.ConnectionException):  # it may have been closed
        con.execute("drop macro table if exists temp.cva_scenario").fetchall()


def database_file(con: DuckDBPyConnection) -> Path | None:
    """The connection's database file; None for a database in memory."""
    rows = con.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()  # all of it: an unfinished result blocks the connection
    path = rows[0][0] if rows else None
    return Path(path) if path else None
