"""What every command that writes is held to: its folders, its row in cva_runs, no templates."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml
from typer.main import get_command

from cva_sql.cli.app import app
from cva_sql.cli.evaluate.evaluation import evaluate_shop
from cva_sql.cli.init.project import init_project
from cva_sql.cli.shop import dbt_runner
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.model_store import deploy, deployed_version
from cva_sql.cli.shop.owner import Owned, claim, owner_of
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train import examples, texts
from cva_sql.cli.train.training import train_shop
from cva_sql.models_onnx.value.backtesting import backtest as backtesting
from cva_sql.udfs.errors import CvaError, UsageError

WORK, MODELS, PUBLISHED = Owned.WORK, Owned.MODELS, Owned.PUBLISHED
ADD = "models add absent.onnx --name mine --trained-until 2024-01-01"
# The folders that a command writes into, by how it is called.
CLAIMED: dict[str, tuple[Owned, ...]] = {
    "train": (WORK, MODELS),
    "run": (WORK, PUBLISHED),
    "watch --once --raw raw.orders": (WORK, PUBLISHED),
    "evaluate": (WORK,),
    "check-features": (WORK,),
    "backfill --from 2023-12-01": (WORK,),
    "audience true --out audience.csv": (WORK,),
    "embed": (WORK,),
    "embed images p --encoder e": (WORK,),
    "finetune": (WORK, MODELS),
    "finetune --deploy packaged": (WORK, MODELS),
    "score": (WORK,),
    "explain": (WORK,),
    ADD: (WORK, MODELS),
    "models deploy rule": (WORK, MODELS),
    "models rollback": (WORK, MODELS),
    "recommend": (WORK, MODELS),
    "alerts ack a": (WORK,),
    "alerts resolve a": (WORK,),
    "alerts send --to stdout": (WORK,),
    "forget a": (WORK,),
}
# How the row in cva_runs calls it, and what it says of a shop that dbt cannot build.
NO_DBT = "dbt does not work today"
NO_ALERTS = "{db} has no main.churn_alerts; build it with: cva run"
NO_FEATURES = "{db} has no main.customer_features; build it with: dbt run --select "
ROWS = {
    "train": ("train", NO_DBT),
    "run": ("run", NO_DBT),
    "watch --once --raw raw.orders": ("run", NO_DBT),
    "evaluate": ("evaluate", NO_DBT),
    "backfill --from 2023-12-01": ("backfill", NO_DBT),
    "embed": ("embed", NO_DBT),
    "finetune": (
        "finetune",
        "{db} has no table raw.reviews, whose texts the encoder is taught on; ",
    ),
    "finetune --deploy k": (
        "finetune",
        "--deploy k: there is no such encoder; there are: packaged",
    ),
    "score": ("score", NO_FEATURES + "+customer_features"),
    "explain": ("explain", NO_FEATURES + "+customer_features"),
    ADD: ("models add", "absent.onnx cannot be read: No such file or directory"),
    "models deploy v9": ("models deploy", "there is no model v9; there are: baseline-1, encoder"),
    "models rollback": ("models deploy", "there is no model v9; there are: baseline-1, encoder"),
    "recommend": ("recommend", "{db} has no main.customer_value; build it with: cva run"),
    "alerts ack a": ("alerts ack", NO_ALERTS),
    "alerts resolve a": ("alerts resolve", NO_ALERTS),
    "alerts send --to stdout": ("alerts send", NO_ALERTS),
    "load orders {csv}": ("load orders", "raw.orders exists and has 1 rows; add --replace"),
}
# The others: what they do is done by those above, or they write nothing that is a shop's.
BY_OTHERS = {"start", "demo"}
HARMLESS = {
    "audience", "check-features", "init", "doctor", "report", "sql", "export-model", "publish",
}  # fmt: skip
READING = {
    "drift", "models list", "models info", "models compare", "alerts list", "person",
}  # fmt: skip
# What stops it before it begins names a person, and is in no table.
BEFORE_A_ROW = {"forget"}


def names(group: Any, before: str = "") -> Iterator[str]:
    """Every command as it is typed."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from names(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def name_of(call: str) -> str:
    first, *rest = call.split()
    return f"{first} {rest[0]}" if first in ("models", "alerts") else first


