"""`cva doctor`: what it finds in good, bad and empty databases, and what it advises."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer

from cva_sql.cli.doctor.command import doctor
from cva_sql.cli.doctor.examination import Report, examine
from cva_sql.cli.doctor.machine import Machine, read_cpu
from cva_sql.cli.doctor.report import describe
from cva_sql.cli.doctor.tables import Table
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.model_store import deploy
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.encoder import encoder_folder
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.sessions import baseline_folder

ORDERS = """create schema raw; create table raw.orders as
select 'O' || i as order_id, 'C' || (i % 50) as customer_id, current_date - i::int as ordered_at,
    (20 + i % 40)::decimal(18, 4) as amount, 'completed' as status
from range(1, 401) as t(i)"""
Examine = Callable[..., Report]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


@pytest.fixture
def change(db: Path) -> Callable[..., None]:
    """Runs statements on the database, by default on one with 400 orders, one a day."""

    def call(*statements: str, orders: str = ORDERS) -> None:
        with duckdb.connect(str(db)) as con:
            for statement in (orders, *statements):
                con.execute(statement)

    return call


@pytest.fixture(scope="module")
def staged_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with 400 orders, one a day, and what dbt stages of them."""
    path = tmp_path_factory.mktemp("staged") / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(ORDERS)
    run_dbt(open_shop(path), "run", select=["+cva_rejects"])
    return path


@pytest.fixture
def change_staged(db: Path, staged_db: Path) -> Callable[..., None]:
    """Runs statements on a copy of it: the staging views follow, so that nothing is built again."""

    def call(*statements: str) -> None:
        if not db.exists():
            shutil.copy(staged_db, db)
        with duckdb.connect(str(db)) as con:
            for statement in statements:
                con.execute(statement)

    return call


@pytest.fixture
def look(db: Path) -> Examine:
    return lambda variables=None: examine(open_shop(db, variables=variables, need=Need.DATABASE))


def table(report: Report, name: str = "orders") -> Table:
    assert report.findings is not None
    return next(table for table in report.findings.tables if table.name == name)


def commands(report: Report) -> list[str]:
    return [advice.command for advice in report.advice if advice.command is not None]


def texts(report: Report) -> str:
    return "\n".join(advice.text for advice in report.advice)


def build(db: Path, as_of: str, model_hash: str) -> None:
    """A customer_value as a run leaves it, as far as the doctor looks."""
    with duckdb.connect(str(db)) as con:
        con.execute(
            f"create or replace table customer_value as select 'C1' as customer_id, "
            f"{as_of} as as_of_date, 'ok' as score_status, '{model_hash}' as model_hash, "
            "'some-model' as model_version"
        )


@contextmanager
def altered(path: Path) -> Iterator[None]:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    yield
    path.write_bytes(data)


def test_an_empty_database_needs_orders(change: Callable[..., None], look: Examine) -> None:
    change(orders="select 1")
    report = look()
    assert report.is_fine
    assert commands(report) == []
    assert "your file in place of FILE: cva load orders FILE --append --db " in texts(report)
    assert "not there: orders, " in "\n".join(describe(report))


def test_a_database_without_any_table_of_ours_is_scanned(
    change: Callable[..., None], look: Examine, db: Path
) -> None:
    change(orders="create table invoices as select 1 as id")
    report = look()
    assert report.is_fine
    assert commands(report) == [f"cva init shop_project --scan {db}"]


def test_a_table_of_orders_without_a_row(change_staged: Callable[..., None], look: Examine) -> None:
    change_staged("delete from raw.orders")
    report = look()
    assert report.is_fine
    assert table(report).rows == 0
    assert commands(report) == []
    assert "your file in place of FILE: cva load orders FILE --append --db " in texts(report)


def test_orders_alone_are_described_and_lead_to_training_and_a_run(
    change: Callable[..., None], look: Examine
) -> None:
    change()
    report = look()
    orders = table(report)
    assert report.is_fine
    assert (orders.rows, orders.age_days, orders.usual_gap_days) == (400, 1, 1.0)
    assert orders.missing[:4] == ("status_changed_at", "discount_amount", "currency", "channel")
    assert set(orders.missing[4:]) == {
        "tax_amount",
        "shipping_amount",
        "refunded_amount",
        "store",
        "updated_at",
    }
    assert not orders.is_late
    assert orders.rejects == {}
    assert [command.split(" --db ")[0] for command in commands(report)] == ["cva train", "cva run"]
    assert report.value_model.rule_because == "no model was trained yet"


