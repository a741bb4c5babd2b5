"""In a dbt project of the user's: their profile, vars, names and features, and nothing collides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]

from cva_sql.cli.init.project import COPY, init_project
from cva_sql.cli.shop.own_project import read_project
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.udfs.errors import CvaError, UsageError

PROFILE = """warehouse:
  target: "{{ env_var('WAREHOUSE_TARGET', 'prod') }}"
  outputs:
    prod:
      type: duckdb
      path: "{{ env_var('WAREHOUSE') }}"
      schema: analytics
      threads: 2
      settings: {TimeZone: "{{ env_var('WAREHOUSE_ZONE', 'Asia/Tokyo') }}"}
      plugins: [{module: cva_sql.udfs.plugin, config: {models_dir: trained}}]
    broken: {type: postgres, host: localhost}
"""
WEEKENDS = """
select spine.customer_id, spine.as_of_date,
    avg(case when isodow(orders.order_date) >= 6 then 1 else 0 end) as weekend_order_rate,
    min(orders.channel) as first_channel
from {{ ref('cva', 'int_cva__spine') }} as spine
inner join {{ ref('cva', 'int_cva__orders_valid') }} as orders
    on spine.customer_id = orders.customer_id and orders.order_date < spine.as_of_date
group by all
"""
# Looks at every order and every ticket there will ever be.
CRYSTAL_BALL = """
select spine.customer_id, spine.as_of_date, count(distinct orders.order_id) as orders_ever,
    count(distinct tickets.opened_at) as tickets_ever
from {{ ref('cva', 'int_cva__spine') }} as spine
left join {{ ref('cva', 'int_cva__orders_valid') }} as orders
    on spine.customer_id = orders.customer_id
left join {{ source('helpdesk', 'tickets') }} as tickets on spine.customer_id = tickets.customer_id
where current_date > date '2000-01-01'
group by all
"""
ABSURD = "select 'nobody' as order_id, 'nothing' as customer_id, -1 as amount"
MODELS = {
    "stg_orders.sql": ABSURD,
    "customers.sql": "{{ config(materialized='table') }} " + ABSURD,
    "orders_valid.sql": "{{ config(schema='stg_orders') }} " + ABSURD,
    "weekends.sql": WEEKENDS,
    "crystal_ball.sql": CRYSTAL_BALL,
    "sources.yml": "sources: [{name: helpdesk, tables: [{name: tickets}]}]",
    # Theirs, failing, and none of our business; but that weekends is for readers too.
    "theirs.yml": "models: [{name: customers, columns: [{name: amount, data_tests: "
    "[{accepted_values: {arguments: {values: [1]}}}]}]}, "
    "{name: weekends, config: {meta: {cva: {published: true}}}}]",
}
LINES = [
    {"name": "weekend_order_rate", "model": "weekends"},
    {"name": "first_channel", "model": "weekends", "kind": "category", "unit": "channel"},
]
LEAKING = [
    *LINES,
    {"name": "orders_ever", "model": "crystal_ball"},
    {"name": "tickets_ever", "model": "crystal_ball"},
]
SHOP = """
create schema customers;
create table customers.orders_valid as select 'theirs' as whose;
create schema helpdesk;
create table helpdesk.tickets as select customer_id, ordered_at + interval 2 day as opened_at
    from raw.orders where hash(order_id) % 3 = 0;
create schema erp;
alter table raw.orders rename to sales;
create table erp.sales as select * rename (amount as net) from raw.sales;
create table erp.customers as from raw.customers;
drop schema raw cascade;
drop schema main_cva cascade;
"""
Results = dict[str, subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Project:
    """A user's project, what our commands said in it, and its database."""

    root: Path
    db: Path
    call: Callable[..., subprocess.CompletedProcess[str]]
    results: Results

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.db), read_only=True) as con:
            return con.execute(query).fetchall()