def make_shop(folder: Path, name: str = "shop.duckdb") -> ResolvedShop:
    """One with a table of orders that nothing was built of."""
    with duckdb.connect(str(folder / name)) as con:
        con.execute(
            "create schema raw; create table raw.orders as select '1' as order_id,"
            " 'a' as customer_id, 3.0 as amount, timestamp '2024-01-01' as ordered_at"
        )
    return open_shop(folder / name, need=Need.NOTHING)


def call(line: str, shop: ResolvedShop, *options: str) -> None:
    app([*shlex.split(line), "--db", str(shop.db), *options], standalone_mode=False)


@pytest.fixture
def no_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CvaError(NO_DBT)

    monkeypatch.setattr(dbt_runner, "_execute", refuse)


def test_every_command_is_known_here() -> None:
    every = set(names(get_command(app)))
    told = {name_of(line) for line in ROWS}
    assert every == told | BY_OTHERS | HARMLESS | READING | BEFORE_A_ROW
    assert {name_of(line) for line in CLAIMED} <= every


@pytest.mark.parametrize(
    ("line", "which"), [(line, one) for line, folders in CLAIMED.items() for one in folders]
)
@pytest.mark.usefixtures("no_dbt")
def test_a_command_is_refused_the_folder_of_another_database(
    tmp_path: Path, line: str, which: Owned
) -> None:
    first, second = make_shop(tmp_path), make_shop(tmp_path, "other.duckdb")
    claim(first, which)
    before = "v1" if line.startswith("models") else None
    if before:
        deploy(first.models_dir, before)
    with pytest.raises(CvaError, match=r"belongs to shop\.duckdb, not to other") as error:
        call(line, second)
    assert str(which.folder(first)) in str(error.value)
    assert owner_of(which.folder(first)) == "shop.duckdb"
    assert deployed_version(first.models_dir) == before


@pytest.mark.parametrize("line", CLAIMED)
@pytest.mark.usefixtures("no_dbt")
def test_a_command_makes_its_folders_its_databases_before_dbt_begins(
    tmp_path: Path, line: str
) -> None:
    shop = make_shop(tmp_path)
    if MODELS in CLAIMED[line]:
        deploy(shop.models_dir, "v1")
    with suppress(CvaError):
        call(line, shop)
    assert {one: owner_of(one.folder(shop)) for one in CLAIMED[line]} == dict.fromkeys(
        CLAIMED[line], "shop.duckdb"
    )


def test_models_of_another_database_are_not_deployed_before_ones_own_is_there(
    tmp_path: Path,
) -> None:
    first = make_shop(tmp_path)
    claim(first, MODELS)
    deploy(first.models_dir, "v1")
    with pytest.raises(CvaError, match=r"belongs to shop\.duckdb, not to new"):
        call("models deploy rule", open_shop(tmp_path / "new.duckdb", need=Need.NOTHING))
    assert deployed_version(first.models_dir) == "v1"


