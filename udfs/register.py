"""Registers the SQL functions in a DuckDB connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.udfs.predict import RETURN_TYPE, predict_struct
from cva_sql.udfs.sessions import deployed_folder, load_model

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FUNCTIONS = ("cva_predict",)


def register(con: DuckDBPyConnection, *, models_dir: Path | str | None = None) -> None:
    """Makes `cva_predict` known to `con`.

    `models_dir` holds trained models; by default `cva_models/` beside the database file. The model
    is looked up at each call, so a deploy is seen without registering again.
    """
    from duckdb.func import FunctionNullHandling, PythonUDFType

    folder = Path(models_dir) if models_dir is not None else default_models_dir(con)

    def cva_predict(rows: Any) -> Any:
        return predict_struct(load_model(deployed_folder(folder)), rows)

    unregister(con)
    # No parameter type: any struct is taken, so that a missing feature is our error, not the
    # binder's.
    con.create_function(
        "cva_predict",
        cva_predict,
        None,
        RETURN_TYPE,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def unregister(con: DuckDBPyConnection) -> None:
    """Forgets the functions; a process that ends with them registered prints pages of leaks."""
    import duckdb

    for name in FUNCTIONS:
        try:
            con.remove_function(name)
        except duckdb.Error:
            continue


def default_models_dir(con: DuckDBPyConnection) -> Path:
    """`cva_models/` beside the connection's database file, or in the working folder without one."""
    rows = con.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()  # all of it: an unfinished result blocks the connection
    path = rows[0][0] if rows else None
    return (Path(path).parent if path else Path()) / "cva_models"