def test_it_writes_nothing(change: Callable[..., None], look: Examine, db: Path) -> None:
    change()
    digest = hashlib.sha256(db.read_bytes()).digest()
    look()
    assert hashlib.sha256(db.read_bytes()).digest() == digest
    assert [path.name for path in db.parent.iterdir()] == [db.name]


def test_tables_of_other_names_are_mapped_by_vars(
    change: Callable[..., None], look: Examine
) -> None:
    change(
        "create table sales as select order_id as no, customer_id as client, ordered_at, "
        "amount as net, 2.0 as tax from raw.orders",
        "drop schema raw cascade",
    )
    columns = "{order_id: no, customer_id: client, amount: net + tax}"
    report = look(
        f"{{cva_raw_schema: main, cva_orders_identifier: sales, cva_orders_columns: {columns}}}"
    )
    orders = table(report)
    assert (orders.relation, orders.rows, orders.problem) == ("main.sales", 400, None)
    assert "amount = net + tax" in "\n".join(describe(report))
    assert "cva_orders_identifier" in commands(report)[-1]


def test_a_missing_required_column_is_broken(
    change: Callable[..., None], look: Examine, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("alter table raw.orders rename amount to total")
    report = look()
    assert not report.is_fine
    assert "has no column `amount`" in report.problems[0]
    with pytest.raises(typer.Exit) as done:
        doctor(db=db)
    assert done.value.exit_code == 1
    assert "broken: " in capsys.readouterr().out


def test_a_view_that_fails_is_broken_and_does_not_stop_the_rest(
    change: Callable[..., None], look: Examine
) -> None:
    change(
        "create table t as select 1 as customer_id",
        "create view raw.customers as from t",
        "drop table t",
    )
    report = look()
    assert len(report.problems) == 1
    assert report.problems[0].startswith("raw.customers cannot be read: ")
    assert "\n" not in report.problems[0]
    assert table(report).rows == 400


def test_a_file_that_is_no_database_is_broken(look: Examine, db: Path) -> None:
    db.write_bytes(b"not a database, at any length" * 500)
    report = look()
    assert not report.is_fine
    assert report.findings is None
    assert "broken: " in "\n".join(describe(report))


def test_a_database_that_does_not_exist_is_a_misuse(db: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        doctor(db=db)


def test_rejects_are_counted_now_where_nothing_was_built(
    change: Callable[..., None], look: Examine
) -> None:
    change(
        "insert into raw.orders select * replace ('X' || order_id as order_id, null as amount) "
        "from raw.orders limit 3",
        "insert into raw.orders from raw.orders limit 2",
        "update raw.orders set status = 'cancelled' where order_id = 'O400'",
    )
    report = look()
    assert table(report).rejects == {"amount_missing": 3, "duplicate_order_id": 2, "cancelled": 1}
    assert report.findings is not None
    assert not report.findings.are_rejects_of_last_build
    assert "counted now" in "\n".join(describe(report))


def test_many_rejects_are_worth_a_look(change: Callable[..., None], look: Examine) -> None:
    change("update raw.orders set amount = -1 where order_id like 'O1%'")
    report = look()
    assert any(command.startswith("cva sql ") for command in commands(report))
    assert any("rows of orders are not used" in advice.text for advice in report.advice)


def test_an_amount_of_a_billion_is_named(change_staged: Callable[..., None], look: Examine) -> None:
    change_staged("update raw.orders set amount = 1e9 where order_id = 'O7'")
    report = look()
    assert report.findings is not None
    outliers = report.findings.outliers
    assert outliers is not None
    assert [(o.order_id, o.customer_id, o.amount) for o in outliers.named] == [("O7", "C7", 1e9)]
    assert 60 < outliers.limit < 1e6
    said = "\n".join(describe(report))
    assert "order_id O7, customer_id C7, amount 1,000,000,000.00" in said
    assert "8 robust standard deviations, 1.4826 x MAD" in said
    assert any("where order_id in ('O7')" in command for command in commands(report))


def test_at_most_ten_outliers_are_named(change_staged: Callable[..., None], look: Examine) -> None:
    change_staged("update raw.orders set amount = 1e8 where order_id like 'O1_'")
    change_staged("update raw.orders set amount = 1e9 where order_id like 'O2_'")
    report = look()
    assert report.findings is not None
    outliers = report.findings.outliers
    assert outliers is not None
    assert (outliers.count, len(outliers.named)) == (20, 10)
    assert "and 10 more" in "\n".join(describe(report))


@pytest.mark.parametrize("amount", ["50", "20 + 3 * (random() > .9)::int"])
def test_a_shop_of_equal_prices_has_no_outliers(
    change_staged: Callable[..., None], look: Examine, amount: str
) -> None:
    change_staged(f"update raw.orders set amount = {amount}")
    report = look()
    assert report.findings is not None
    assert report.findings.outliers is not None
    assert report.findings.outliers.count == 0


def test_statuses_that_may_mean_cancelled_come_with_a_var_that_says_so(
    change: Callable[..., None], look: Examine
) -> None:
    change(
        "update raw.orders set status = 'Cancelled by us' where order_id like 'O3_'",
        "update raw.orders set status = 'weird' where order_id = 'O7'",
        "update raw.orders set status = 'cancelled' where order_id = 'O5'",
    )
    report = look()
    assert report.findings is not None
    assert report.findings.doubtful_statuses == {"Cancelled by us": 10}
    assert "statuses not known, so they count: 'weird' (1)" in "\n".join(describe(report))
    command = next(c for c in commands(report) if "cva_status_cancelled" in c)
    words = shlex.split(command)
    assert words[:2] == ["cva", "run"]
    after = look(words[words.index("--vars") + 1])
    assert after.findings is not None
    assert after.findings.doubtful_statuses == {}
    assert table(after).rejects == {"cancelled": 11}


def test_a_table_that_stopped_is_late_by_its_own_rhythm(
    change: Callable[..., None], look: Examine
) -> None:
    change(
        "update raw.orders set ordered_at = ordered_at - 30",
        "create table raw.reviews as select customer_id, ordered_at as reviewed_at "
        "from raw.orders where order_id like 'O_00'",  # every hundred days
    )
    report = look()
    assert table(report).is_late
    assert not table(report, "reviews").is_late
    assert "in place of FILE: cva load orders FILE --append --db " in texts(report)


def test_a_build_older_than_the_newest_order_or_by_another_model_is_made_anew(
    change_staged: Callable[..., None], look: Examine, db: Path
) -> None:
    change_staged()
    rule = look().value_model.sha256
    assert rule is not None
    build(db, "current_date", rule)
    assert [c.split()[1] for c in commands(look())] == ["train"]
    build(db, "current_date - 5", rule)
    assert "the newest order of" in look().advice[-1].text
    build(db, "current_date", "another")
    assert "scored by some-model, deployed is baseline-1" in look().advice[-1].text


def test_a_lone_order_far_ahead_is_doubted_with_the_command_that_takes_it(
    change_staged: Callable[..., None], look: Examine, db: Path
) -> None:
    change_staged(
        "update raw.orders set ordered_at = ordered_at - 900",
        "insert into raw.orders values ('typed', 'C1', current_date - 1, 10, 'completed')",
    )
    build(db, "current_date - 900", baseline_folder().name)
    found, day = look(), date.today()
    assert found.findings is not None
    assert found.findings.newest == str(day - timedelta(days=901))
    assert f"cva run --as-of {day} --db {db}" in commands(found)
    said = "\n".join(describe(found))
    assert "1 order lies 900 days after all others" in said
    assert "build it anew" not in said
    assert look({"cva_as_of": str(day)}).findings.doubt is None  # type: ignore[union-attr]


def test_a_deployed_model_is_checked(
    change_staged: Callable[..., None], look: Examine, db: Path
) -> None:
    change_staged()
    models = db.parent / "cva_models"
    folder = models / "value" / "mine"
    shutil.copytree(baseline_folder(), folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest.update(version="mine", is_baseline=False, horizon_days=90)
    manifest["training"] = {"database": "shop.duckdb", "as_of": "2020-01-01", "kind": "glm"}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    deploy(models, "mine")
    report = look()
    assert report.is_fine
    assert "days before the newest order; train it anew" in report.advice[0].text
    manifest["training"]["as_of"] = date.today().isoformat()
    path.write_text(json.dumps(manifest | {"explanation": None}), encoding="utf-8")
    assert "mine is from before scores had reasons" in look().advice[0].text
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert "before scores had reasons" not in "".join(one.text for one in look().advice)
    with altered(folder / "model.onnx"):
        assert "its manifest says" in look().problems[0]
    manifest["training"]["database"] = "other.duckdb"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert "trained on other.duckdb, not on shop.duckdb" in look().problems[0]
    shutil.rmtree(folder)
    assert "manifest.json is missing" in look().problems[0]


def test_a_model_that_lost_says_why_the_rule_scores(
    change_staged: Callable[..., None], look: Examine, db: Path
) -> None:
    change_staged()
    folder = db.parent / "cva_models" / "value" / "lost"
    shutil.copytree(baseline_folder(), folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest.update(version="lost", is_baseline=False, horizon_days=90)
    manifest["training"] = {"as_of": "2020-01-01", "kind": "glm"}
    manifest["evaluation"] = {"verdict": "past_spend does as well"}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    said = "\n".join(describe(look()))
    assert "the packaged rule scores: lost was trained and is not deployed" in said
    assert "past_spend does as well" in said


def test_an_altered_encoder_is_broken(
    change_staged: Callable[..., None], look: Examine, db: Path
) -> None:
    change_staged()
    own = db.parent / "cva_models" / "encoder"
    shutil.copytree(encoder_folder(db.parent), own)
    with altered(own / "tokenizer.json"):
        report = look()
    assert not report.is_fine
    assert "tokenizer.json has sha256" in report.problems[0]


def test_json_has_everything(
    change_staged: Callable[..., None], db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_staged()
    doctor(db=db, as_json=True)
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["is_fine"] is True
    assert set(said["machine"]["versions"]) > {"python", "cva", "duckdb", "onnxruntime"}
    assert said["findings"]["tables"][0]["first"]
    assert [advice["command"].split()[1] for advice in said["advice"]] == ["train", "run"]


def test_the_processor_is_read_from_linux_and_guessed_elsewhere() -> None:
    text = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx_vnni\n"
    there = {"AVX2": True, "AVX512": False, "VNNI": True, "AMX": False}
    assert read_cpu(text) == ("Some CPU", there)
    assert Machine({}, "Some CPU", there, 1, None).integer_path == "VNNI"
    name, extensions = read_cpu("")
    assert name
    assert extensions == {}


def test_a_var_that_cannot_be_taken_is_broken_in_one_line(
    change: Callable[..., None], look: Examine
) -> None:
    change()
    report = look("{cva_orders_columns: {sales: net}}")
    (problem,) = report.problems
    assert "maps `sales`, which is not a column of orders" in problem
    assert "\n" not in problem
    (zone,) = look("{cva_timezone: Mars/Base}").problems
    assert "cva_timezone is 'Mars/Base'; expected a name like Europe/Berlin" in zone


def test_rejects_counted_now_are_those_of_the_last_build(sample_shop: Any, rows: Any) -> None:
    def counted(variables: str | None) -> tuple[bool, dict[str, dict[str, int]]]:
        shop = open_shop(sample_shop.db, variables=variables, need=Need.DATABASE)
        findings = examine(shop).findings
        assert findings is not None
        rejects = {found.name: found.rejects for found in findings.tables if found.rejects}
        return findings.are_rejects_of_last_build, rejects

    was_built, of_last_build = counted(None)
    is_built, now = counted("{cva_margin: 0.5}")  # other vars than those of the build
    assert (was_built, is_built) == (True, False)
    assert now == of_last_build
    assert {(t, r, n) for t, found in now.items() for r, n in found.items()} == set(
        rows(
            sample_shop.db,
            "select table_name, reason, row_count from main_cva.cva_rejects where row_count > 0",
        )
    )
    assert sum(len(found) for found in now.values()) > 5