def last_run(shop: ResolvedShop, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(f"select {columns} from cva_runs order by started_at").fetchall()


@pytest.mark.parametrize("line", ROWS)
@pytest.mark.usefixtures("no_dbt")
def test_a_command_that_fails_leaves_its_row_and_the_reason(tmp_path: Path, line: str) -> None:
    shop = make_shop(tmp_path)
    if line == "models rollback":
        deploy(shop.models_dir, "v9")
        deploy(shop.models_dir, "v1")
    csv = tmp_path / "orders.csv"
    csv.write_text("order_id,customer_id,ordered_at,amount\n1,a,2024-01-01,3\n")
    with pytest.raises(CvaError) as error:
        call(line.format(csv=csv), shop)
    command, reason = ROWS[line]
    assert last_run(shop, "command, outcome, reason") == [(command, "failed", str(error.value))]
    assert str(error.value).startswith(reason.format(db=shop.db))


def too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that nothing can be trained on, without dbt that would find it."""
    history = examples.History(date(2024, 1, 1), date(2024, 1, 2))
    monkeypatch.setattr(examples, "read_history", lambda *_: history)
    monkeypatch.setattr(examples, "read_training_set", lambda *_, **__: None)


def test_the_row_of_a_training_says_its_date_and_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(tmp_path)
    too_short(monkeypatch)
    train_shop(shop)
    columns = "command, outcome, as_of_date, row_count, model_version"
    assert last_run(shop, columns) == [("train", "ok", date(2024, 1, 2), 0, None)]


def test_the_row_of_an_evaluation_says_its_last_date_and_customers_and_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(tmp_path)
    history = examples.History(date(2022, 1, 1), date(2025, 1, 1))
    monkeypatch.setattr(examples, "read_history", lambda *_: history)
    monkeypatch.setattr(texts, "read_texts", lambda *_, **__: None)
    monkeypatch.setattr(examples, "build_examples", lambda *_, **__: None)

    def measured(data: None, plans: Any, replicates: int, report: Any, **_: bool) -> Any:
        report("bootstrapping 1/9 cva")
        return SimpleNamespace(dates=[plan.as_of for plan in plans], customers=(3, 4), own=())

    monkeypatch.setattr(backtesting, "backtest", measured)
    monkeypatch.setattr("cva_sql.cli.evaluate.evaluation.read_groups", lambda *_: {})
    evaluate_shop(shop, [date(2024, 5, 1), date(2024, 8, 1)], 0)
    assert "\n  bootstrapping 1/9 cva\n" in capsys.readouterr().err
    columns = "command, outcome, as_of_date, row_count"
    assert last_run(shop, columns) == [("evaluate", "ok", date(2024, 8, 1), 7)]


TEMPLATE = "{{ run_query('drop schema raw cascade') }}"
AS_VARS = [
    '{"cva_currency": "' + TEMPLATE + '"}',
    '{cva_currency: "' + TEMPLATE + '"}',
    '{"cva_orders_columns": {"amount": "' + TEMPLATE + '"}}',
    '{"cva_families_off": ["{% do x %}"]}',
    '{"{# x #}": 1}',
]


@pytest.fixture
def dbt_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object) -> None:
        pytest.fail("dbt was given a template")

    monkeypatch.setattr(dbt_runner, "_execute", reached)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        *(("run", ("--vars", given)) for given in AS_VARS),
        *((line, ("--vars", AS_VARS[0])) for line in CLAIMED if line in
          ("train", "evaluate", "embed", "check-features")),
        *(
            (line, (option, TEMPLATE))
            for line in ("run", "train")
            for option in ("--status-counts", "--status-cancelled")
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("dbt_is_a_failure")
def test_a_template_in_an_option_does_not_reach_dbt(
    tmp_path: Path, line: str, options: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="which dbt would run"):
        call(line, make_shop(tmp_path), *options)


@pytest.mark.parametrize("option", ["--as-of", "--vars={cva_as_of: %}"])
@pytest.mark.usefixtures("dbt_is_a_failure")
def test_a_template_is_no_date(tmp_path: Path, option: str) -> None:
    name, _, form = option.partition("=")
    text = form.replace("%", '"{{ x }}"') if form else "{{ x }}"
    with pytest.raises(UsageError, match="expected a date"):
        call("run", make_shop(tmp_path), name, text)


@pytest.mark.usefixtures("dbt_is_a_failure")
def test_a_template_in_the_projects_file_does_not_reach_dbt(tmp_path: Path) -> None:
    make_shop(tmp_path)
    init_project(tmp_path, None, None)
    file = tmp_path / "dbt_project.yml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings["vars"]["cva"]["cva_currency"] = TEMPLATE
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    shop = open_shop(project=tmp_path)
    assert shop.project is not None
    with pytest.raises(UsageError, match=r"cva_currency is .* which dbt would run"):
        run_dbt(shop, "build")


@pytest.mark.usefixtures("dbt_is_a_failure")
def test_a_template_in_a_commands_own_var_does_not_reach_dbt(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cva_text_vectors is .* which dbt would run"):
        run_dbt(make_shop(tmp_path), "run", variables={"cva_text_vectors": TEMPLATE})
