"""Alerts keep their state: each is raised once, follows what comes, and survives reruns and kills.

The model runs alone, over tables as a run leaves them: a simulated shop seen from any day.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.alerts.api import ack_alerts, list_alerts, resolve_alerts
from cva_sql.cli.shop import dbt_runner
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

START = date(2024, 6, 1)
HORIZON = 30
CUSTOMERS = 240
PER_WEEK = 12
STATIC = (
    "alert_id, customer_id, last_order_date, raised_on, usual_value, predicted_value,"
    " money_at_stake, threshold_value, reason, action, owner"
)

# Customer i orders every 10 + i % 20 days; one in three stops, some of them to come back on day 20.
ORDERS = f"""
create schema main_cva;
create table orders as
select 'c' || i as customer_id, day::date as order_date, (20 + i)::decimal(18, 4) as amount
from range({CUSTOMERS}) as t(i),
    lateral (select timestamp '2023-06-01' + to_days((n * (10 + i % 20) + i % 7)::int) as day
        from range(50) as u(n))
where day < timestamp '2024-07-10'
    and (i % 3 > 0 or day < timestamp '2024-05-01' + to_days((i % 40)::int)
        or (i % 9 = 0 and day >= timestamp '2024-06-20'));
create table main_cva.int_cva__customer_ids (raw_id varchar, customer_id varchar);
"""
MADE = {  # columns that have a value below; the others are NULL
    "order_days_count", "spend_365d", "gap_mean_days", "days_since_last_order",
    "has_marketing_consent", "horizon_days", "is_overdue", "score_status", "predicted_value",
    "predicted_value_p10", "predicted_value_p50", "predicted_value_p90", "churn_probability",
    "value_tier",
}  # fmt: skip
FEATURES = [line["name"] for line in macro_value("feature_catalog.sql", "feature_catalog")]
VALUES = macro_value("alerts.sql", "alert_value_columns")
OTHER_FEATURES, OTHER_VALUES = (
    ", ".join(f"null as {name}" for name in names if name not in MADE)
    for names in (FEATURES, VALUES)
)
SEEN = f"""
create or replace table main_cva.int_cva__orders_valid as
select customer_id, order_date, amount, null::timestamp as cancelled_at
from orders where order_date < $day;
create or replace table main.customer_features as
with aged as (
    select customer_id, amount, $day::date - order_date as age, order_date,
        order_date - lag(order_date) over (partition by customer_id order by order_date) as gap
    from main_cva.int_cva__orders_valid
)
select customer_id, $day::date as as_of_date, count(*)::double as order_days_count,
    sum(case when age <= 365 then amount else 0 end)::double as spend_365d,
    avg(gap) as gap_mean_days, min(age)::double as days_since_last_order,
    {OTHER_FEATURES}, (hash(customer_id) % 2)::double as has_marketing_consent
from aged group by customer_id;
create or replace table main.customer_value as
with judged as (
    select *, days_since_last_order > 1.5 * gap_mean_days as is_overdue,
        spend_365d * {HORIZON} / 365 as usual
    from main.customer_features
)
select customer_id, as_of_date, {HORIZON} as horizon_days, is_overdue, 'ok' as score_status,
    case when is_overdue then 0.2 else 1.1 end * usual as predicted_value,
    0.0 as predicted_value_p10,
    case when is_overdue then 0 else usual end as predicted_value_p50,
    1.5 * usual as predicted_value_p90,
    case when is_overdue then 0.8 else 0.1 end as churn_probability,
    'low' as value_tier, {OTHER_VALUES}
from judged;
"""

# Each customer's last order is cancelled, and those with an alert have another id from now on.
GONE = """
delete from orders using (
    select customer_id, max(order_date) as order_date from orders
    where order_date < date '2024-06-01' group by all
) as newest
where orders.customer_id = newest.customer_id and orders.order_date = newest.order_date;
insert into main_cva.int_cva__customer_ids
    select customer_id, 'm' || customer_id from churn_alerts;
update orders set customer_id = 'm' || customer_id
    where customer_id in (select customer_id from churn_alerts);
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """Seen from the first day, with the alerts of that day."""
    shop = open_shop(tmp_path_factory.mktemp("made") / "shop.duckdb", need=Need.NOTHING)
    with duckdb.connect(str(shop.db)) as con:
        con.execute(ORDERS)
    look(shop, START)
    return shop


@pytest.fixture
def shop(made: ResolvedShop, tmp_path: Path) -> ResolvedShop:
    shutil.copytree(made.db.parent, tmp_path / "shop")
    return open_shop(tmp_path / "shop" / made.db.name, need=Need.NOTHING)


def see(shop: ResolvedShop, day: date, more: str = "") -> None:
    """The tables that a run builds before the alerts, from the orders before a day."""
    with duckdb.connect(str(shop.db)) as con:
        for statement in f"{SEEN};{more}".split(";"):
            if statement.strip():
                con.execute(statement.replace("$day", f"date '{day}'"))


def look(shop: ResolvedShop, day: date, more: str = "", **variables: Any) -> list[Any]:
    """A run as of a day; the table after it."""
    see(shop, day, more)
    given = {"cva_alerts_per_week": PER_WEEK, "cva_alert_owners": ["Ann", "Bo"], **variables}
    run_dbt(shop, "run", select=["churn_alerts"], variables=given)
    return table(shop)


def table(shop: ResolvedShop, columns: str = "*") -> list[Any]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(f"select {columns} from churn_alerts order by alert_id").fetchall()


