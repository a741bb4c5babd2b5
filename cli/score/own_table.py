"""`cva score --table`: a table or file with what a model of `cva train --table` says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop


def print_scores(shop: ResolvedShop, table: str, name: str | None, *, as_json: bool) -> None:
    """Prints the rows with a column `prediction`; raises UsageError without such a model."""
    import duckdb

    from cva_sql.cli.shop.connection import reason_of
    from cva_sql.cli.shop.own_table import PREFIX, name_of, open_table
    from cva_sql.cli.sql.printing import print_csv, print_json
    from cva_sql.udfs.register import register, unregister
    from cva_sql.udfs.sessions import deployed_versions

    kind = f"{PREFIX}{name_of(table, name)}"
    known = [k for k in deployed_versions(shop.models_dir) if k.startswith(PREFIX)]
    if kind not in known:
        there = ", ".join(k.removeprefix(PREFIX) for k in known) or "none"
        raise UsageError(
            f"--name {kind.removeprefix(PREFIX)}: no such model is deployed (there are: {there}); "
            "train one with: cva train --table T --key K --target Y"
        )
    con, relation = open_table(shop, table)
    try:
        register(con, models_dir=shop.models_dir, work_dir=shop.work_dir)
        con.execute(f"select t.*, cva_{kind}(t).prediction as prediction from {relation} as t")
        columns = [(column, str(sql_type)) for column, sql_type, *_ in con.description or []]
        (print_json if as_json else print_csv)(con, columns)
    except duckdb.Error as error:
        raise UsageError(f"--table {table} cannot be scored: {reason_of(error)}") from None
    finally:
        unregister(con)
        con.close()
