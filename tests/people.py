"""A small shop with what cva keeps of two people, in every kind of place."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from cva_sql.cli.alerts.api import NOTE_COLUMNS
from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.marts import Mart
from cva_sql.cli.run.publish import copy_marts, publish_files
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.tables import make_table
from cva_sql.udfs.encoder import Reading
from cva_sql.udfs.journal import Journal

PERSON, OTHER = "zelda-7781", "yorick-0042"
FIRST_RUN, LAST_RUN = "20240101T000000000000", "20240201T000000000000"
ORDERS = f"""order_id,customer_id,ordered_at,amount
o-1-zelda,{PERSON},2024-01-01,10
o-2-zelda,{PERSON},2024-01-02,20
shared,{PERSON},2024-01-03,30
shared,{OTHER},2024-01-03,40
o-3-yorick,{OTHER},2024-01-04,50
"""
ITEMS = """order_id,product_id,quantity
o-1-zelda,p1,1
o-2-zelda,p2,1
shared,p1,2
o-3-yorick,p1,1
"""
REVIEWS = f"""review_id,customer_id,order_id,reviewed_at,rating,body
r1,{PERSON},o-1-zelda,2024-01-05,5,Only Zelda wrote this.
r2,,o-2-zelda,2024-01-05,4,Zelda wrote it unnamed.
r3,{PERSON},,2024-01-06,3,Both wrote this.
r4,{OTHER},,2024-01-06,2,Both wrote this.
"""
CUSTOMERS = f"""customer_id,signed_up_at,email,name
{PERSON},2024-01-01,zelda@example.org,Zelda Zed
{OTHER},2024-01-01,yorick@example.org,Yorick
"""
FILES = {"orders": ORDERS, "order_items": ITEMS, "reviews": REVIEWS, "customers": CUSTOMERS}
# What a run leaves, as far as it matters here.
MADE = f"""
create schema main_cva; create schema cva_train; create schema cva_train_cva;
create table main.customer_value as select customer_id, '2024-02-01'::date as as_of_date,
    10.0 as predicted_value, 'reason of ' || customer_id as reason_1,
    timestamp '2024-02-01' as scored_at from (values ('{PERSON}'), ('{OTHER}')) as t(customer_id);
comment on table main.customer_value is 'what they are worth';
comment on column main.customer_value.reason_1 is 'why';
create table main.customer_features as select customer_id, if(customer_id = '{PERSON}', 'LI', 'DE')
    as country from main.customer_value;
create table main_cva.int_cva__value_history as select customer_id, 1 as score
    from main.customer_value;
create table main.churn_alerts as select customer_id || '@2024-01-02' as alert_id, customer_id,
    date '2024-01-02' as last_order_date, 'new' as state, null::boolean as has_bought,
    5.0 as money_at_stake
    from main.customer_value;
create table main_cva.int_cva__text_vectors as select sha256(body) as text_hash, [1.0] as embedding
    from (select distinct body from raw.reviews);
create table cva_train.cva_training_examples as select customer_id from main.customer_value;
create table main.cva_training_runs as select 'setting' as kind, 'outlier' as name,
    customer_id as text, 'fine' as reason from main.customer_value;
create macro cva_totals() as table select count(*) as n from main.customer_value;
"""


def make_shop(folder: Path) -> ResolvedShop:
    """A small shop with what cva keeps of two people, in every kind of place."""
    folder.mkdir(exist_ok=True)
    db = folder / "shop.duckdb"
    for table, text in FILES.items():
        file = folder.parent / f"{table}.csv"
        file.write_text(text)
        load_table(table, [file], db=db)
    shop = open_shop(db)
    with duckdb.connect(str(db)) as con:
        con.execute(MADE)
        make_table(con, "main.cva_alert_acks", NOTE_COLUMNS)
        con.execute(
            "insert into cva_alert_acks (alert_id, event) select alert_id, 'acted' from"
            " churn_alerts"
        )
        con.execute(
            "update cva_runs set reason = $1 where started_at = (select min(started_at) from"
            " cva_runs)",
            [f"there is no alert '{PERSON}'; expected one of 17"],
        )
    for run in (FIRST_RUN, LAST_RUN):
        publish_files(shop, run, lambda out: copy(shop, out))
    with exclusive(shop):
        leave_files(shop)
    return shop


def copy(shop: ResolvedShop, out: Path) -> None:
    with duckdb.connect(str(shop.db)) as con:
        marts = [Mart("main", name) for name in ("customer_value", "churn_alerts")]
        copy_marts(con, marts, out, "main")


def leave_files(shop: ResolvedShop) -> None:
    """What commands leave in the work folder."""
    for name in ("logs", "target", "target-cva_train-training", "check", "audience"):
        (shop.work_dir / name).mkdir()
        (shop.work_dir / name / "dbt.log").write_text(f"of {PERSON}, zelda@example.org")
    write_old_manifest(shop.models_dir / "value" / "old")
    journal = Journal(shop.work_dir, shop.db.stem, "key")
    journal.append([("digest", Reading(None, None, "empty", 0))])
    journal.close()


def write_old_manifest(folder: Path) -> Path:
    """A manifest as training wrote it while it named the customers that it left out."""
    named = [{"customer_id": one, "spend": 9000.5} for one in (PERSON, OTHER)]
    manifest = {"version": folder.name, "features": [], "training": {"outliers": named, "rows": 7}}
    folder.mkdir(parents=True)
    file = folder / "manifest.json"
    file.write_text(json.dumps(manifest))
    return file