def states(shop: ResolvedShop) -> dict[str, str]:
    return dict(table(shop, "alert_id, state"))


def day(days: int) -> date:
    return START + timedelta(days=days)


def test_a_second_run_without_new_data_changes_no_row(shop: ResolvedShop) -> None:
    before = table(shop)
    assert len(before) == PER_WEEK
    assert look(shop, START) == before
    assert set(states(shop).values()) == {"new"}
    stakes = [stake for (stake,) in table(shop, "money_at_stake")]
    (threshold,) = {found for (found,) in table(shop, "threshold_value")}
    assert 0 < threshold <= min(stakes)
    assert {owner for (owner,) in table(shop, "owner")} == {"Ann", "Bo"}


def test_thirty_days_raise_each_alert_once_and_resolve_it_when_the_customer_buys(
    shop: ResolvedShop,
) -> None:
    said: dict[str, Any] = {row[0]: row for row in table(shop, STATIC)}
    for days in (3, 6, 9, 12, 15, 18, 22, 26, 30):
        look(shop, day(days))
        now = {row[0]: row for row in table(shop, STATIC)}
        assert {key: now[key] for key in said} == said
        said = now
    raised = table(shop, "customer_id, last_order_date")
    assert len(raised) == len(set(raised)) > 3 * PER_WEEK
    for end in (day(days) for days in range(31)):
        within = [row[3] for row in said.values() if end - timedelta(days=7) < row[3] <= end]
        assert len(within) <= PER_WEEK
    with duckdb.connect(str(shop.db), read_only=True) as con:
        wrong = con.execute(
            f"""
            select a.alert_id, a.state, a.has_bought, a.spend_in_horizon, min(o.order_date)
            from churn_alerts a left join orders o on o.customer_id = a.customer_id
                and o.order_date >= a.raised_on and o.order_date < date '{day(30)}'
            group by all
            having (count(o.order_date) > 0) <> (a.state = 'resolved')
                or (count(o.order_date) > 0) <> coalesce(a.has_bought, false)
                or (a.spend_in_horizon is null) <> (a.raised_on > date '{START}')
            """
        ).fetchall()
    assert wrong == []
    found = set(states(shop).values())
    assert found >= {"resolved", "expired", "open"}


def test_an_earlier_day_and_one_to_come_change_nothing(shop: ResolvedShop) -> None:
    after = look(shop, day(5))
    assert look(shop, day(2)) == after
    assert look(shop, date(2200, 1, 1)) == after


def test_an_order_that_is_cancelled_or_a_merged_customer_alerts_nobody_anew(
    shop: ResolvedShop,
) -> None:
    before = {customer for (customer,) in table(shop, "customer_id")}
    with duckdb.connect(str(shop.db)) as con:
        con.execute(GONE)
    every = {"cva_alerts_per_week": 10 * CUSTOMERS, "cva_target": "orders", "cva_language": "zh"}
    look(shop, day(1), **every)
    after = {customer for (customer,) in table(shop, "customer_id")}
    assert len(after) > len(before)
    assert not {f"m{customer}" for customer in before} & after
    reasons = [reason for (reason,) in table(shop, "reason") if reason.startswith("平均每 ")]
    assert len(reasons) == len(after) - len(before)
    assert {share for (share,) in table(shop, "money_at_stake / usual_value")} >= {0.8}


def test_what_people_note_is_read_and_outlives_reruns(shop: ResolvedShop) -> None:
    first, second, *_ = list(states(shop))
    ack_alerts(shop, [first], by="Ann")
    resolve_alerts(shop, [second], note="called")
    told = {alert["alert_id"]: alert["state"] for alert in list_alerts(shop)}
    assert told[first] == "acted"
    assert second not in told
    look(shop, START)
    assert (states(shop)[first], states(shop)[second]) == ("acted", "resolved")
    look(shop, day(2))
    acted = dict(table(shop, "alert_id, acted_on"))
    assert acted[first] is not None
    assert len(states(shop)) == PER_WEEK


def test_a_kill_between_two_writes_is_as_if_it_had_not_begun(
    shop: ResolvedShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop.db.parent, tmp_path / "whole")
    whole = open_shop(tmp_path / "whole" / shop.db.name, need=Need.NOTHING)
    before, expected = table(shop), look(whole, day(8))
    assert expected != before
    log = shop.work_dir / "logs" / "dbt.log"
    log.unlink(missing_ok=True)

    def kill_in_the_merge(process: Any) -> tuple[Sequence[str], Sequence[str]]:
        while process.poll() is None:
            if log.exists() and "merge into" in log.read_text(encoding="utf-8").lower():
                process.kill()
            time.sleep(0.001)
        return [], []

    with monkeypatch.context() as patch:
        patch.setenv("CVA_TESTS_COLD", "1")
        patch.setattr(dbt_runner, "_follow", kill_in_the_merge)
        with pytest.raises(CvaError, match="killed by SIGKILL"):
            look(shop, day(8))
    assert table(shop) in (before, expected)
    assert look(shop, day(8)) == expected


def test_a_real_run_raises_alerts_that_a_rerun_leaves(sample_shop: Any, tmp_path: Path) -> None:
    shop = open_shop(sample_shop.copy_to(tmp_path / "shop"))
    before = table(shop)
    run_dbt(shop, "run", select=["churn_alerts"])
    assert table(shop) == before
    assert 0 < len(before) <= shop.var("cva_alerts_per_week")
    published = shop.published / "current" / "churn_alerts.parquet"
    assert published.is_file()
