"""`cva demo`: a sample shop, from nothing to the customers it expects most of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

QUERY = """select customer_id, round(score, 1) as score, value_tier,
    round(predicted_value, 2) as predicted_value,
    round(purchase_probability, 2) as purchase_probability, churn_risk
from customer_value order by customer_value.predicted_value desc limit 5"""
WHY = """select customer_id, unnest([reason_1, reason_2, reason_3]) as why
from customer_value order by predicted_value desc limit 3"""


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Where the shop, its models and the published tables go.")
    ] = Path("cva_demo"),
    customers: Annotated[
        int, typer.Option("--customers", min=200, help="Customers of the shop.")
    ] = 3000,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another shop.")] = 7,
) -> None:
    """Make a small sample shop, train on it, score it, and show its top customers.

    The shop is made up: it shows how things work, and says nothing about quality. What it did not
    make itself it leaves alone.
    """
    import duckdb

    from cva_sql.cli.demo.ownership import FILES, refuse_others, remember_table, write_files
    from cva_sql.cli.demo.sample_shop import describe
    from cva_sql.cli.load.table import load_table
    from cva_sql.cli.report.writing import refuse_page, write_report
    from cva_sql.cli.run.build import run_shop
    from cva_sql.cli.run.command import describe as describe_run
    from cva_sql.cli.shop.files import room_in
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.shop.resolver import open_shop
    from cva_sql.cli.train.report import describe as describe_training
    from cva_sql.cli.train.training import train_shop
    from cva_sql.udfs.errors import CvaError

    db = folder / "shop.duckdb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CvaError(f"{folder} cannot be made: {error.strerror}; name another folder") from None
    refuse_others(folder, db)
    refuse_page(folder / "report.html", db, "name another folder: cva demo DIR")
    with step("making a sample shop"), room_in(folder, 0):
        facts = write_files(folder, customers=customers, seed=seed)
    print(describe(facts), end="\n\n")
    for table in facts.rows:
        report = load_table(table, [folder / FILES / f"{table}.csv"], db=db, replace=True)
        remember_table(folder, db, table)
        print(report.as_text())
    shop = open_shop(db)
    print()
    with exclusive(shop):
        print(describe_training(train_shop(shop), shop), end="\n\n")
        result = run_shop(shop)
    print(describe_run(result), end="\n\n")
    con = duckdb.connect(result.published, read_only=True)
    try:
        for query in (QUERY, WHY):
            print(query)
            con.sql(query).show(max_width=120)
    finally:
        con.close()
    written = write_report(shop, folder / "report.html")
    print(
        f"""The shop is a sample; no figure above says how good cva is on yours.
next:
  open the report        {written.path}
  look at the table      duckdb -readonly {result.published}
  how good is it here    cva evaluate --db {db}
  your own orders        cva load orders FILE.csv --db shop.duckdb, then cva train, cva run"""
    )
