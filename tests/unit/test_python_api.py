"""`from cva_sql import Shop`: what the commands do, without a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import cva_sql
from cva_sql import CvaError, Shop, UsageError, register, unregister
from cva_sql.udfs.manifest import plain


@pytest.fixture(scope="module")
def shop(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A copy of a shop that was trained and run."""
    return Shop(sample_shop.copy_to(tmp_path_factory.mktemp("api") / "shop"))


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    file = tmp_path / "orders.csv"
    with duckdb.connect() as con:
        con.execute(
            "copy (select i as order_id, i % 40 as customer, date '2025-01-01' + i::int as "
            f"ordered_at, 10.0 as amount from range(300) as t(i)) to '{file}'"
        )
    return file


def test_every_public_name_is_there_and_a_wrong_one_is_named() -> None:
    assert set(cva_sql.__all__) <= set(dir(cva_sql))
    for name in cva_sql.__all__:
        assert getattr(cva_sql, name)
    with pytest.raises(AttributeError, match="'cva_sql' has no attribute 'Shops'"):
        cva_sql.Shops  # noqa: B018


def test_to_import_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, cva_sql; print(*(n for n in sys.modules if n.startswith('cva_sql')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cva_sql"]


def test_a_shop_from_a_file_to_scores(orders: Path, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "new.duckdb", as_of=date(2025, 10, 1), horizon_days=30)
    with pytest.raises(UsageError, match="does not exist; load orders into it with: cva load"):
        shop.scores()
    loaded = shop.load("orders", orders, columns={"customer_id": "customer"})
    assert (loaded.loaded.rows, loaded.loaded.customers) == (300, 40)
    with pytest.raises(CvaError, match=r"has no table main\.customer_value; make it with: cva run"):
        shop.scores()
    done = shop.run()
    assert (done.customers, done.as_of) == (40, "2025-10-01")
    scores = shop.scores(columns=["customer_id", "horizon_days", "predicted_value"])
    assert scores.num_rows == 40
    assert scores.column("horizon_days").unique().to_pylist() == [30]
    assert scores.equals(shop.scores(columns=scores.column_names, published=True))
    with pytest.raises(UsageError, match="customer_value has no column 'x'; it has: customer_id"):
        shop.scores(columns=["x"])


def test_what_comes_back_is_what_the_commands_print(shop: Shop, cva: Any) -> None:
    def printed(*arguments: str) -> Any:
        done = cva(*arguments, "--db", shop.db, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fields(found: Any) -> Any:
        return json.loads(json.dumps(plain(asdict(found))))

    customer = shop.scores(columns=["customer_id"]).column(0)[0].as_py()
    explained = shop.explain(customer, changes={"orders_90d_count": "+1", "gap_mean_days": None})
    assert fields(explained) == printed(
        "explain", customer, "--set", "orders_90d_count=+1", "--set", "gap_mean_days=null"
    )
    assert fields(shop.models()) == printed("models", "list")
    examined, said = fields(shop.doctor()), printed("doctor")
    assert all(one["encoder"].pop("texts_per_second") > 0 for one in (examined, said))  # timed
    assert examined == said
    query = "select customer_id, score from customer_value order by 1"
    assert shop.sql(query).to_pylist() == printed("sql", query)


def test_alerts_are_listed_and_noted_as_by_the_command(shop: Shop, cva: Any) -> None:
    listed = shop.alerts.list()
    done = cva("alerts", "list", "--db", shop.db, "--json")
    assert json.loads(json.dumps(listed, default=str)) == json.loads(done.stdout)
    first, second = listed[:2]
    acted = shop.alerts.ack(first["customer_id"], by="Ann", note="called")
    assert (acted.event, acted.alert_ids, acted.already) == ("acted", (first["alert_id"],), ())
    both = [first["alert_id"], second["alert_id"]]
    again = shop.alerts.ack(both)
    assert (again.alert_ids, again.already) == ((second["alert_id"],), (first["alert_id"],))
    assert [alert["alert_id"] for alert in shop.alerts.list("acted")] == both
    assert shop.alerts.resolve(both[:1]).event == "resolved"
    assert len(shop.alerts.list()) == len(listed) - 1
    assert shop.alerts.list([]) == []
    noted = shop.sql("select event, noted_by, note from cva_alert_acks order by noted_at limit 1")
    assert noted.to_pylist() == [{"event": "acted", "noted_by": "Ann", "note": "called"}]


def test_alerts_are_sent_once_and_counted(shop: Shop, tmp_path: Path) -> None:
    waiting = shop.alerts.list(["new", "open"])
    sent = shop.alerts.send(tmp_path / "alerts.jsonl")
    lines = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert (sent.sent, sent.before) == (len(lines), 0)
    assert sent.sent + sent.withheld == len(waiting)
    again = shop.alerts.send(str(tmp_path / "alerts.jsonl"))
    assert again == replace(sent, sent=0, before=sent.sent)


def test_an_audience_is_that_of_the_command(shop: Shop, cva: Any, tmp_path: Path) -> None:
    shop.sql("alter table raw.customers add column email varchar")
    shop.sql("update raw.customers set email = customer_id || '@x.de'")
    ours, theirs, no = (tmp_path / name for name in ("a.csv", "b.csv", "no.csv"))
    condition = "value_tier = 'high'"
    out_of = shop.scores(columns=["customer_id", "value_tier"]).to_pylist()
    no.write_text("\n".join(row["customer_id"] for row in out_of[::2]))
    done = shop.audience(condition, ours, to="klaviyo", value="clv", suppress=no)
    options = ["--to", "klaviyo", "--value", "clv", "--suppress", no, "--db", shop.db, "--json"]
    printed = cva("audience", condition, "--out", theirs, *options)
    assert {**asdict(done), "file": str(theirs)} == json.loads(printed.stdout)
    assert ours.read_bytes() == theirs.read_bytes()
    assert done.rows > 0
    assert done.left_out["suppressed"] > 0
    with pytest.raises(UsageError, match="exists; name another file"):
        shop.audience(condition, ours)
    more = shop.audience(condition, ours, without_consent=True, suppress=[no], replace=True)
    assert more.rows > done.rows
    assert more.left_out.keys() == {"suppressed"}


def test_publishing_is_that_of_the_command(shop: Shop, cva: Any, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a.xlsx", tmp_path / "b.xlsx"
    done = shop.publish(ours)
    printed = json.loads(cva("publish", "--to", theirs, "--db", shop.db, "--json").stdout)
    assert {**asdict(done), "to": str(theirs)} == printed
    assert ours.read_bytes() == theirs.read_bytes()
    assert done.rows["customer_value"] == shop.scores(columns=["customer_id"]).num_rows


def test_a_number_sets_a_feature_and_a_text_changes_it(shop: Shop) -> None:
    customer = shop.sql("select min(customer_id) as c from customer_value").column("c")[0].as_py()
    (before,) = shop.sql(
        f"select orders_90d_count as n from customer_features where customer_id = '{customer}'"
    ).to_pylist()
    one_more = shop.explain(customer, changes={"orders_90d_count": "+1"})
    set_to = shop.explain(customer, changes={"orders_90d_count": before["n"] + 1})
    assert one_more.changed is not None
    assert set_to.changed is not None
    assert one_more.changed.figures == set_to.changed.figures


def test_a_back_test_gives_what_its_tables_hold(shop: Shop) -> None:
    found = shop.evaluate(["2025-06-30"], replicates=0)
    assert {row["as_of_date"] for row in found.metrics} == {"2025-06-30", None}
    counted = shop.sql(
        "select (select count(*) from cva_model_metrics) as metrics, "
        "(select count(*) from cva_model_deciles) as deciles"
    ).to_pylist()
    assert counted == [{"metrics": len(found.metrics), "deciles": len(found.deciles)}]


def test_a_report_is_written_where_it_is_asked_for(shop: Shop, tmp_path: Path) -> None:
    assert shop.report(tmp_path / "r.html").path == str(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_bytes().startswith(b"<!doctype html")


def test_sql_writes_and_gives_the_last_result_without_leaving_a_connection(shop: Shop) -> None:
    made = shop.sql("create table own as select 1 as a; insert into own values (2)")
    assert isinstance(made, pa.Table)
    assert shop.sql("select sum(a)::int as a from own").to_pylist() == [{"a": 3}]
    assert shop.sql("drop table own").num_rows == 0
    with duckdb.connect(str(shop.db)) as con:  # of another kind than the one before
        register(con, models_dir=shop.models_dir)
        assert con.execute("select cva_version()").fetchall() == [(cva_sql.__version__,)]
        unregister(con)
    with pytest.raises(CvaError, match=r"^Catalog Error: Table with name own does not exist!$"):
        shop.sql("from own")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_connection_of_the_notebooks_own_is_one_clear_line(
    shop: Shop, orders: Path, read_only: bool
) -> None:
    calls: list[Callable[[], object]] = [
        shop.run,
        shop.train,
        lambda: shop.load("orders", orders, columns={"customer_id": "customer"}, append=True),
        lambda: shop.backfill("2025-11-01"),
        lambda: shop.audience("true", orders.with_name("a.csv")),
        lambda: shop.alerts.ack("C00001"),
        lambda: shop.alerts.send(orders.with_name("a.jsonl")),
    ]
    if not read_only:
        calls += [shop.scores, lambda: shop.sql("select 1"), lambda: shop.explain("C00001")]
        calls.append(shop.alerts.list)
    with duckdb.connect(str(shop.db), read_only=read_only):
        for call in calls:
            with pytest.raises(CvaError, match=r"is open in this very process; close that") as no:
                call()
            assert "\n" not in str(no.value)
        if read_only:
            assert shop.scores(columns=["customer_id"]).num_rows > 100


def test_what_cannot_be_taken_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="as-of is 'soon'; expected a date"):
        Shop(tmp_path / "x.duckdb", as_of="soon")
    with pytest.raises(UsageError, match="horizon-days is 0; expected a whole number"):
        Shop(tmp_path / "x.duckdb", horizon_days=0)
    with pytest.raises(UsageError, match=r"has no dbt_project\.yml with cva_package"):
        Shop(project=tmp_path)
    for call in (
        lambda shop: shop.alerts.list(),
        lambda shop: shop.alerts.resolve("a"),
        lambda shop: shop.audience("true", tmp_path / "a.csv"),
        lambda shop: shop.backfill("2025-11-01"),
        lambda shop: shop.publish("x.xlsx"),
    ):
        with pytest.raises(UsageError, match="does not exist; load orders into it with: cva load"):
            call(Shop(tmp_path / "x.duckdb"))
    assert repr(Shop(tmp_path / "x.duckdb")) == f"Shop({str(tmp_path / 'x.duckdb')!r})"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda shop: shop.alerts.list("over"), "state is 'over'; expected new or open or acted"),
        (lambda shop: shop.alerts.ack("nobody"), "there is no alert 'nobody'; expected an alert"),
        (lambda shop: shop.alerts.send("no/a.jsonl"), "--to no/a.jsonl: expected https://"),
        (lambda shop: shop.backfill("soon"), "first is 'soon'; expected a date"),
        (lambda shop: shop.backfill("2025-11-01", step="day"), "step is 'day'; expected week or"),
        (lambda shop: shop.backfill(date(2031, 1, 1)), "from is 2031-01-01; expected a date after"),
        (lambda shop: shop.audience("true", "a.csv", to="x"), "to is 'x'; expected csv or xlsx"),
        (lambda shop: shop.audience("true", "a.csv", value="x"), "value is 'x'; expected predict"),
        (lambda shop: shop.publish("shop.duckdb"), "--to is no URL; expected postgresql://"),
    ],
)
def test_an_option_that_cannot_be_taken_is_a_usage_error(
    shop: Shop, call: Callable[[Shop], object], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as no:
        call(shop)
    assert "\n" not in str(no.value)
