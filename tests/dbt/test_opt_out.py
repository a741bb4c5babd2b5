"""Who objects to being profiled keeps the row without a score; nothing is learned from them."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.audience.selection import make_audience
from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.package import macro_value, raw_tables
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.models_onnx.value.data.shop_past import read_shop_past

# Everybody bought each ten days and then stopped, so that everybody is worth an alert.
ORDERS = """
create schema raw; create table raw.orders as
select c || '-' || n as order_id, c as customer_id,
    timestamp '2024-01-01' + to_days((10 * n)::int) as ordered_at, 50.0 as amount
from (select unnest(['out', 'in', 'unsaid']) as c), range(20) as t(n)
union all select 'last', 'newest', timestamp '2024-10-01', 50.0;
create table raw.tickets as
select unnest(['out', 'in', 'newest']) as customer_id, customer_id || '?' as ticket_id,
    timestamp '2024-09-20' as opened_at;
"""
CUSTOMERS = """customer_id,profiling_opt_out,valid_from,email,marketing_consent
out,no,2024-01-01,out@example.com,yes
out,yes,2024-06-01,out@example.com,yes
in,yes,2024-01-01,in@example.com,yes
in,no,2024-06-01,in@example.com,yes
unsaid,,,unsaid@example.com,yes
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opt_out")
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(ORDERS)
    (folder / "customers.csv").write_text(CUSTOMERS)
    load_table("customers", [folder / "customers.csv"], db=folder / "shop.duckdb")
    run_shop(open_shop(folder / "shop.duckdb"))
    return folder / "shop.duckdb"


def test_the_row_is_kept_without_a_score_and_without_an_alert(db: Path, rows: Any) -> None:
    found = rows(
        db,
        "select customer_id, score_status, score is null, predicted_value is null"
        " from customer_value order by 1",
    )
    assert found == [
        ("in", "untrained", False, False),
        ("newest", "untrained", False, False),
        ("out", "not_eligible", True, False),
        ("unsaid", "untrained", False, False),
    ]
    assert rows(db, "select customer_id from churn_alerts order by 1") == [("in",), ("unsaid",)]


def test_it_is_no_feature(db: Path, rows: Any) -> None:
    assert "profiling_opt_out" in raw_tables()["customers"].columns
    names = rows(db, "select distinct column_name from information_schema.columns where"
                 " table_name in ('customer_features', 'cva_feature_catalog')")  # fmt: skip
    assert not any("opt_out" in name for (name,) in names)


def test_nothing_is_learned_from_them(db: Path, rows: Any) -> None:
    dates = [["2024-05-01", 30], ["2024-08-01", 30]]
    run_dbt(
        open_shop(db),
        "run",
        select=["+int_cva__spine"],
        variables={"cva_spine": "training", "cva_training_dates": dates},
        schema="cva_train",
    )
    learned = rows(db, "select distinct customer_id from cva_train_cva.int_cva__spine order by 1")
    assert learned == [("in",), ("unsaid",)]  # also of dates before they said so
    query = macro_value("opt_out.sql", "opted_out_of", "cva_train_cva.stg_cva__customers")
    with duckdb.connect(str(db), read_only=True) as con:
        every = read_shop_past(con, "cva_train", date(2024, 8, 1))
        others = read_shop_past(con, "cva_train", date(2024, 8, 1), query)
    assert every is not None
    assert others is not None
    assert (every.sales.amount.sum(), others.sales.amount.sum()) == (3000.0, 2000.0)


def test_they_are_placed_nowhere_and_nothing_is_planned(db: Path, rows: Any) -> None:
    placed = "select lifecycle_stage, rfm_segment, rfm_recency from customer_segments where"
    assert rows(db, f"{placed} customer_id = 'out'") == [("not_eligible", None, None)]
    assert rows(db, f"{placed} customer_id <> 'out' and rfm_segment is null") == []
    known = "select customer_id from next_actions order by 1"
    assert rows(db, known) == [("in",), ("newest",), ("unsaid",)]


def test_a_stage_of_ones_own_that_is_null_has_an_action(
    db: Path, rows: Any, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(db.parent, tmp_path / "shop")) / db.name
    with duckdb.connect(str(copy)) as con:
        con.execute("update customer_segments set lifecycle_stage = null where customer_id = 'in'")
    run_dbt(open_shop(copy), "run", select=["next_actions"])
    known = "select customer_id from next_actions order by 1"
    assert rows(copy, known) == [("in",), ("newest",), ("unsaid",)]


def test_totals_of_segments_have_them(db: Path, rows: Any) -> None:
    found = rows(
        db,
        "select segment, customers_count from segment_value_path where month_ahead = 1 and"
        " segment_kind = 'rfm_segment' and segment = 'not_eligible' or segment_kind = 'all'"
        " and month_ahead = 1 order by 1",
    )
    assert found == [("all", 4), ("not_eligible", 1)]


def test_a_ticket_waits_as_if_they_were_worth_the_mean(db: Path, rows: Any) -> None:
    found = rows(
        db,
        "select id, value_at_risk, priority, value_tier, churn_probability, reason"
        " from service_priority order by priority_rank",
    )
    first, second, third = found
    assert second[:5] == ("out?", None, None, None, None)
    assert "without a profile" in second[5]
    assert first[1] > third[1] > 0


def test_they_are_in_no_audience(db: Path) -> None:
    for needs_consent in (True, False):
        sheet = make_audience(open_shop(db), "true", "csv", needs_consent=needs_consent)
        found = {row[sheet.header.index("customer_id")] for row in sheet.rows}
        assert {"in", "unsaid"} <= found
        assert "out" not in found
        assert sheet.left_out["not eligible"] == 1


def test_who_objects_since_the_last_run_is_in_no_audience(db: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(db.parent, tmp_path / "shop")) / db.name
    with duckdb.connect(str(copy)) as con:
        con.execute(
            "insert into raw.customers (customer_id, profiling_opt_out, valid_from)"
            " values ('in', true, timestamp '2024-09-30'), ('newest', true, null)"
        )
    sheet = make_audience(open_shop(copy), "true", "csv", needs_consent=False)
    assert [row[sheet.header.index("customer_id")] for row in sheet.rows] == ["unsaid"]
    assert sheet.left_out == {"not eligible": 3}


def test_an_alert_is_over_once_they_object(db: Path, rows: Any, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(db.parent, tmp_path / "shop")) / db.name
    with duckdb.connect(str(copy)) as con:
        con.execute(
            "insert into raw.customers (customer_id, profiling_opt_out, valid_from)"
            " values ('in', true, timestamp '2024-09-30')"
        )
    run_dbt(open_shop(copy), "run", select=["+churn_alerts"])
    said = rows(copy, "select customer_id, state from churn_alerts order by 1")
    assert said == [("in", "expired"), ("unsaid", "new")]
