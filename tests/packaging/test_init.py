"""`cva init`: a project that runs on any machine, and nothing of the user's is overwritten."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]

from cva_sql.cli.demo.sample_shop import write_shop
from cva_sql.cli.init.project import COPY, default_vars, init_project
from cva_sql.cli.load.table import load_table
from cva_sql.cli.shop.own_project import find_project, read_project
from cva_sql.cli.shop.package import macro_value, project_dir
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.register import package_version

ROOT = Path(__file__).parents[2]

# Another shop's names for the sample shop's tables.
RENAME = """
create schema erp;
create table erp.sales as select order_id as doc_no, customer_id as client, ordered_at as booked,
    amount - 1 as net, 1 as tax, status as state, status_changed_at as state_at from raw.orders;
create table erp.people as select customer_id as client, signed_up_at as since from raw.customers;
drop schema raw cascade
"""
VARS = """
    cva_raw_schema: erp
    cva_orders_identifier: sales
    cva_orders_columns:
      order_id: doc_no
      customer_id: client
      ordered_at: booked
      amount: net + tax
      status: state
      status_changed_at: state_at
    cva_customers_identifier: people
    cva_customers_columns: {customer_id: client, signed_up_at: since}
"""


@pytest.fixture(autouse=True)
def no_profiles_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for name in ("DBT_PROFILES_DIR", "DBT_PROFILE", "DBT_TARGET", "CVA_DB"):
        monkeypatch.delenv(name, raising=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def statuses(db: Path) -> dict[str, int]:
    query = "select score_status, count(*) from customer_value group by 1"
    with duckdb.connect(str(db), read_only=True) as con:
        return dict(con.execute(query).fetchall())


def test_a_project_from_the_wheel_scores_foreign_tables_untrained_and_then_trained(
    installed: Any, tmp_path: Path
) -> None:
    db = tmp_path / "warehouse.duckdb"
    write_shop(tmp_path / "files", customers=400)
    for table in ("orders", "customers"):
        load_table(table, [tmp_path / "files" / f"{table}.csv"], db=db)
    with duckdb.connect(str(db)) as con:
        con.execute(RENAME)
    cva, shop = str(installed.python.parent / "cva"), tmp_path / "s"

    def run(*arguments: str, cwd: Path = shop) -> str:
        done = installed.run(*arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    run(cva, "init", "s", "--db", "warehouse.duckdb", cwd=tmp_path)
    settings = (shop / "dbt_project.yml").read_text().split("    cva_raw_schema: raw")
    (shop / "dbt_project.yml").write_text(settings[0] + VARS.strip("\n") + "  #" + settings[1])
    run("-m", "dbt.cli.main", "deps")
    assert "Deprecat" not in run("-m", "dbt.cli.main", "run")
    assert statuses(db) == {"untrained": 400}
    assert "deployed 20260101-h90" in run(cva, "train")
    run("-m", "dbt.cli.main", "run")
    assert set(statuses(db)) == {"ok", "cold_start"}
    assert sum(statuses(db).values()) == 400


def test_a_new_project_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    done = init_project(tmp_path / "shop", tmp_path / "data" / "it's.duckdb")
    assert [line.split()[0] for line in done.lines] == ["written"] * 6
    assert done.to_add == []
    files = contents(tmp_path / "shop")
    assert [name for name, text in files.items() if os.fsencode(tmp_path) in text] == []
    assert find_project(tmp_path / "shop") == tmp_path / "shop"
    assert read_project(tmp_path / "shop").db == tmp_path / "data" / "it's.duckdb"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Shop-2", "my_shop_2"), ("2025", "shop_2025"), ("cva", "cva_shop"), ("店", "shop")],
)
def test_the_project_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    init_project(tmp_path / folder)
    project = yaml.safe_load((tmp_path / folder / "dbt_project.yml").read_text(encoding="utf-8"))
    profiles = yaml.safe_load((tmp_path / folder / "profiles.yml").read_text(encoding="utf-8"))
    assert (project["name"], project["profile"], list(profiles)) == (name, name, [name])


def test_a_second_call_keeps_what_the_user_changed_and_refreshes_the_package(
    tmp_path: Path,
) -> None:
    init_project(tmp_path)
    fresh = contents(tmp_path)
    own = ["dbt_project.yml", "profiles.yml", "packages.yml", ".gitignore"]
    for name in own:
        with (tmp_path / name).open("a") as file:
            file.write("# mine\n")
    (tmp_path / "models" / "example_feature.sql").unlink()  # not wanted
    mine = {name: (tmp_path / name).read_bytes() for name in own}
    (tmp_path / COPY / "macros" / "rules.sql").write_text("old")
    (tmp_path / COPY / "models" / "staging" / "gone_by_now.sql").write_text("select 1")
    done = init_project(tmp_path)
    assert [line.split()[0] for line in done.lines] == ["kept"] * 3 + ["refreshed", "kept"]
    after = contents(tmp_path)
    expected = {**fresh, **mine}
    del expected["models/example_feature.sql"]
    assert after == expected


def test_the_copy_is_the_package_without_what_is_of_no_use_in_it(tmp_path: Path) -> None:
    init_project(tmp_path)
    copy = contents(tmp_path / COPY)
    settings = yaml.safe_load(copy.pop("dbt_project.yml"))
    packaged = yaml.safe_load((project_dir() / "dbt_project.yml").read_text(encoding="utf-8"))
    assert {*packaged} - {*settings} == {"target-path", "log-path", "profile"}
    assert settings.items() <= packaged.items()
    folders = ("macros", "models", "tests")
    sources = {name: contents(project_dir() / name) for name in folders}
    assert copy == {f"{d}/{name}": text for d in folders for name, text in sources[d].items()}


OWN_PROJECT = "name: acme\nprofile: warehouse\nmodel-paths: [sql]\n"
PROFILE = "warehouse:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: dwh.duckdb}\n"
PACKAGES = "# ours\npackages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0"


def test_a_project_of_the_users_is_completed_without_a_change_to_its_text(tmp_path: Path) -> None:
    before = {
        "dbt_project.yml": OWN_PROJECT,
        "profiles.yml": PROFILE,
        "packages.yml": PACKAGES,
        ".gitignore": "target\n*.duckdb",
    }
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    done = init_project(tmp_path)
    assert (tmp_path / "dbt_project.yml").read_text() == OWN_PROJECT
    assert (tmp_path / "profiles.yml").read_text() == PROFILE
    assert (tmp_path / "packages.yml").read_text() == f"{PACKAGES}\n  - local: {COPY}\n"
    assert (tmp_path / ".gitignore").read_text().startswith(before[".gitignore"] + "\nlogs/\n")
    assert (tmp_path / "sql" / "example_feature.sql").is_file()
    (asked,) = done.to_add
    assert "profile warehouse, target dev" in asked
    assert "module: cva_sql.udfs.plugin" in asked


def test_a_list_that_cannot_be_added_to_safely_is_left_to_the_user(tmp_path: Path) -> None:
    text = "packages: [{package: dbt-labs/dbt_utils, version: 1.3.0}]\n"
    (tmp_path / "packages.yml").write_text(text)
    done = init_project(tmp_path)
    assert (tmp_path / "packages.yml").read_text() == text
    assert done.to_add == [f"add to packages.yml, under packages:\n    - local: {COPY}"]


def test_packages_listed_in_dependencies_yml_are_added_to_there(tmp_path: Path) -> None:
    text = "packages:\n- package: dbt-labs/dbt_utils\n  version: 1.3.0\n"
    (tmp_path / "dependencies.yml").write_text(text)
    init_project(tmp_path)
    assert (tmp_path / "dependencies.yml").read_text() == f"{text}- local: {COPY}\n"
    assert not (tmp_path / "packages.yml").exists()


def test_a_profile_that_everyone_shares_is_not_shadowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".dbt").mkdir(parents=True)
    (home / ".dbt" / "profiles.yml").write_text(PROFILE)
    monkeypatch.setenv("HOME", str(home))
    project = tmp_path / "acme"
    project.mkdir()
    (project / "dbt_project.yml").write_text(OWN_PROJECT)
    done = init_project(project)
    assert not (project / "profiles.yml").exists()
    assert (home / ".dbt" / "profiles.yml").read_text() == PROFILE
    assert len(done.to_add) == 1
    assert read_project(project).db == project / "dwh.duckdb"


def test_what_is_in_the_way_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "shop" / COPY).mkdir(parents=True)
    with pytest.raises(UsageError, match="is a file; expected a folder"):
        init_project(tmp_path / "file")
    with pytest.raises(CvaError, match="is not a copy of cva's dbt package; move it"):
        init_project(tmp_path / "shop")
    with pytest.raises(UsageError, match="is cva's own dbt project"):
        init_project(project_dir())


def test_the_commented_vars_are_the_packages_defaults() -> None:
    text = re.sub(r"^ *# ", "", default_vars(), flags=re.MULTILINE)
    offered = yaml.safe_load(text)
    packaged = yaml.safe_load((project_dir() / "dbt_project.yml").read_text(encoding="utf-8"))
    mapped = {n: v for n, v in offered.items() if n.endswith(("_identifier", "_columns"))}
    others = {n: v for n, v in offered.items() if n not in mapped}
    assert others.items() <= packaged["vars"].items()
    assert {"cva_timezone", "cva_value", "cva_eligible_customers"} <= set(others)
    assert mapped["cva_orders_identifier"] == "orders"
    assert all(k == v for n, c in mapped.items() if n.endswith("s_columns") for k, v in c.items())


def test_package_and_python_have_one_version() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    settings = yaml.safe_load((project_dir() / "dbt_project.yml").read_text(encoding="utf-8"))
    assert settings["version"] == version
    assert macro_value("version.sql", "package_version") == version
    assert package_version() == version
