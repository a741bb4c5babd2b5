"""`cva score`: fills the table of scores without dbt calling Python."""

from __future__ import annotations

import json

from cva_sql.cli.options import DEFAULT_DB, Db, Json, ModelsDir, Vars, open_shop
from cva_sql.udfs.errors import CvaError

TABLE = "int_cva__customer_scores"


def score(
    db: Db = DEFAULT_DB,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Score customer_features with the deployed model, for dbt without Python.

    Writes the same table as the dbt model that calls cva_predict; build the rest with
    `dbt run --vars '{cva_udfs: false}'`.
    """
    import duckdb

    from cva_sql.cli.options import connect
    from cva_sql.udfs.register import register, unregister
    from cva_sql.udfs.sessions import deployed_folder, load_model

    shop = open_shop(db, variables=variables, models_dir=models_dir)
    model = load_model(deployed_folder(shop.models_dir))
    con = connect(shop.db)
    try:
        register(con, models_dir=shop.models_dir)
        target = f"{shop.schema}_cva.{TABLE}"
        con.execute(
            f"create or replace table {target} as "
            "select customer_id, as_of_date, unnest(prediction) from "
            "(select customer_id, as_of_date, cva_predict(features) as prediction "
            f"from {shop.schema}.customer_features as features)"
        ).fetchall()
        rows = con.execute(f"select count(*) from {target}").fetchall()[0][0]
    except duckdb.CatalogException:
        raise CvaError(
            f"{shop.db} has no {shop.schema}.customer_features; build it with: "
            "dbt run --select +customer_features"
        ) from None
    except duckdb.Error as error:
        text = str(error).split("ModelError: ")[-1].splitlines()[0]
        raise CvaError(text) from None
    finally:
        unregister(con)
        con.close()
    result = {"rows": rows, "model_version": model.manifest.version, "table": target}
    print(
        json.dumps(result, indent=2)
        if as_json
        else f"{target}: {rows:,} rows, {model.manifest.version}"
    )