def write_project(root: Path) -> None:
    (root / "models").mkdir(parents=True)
    for name, text in MODELS.items():
        (root / "models" / name).write_text(text)
    settings = {
        "name": "acme",
        "profile": "warehouse",
        "vars": {
            "cva_raw_schema": "nowhere",  # what stands under `cva` comes first
            "cva": {
                "cva_raw_schema": "erp",
                "cva_orders_identifier": "sales",
                "cva_orders_columns": {"amount": "net"},
                "cva_families_off": ["reviews", "baskets", "returns"],
                "cva_horizon_days": 60,
                "cva_feature_catalog_extra": LINES,
            },
        },
    }
    (root / "dbt_project.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (root / "profiles.yml").write_text(PROFILE)
    assert init_project(root).to_add == []


@pytest.fixture(scope="module")
def project(sample_shop: Any, cva: Any, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("own")
    root, db = folder / "acme", sample_shop.copy_to(folder / "data")
    with duckdb.connect(str(db)) as con:
        con.execute(SHOP)
    write_project(root)
    place = str(Path("..", "data", db.name))
    environment = {**os.environ, "WAREHOUSE": place, "DBT_WRITE_JSON": "true"}

    def call(
        *arguments: object, cwd: Path = root, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        done = cva(*arguments, cwd=cwd, env={**environment, **changes})
        assert isinstance(done, subprocess.CompletedProcess)
        return done

    def dbt(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", *arguments],
            cwd=root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    results = {
        "deps": dbt("deps"),
        "dbt": dbt("run"),
        "train": call("train"),
        "run": call("run", "--json"),
    }
    assert [done.returncode for done in results.values()] == [0] * 4, [
        done.stdout + done.stderr for done in results.values()
    ]
    return Project(root, db, call, results)


def test_the_commands_run_the_folders_project_and_say_so(project: Project) -> None:
    said = project.results["train"].stderr.splitlines()[0]
    assert "dbt project acme: profile warehouse, target prod, schema analytics" in said
    assert project.results["train"].stdout.splitlines()[-1] == "next: cva run"
    assert json.loads(project.results["run"].stdout)["customers"] > 700
    assert project.rows("select distinct horizon_days from analytics.customer_value") == [(60,)]


def test_what_says_published_is_published_theirs_too(project: Project) -> None:
    published = json.loads(project.results["run"].stdout)["published"]
    with duckdb.connect(str(project.root / published), read_only=True) as con:
        tables = {name for (name,) in con.execute("show tables").fetchall()}
        assert con.execute("select count(*) > 700 from weekends").fetchall() == [(True,)]
        assert con.execute(
            "select customers_count > 700 from cva_totals(predicted_value is not null)"
        ).fetchall() == [(True,)]
    assert tables == {
        "channel_economics", "churn_alerts", "cohort_economics", "cohort_retention",
        "customer_economics", "customer_features", "customer_segments", "customer_value",
        "customer_value_explain", "customer_value_history", "customer_value_path",
        "cva_drift", "cva_feature_catalog", "cva_feature_importance", "cva_live_performance",
        "cva_rejects", "cva_text_statuses",
        "next_actions", "segment_value_path", "weekends",
    }  # fmt: skip


def test_models_go_where_the_profiles_plugin_looks_for_them(project: Project) -> None:
    assert (project.root / "trained" / "deployed.json").is_file()
    statuses = project.rows("select distinct score_status from analytics.customer_value order by 1")
    assert statuses == [("cold_start",), ("ok",)]


def test_historic_value_is_that_of_the_raw_orders_whatever_the_users_models_are_called(
    project: Project,
) -> None:
    valid = project.rows("""
        select sum(amount) from (
            select arg_min(try_cast(net as decimal(18, 4)), ordered_at) as amount
            from erp.sales
            where net > 0 and ordered_at < '2026-01-01' and trim(customer_id) <> ''
                and coalesce(status, '') <> 'cancelled'
                and coalesce(currency, '') in ('', (select mode(currency) from erp.sales))
            group by order_id
        )""")
    assert project.rows("select sum(historic_value) from analytics.customer_value") == valid


def test_what_is_the_users_stays_the_users(project: Project) -> None:
    absurd = [("nobody", "nothing", -1)]
    assert project.rows("from analytics.stg_orders") == absurd
    assert project.rows("from analytics.customers") == absurd
    assert project.rows("from analytics_stg_orders.orders_valid") == absurd
    assert project.rows("from customers.orders_valid") == [("theirs",)]


def test_own_features_enter_training_and_scoring(project: Project) -> None:
    (manifest,) = (project.root / "trained" / "value").glob("*/manifest.json")
    weighed = json.loads(manifest.read_text(encoding="utf-8"))["training"]["families"]
    assert "own" in [weight["family"] for weight in weighed]
    for name in ("weekend_order_rate", "first_channel"):
        trained = f"select count(distinct {name}) > 1 from cva_train.cva_training_examples"
        assert project.rows(trained) == [(True,)]
        assert project.rows(f"select count({name}) > 500 from analytics.customer_features") == [
            (True,)
        ]
    line = project.rows(
        "select family, kind, unit, direction, label, is_model_input "
        "from analytics_cva.cva_feature_catalog where feature = 'weekend_order_rate'"
    )
    assert line == [("own", "number", "", 0, "weekend_order_rate", True)]


def test_the_users_settings_are_kept_and_no_secret_is_written_out(project: Project) -> None:
    written = (project.db.parent / ".cva" / "profiles.yml").read_text(encoding="utf-8")
    output = yaml.safe_load(written)["warehouse"]["outputs"]["prod"]
    assert output["threads"] == 2
    assert output["settings"]["TimeZone"].startswith("{{ env_var(")


def test_only_the_package_and_what_it_needs_is_built_and_tested(project: Project) -> None:
    file = project.db.parent / ".cva" / "target" / "run_results.json"
    built = [r["unique_id"] for r in json.loads(file.read_text(encoding="utf-8"))["results"]]
    assert "model.acme.weekends" in built
    theirs = {n for n in built if ".acme." in n and n != "model.acme.weekends"}
    assert theirs == set()
    assert [name for name in built if name.startswith("unit_test.")] == []
    assert len([name for name in built if name.startswith("test.cva.")]) > 5


def test_the_doctor_goes_by_the_rules_that_the_project_overrides(project: Project) -> None:
    macro = project.root / "macros" / "rules.sql"
    macro.parent.mkdir(exist_ok=True)
    macro.write_text(
        "{% macro default__is_cancelled() %}coalesce(status = 'completed', false){% endmacro %}"
    )
    done = project.call("doctor", "--vars", "{cva_margin: 0.5}", "--json")
    macro.unlink()
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)["findings"]
    assert not found["are_rejects_of_last_build"]
    (orders,) = [table for table in found["tables"] if table["name"] == "orders"]
    completed = project.rows("select count(*) from erp.sales where status = 'completed'")[0][0]
    assert 0.9 * completed < orders["rejects"]["cancelled"] <= completed
    assert sorted(found["doubtful_statuses"]) == ["cancelled"]


def test_features_that_look_into_the_future_are_named_and_nothing_is_left(
    project: Project,
) -> None:
    schemas = "select schema_name, count(*) from duckdb_tables() group by 1 order by 1"
    before, files = project.rows(schemas), sorted(project.db.parent.rglob("*.duckdb"))
    leaking = json.dumps({"cva_feature_catalog_extra": LEAKING})
    done = project.call("check-features", "--vars", leaking, "--as-of", "2025-06-01")
    assert done.returncode == 1, done.stderr
    found = [line for line in done.stdout.splitlines() if "looks into the future: " in line]
    assert [line.split(" (model crystal_ball)")[0] for line in found] == [
        "orders_ever",
        "tickets_ever",
    ]
    assert all("e.g. C0" in line for line in found)
    assert "model crystal_ball asks for today (current_date)" in done.stdout
    assert project.rows(schemas) == before
    assert sorted(project.db.parent.rglob("*.duckdb")) == files


def test_another_version_of_the_package_is_one_line_with_the_command_that_mends_it(
    project: Project,
) -> None:
    file = project.root / COPY / "macros" / "version.sql"
    text = file.read_text()
    file.write_text(text.replace("0.1.0", "0.0.9"))
    done = project.call("run")
    file.write_text(text)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("cva: ")]
    assert error.startswith(
        "cva: cva_package is 0.0.9, the installed cva is 0.1.0; refresh it with: cva init . (dbt's"
    )


def test_schemas_that_ignore_the_target_are_refused_before_anything_is_built(
    project: Project,
) -> None:
    before = project.rows("select max(scored_at) from analytics.customer_value")
    macro = project.root / "macros" / "schemas.sql"
    macro.parent.mkdir(exist_ok=True)
    macro.write_text(
        "{% macro generate_schema_name(custom, node) %}{{ custom or 'analytics' }}{% endmacro %}"
    )
    done = project.call("evaluate", "--as-of", "2025-06-01")
    macro.unlink()
    assert done.returncode == 1
    assert "let your macro generate_schema_name begin each name with target.schema" in done.stderr
    assert project.rows("select max(scored_at) from analytics.customer_value") == before


def test_a_database_that_is_named_is_run_by_the_packaged_project(
    project: Project, sample_shop: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(project.root)
    shop = open_shop(sample_shop.db)
    assert (shop.project, shop.schema) == (None, "main")
    assert "the packaged dbt project is used, not the one in this folder" in capfd.readouterr().err
    with pytest.raises(UsageError, match="name two shops"):
        open_shop(sample_shop.db, project=project.root)


def test_a_project_is_found_from_elsewhere(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAREHOUSE", f"../data/{project.db.name}")
    shop = open_shop(None, project=project.root, variables="{cva_currency: EUR}")
    assert shop.db == project.db
    assert shop.models_dir == project.root / "trained"
    assert shop.vars["cva_raw_schema"] == "erp"
    assert shop.vars["cva_currency"] == "EUR"
    assert shop.command("run") == f"cva run --project {project.root}"
    with pytest.raises(UsageError, match="complete it with: cva init"):
        open_shop(None, project=tmp_path)


def test_every_command_that_reads_takes_the_project_too(project: Project, tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        named = ("--project", project.root)
        done = project.call(*arguments, *named, cwd=tmp_path, WAREHOUSE=str(project.db))
        return done.stdout

    query = "select count(*) > 0 as n from analytics.customer_value"
    assert json.loads(call("sql", query, "--json")) == [{"n": True}]
    report = json.loads(call("doctor", "--json"))
    assert Path(report["database"]).resolve() == project.db.resolve()
    models = json.loads(call("models", "list", "--json"))
    assert [model["is_deployed"] for model in models["value"]] == [True, False]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "needs the environment variable WAREHOUSE, which is not set"),
        ({"WAREHOUSE": ":memory:"}, "cva's commands need a DuckDB file"),
        ({"WAREHOUSE": "x.duckdb", "WAREHOUSE_TARGET": "broken"}, "is of type postgres"),
        ({"WAREHOUSE": "x.duckdb", "DBT_TARGET": "other"}, "has no target 'other'"),
        ({"WAREHOUSE": "x.duckdb", "DBT_PROFILE": "other"}, "complete the project with: cva init"),
    ],
)
def test_a_profile_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    write_project(tmp_path / "acme")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CvaError, match=message) as caught:
        read_project(tmp_path / "acme")
    assert "\n" not in str(caught.value)
