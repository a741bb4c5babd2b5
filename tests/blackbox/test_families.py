"""A family that earns its weight arrives in scores, reasons and tables; one that is off in none."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import Trained, train_shop

CUSTOMERS, DAYS = 700, 720
START = datetime(2023, 1, 1)
FILES = ("model.onnx", "members.onnx")
WEIGHING = "  weighing attributes on "


def write_files(folder: Path) -> None:
    """Who is of country AA orders again and again, who is of BB once: the first order hides it."""
    random = np.random.default_rng(3)
    folder.mkdir()
    orders, customers = [], []
    for number in range(CUSTOMERS):
        first = random.uniform(0, DAYS)
        is_loyal = number % 2 == 0
        days = [first, *(first + np.cumsum(random.exponential(50, 40)) if is_loyal else ())]
        for day in (day for day in days if day < DAYS):
            at = START + timedelta(days=float(day))
            amount = f"{20 + random.exponential(30):.2f}"
            orders.append((f"o{len(orders)}", f"c{number}", at.isoformat(" ", "seconds"), amount))
        signed_up = (START + timedelta(days=float(first))).isoformat(" ", "seconds")
        customers.append((f"c{number}", signed_up, "AA" if is_loyal else "BB"))
    for name, header, rows in (
        ("orders", ("order_id", "customer_id", "ordered_at", "amount"), orders),
        ("customers", ("customer_id", "signed_up_at", "country"), customers),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `orders.duckdb`, of orders alone, and `both.duckdb`."""
    made = tmp_path_factory.mktemp("families")
    write_files(made / "files")
    for name, tables in (("orders", ["orders"]), ("both", ["orders", "customers"])):
        (made / name).mkdir()
        for table in tables:
            load_table(table, [made / "files" / f"{table}.csv"], db=made / name / "shop.duckdb")
    return made


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[Path, Trained]:
    """The shop with both tables, trained and run."""
    db = folder / "both" / "shop.duckdb"
    trained = train_shop(open_shop(db))
    run_shop(open_shop(db))
    return db, trained


def model_of(db: Path, trained: Trained) -> Path:
    return db.parent / "cva_models" / "value" / str(trained.version)


def test_what_a_family_counts_is_printed_kept_and_in_the_file(
    both: tuple[Path, Trained], rows: Any
) -> None:
    db, trained = both
    (family,) = trained.to_dict()["families"]
    assert family["family"] == "attributes"
    assert family["scale"] > 0
    assert family["lower"] > 0
    lines = describe(trained, open_shop(db)).splitlines()
    (line,) = [line for line in lines if line.startswith("family ")]
    assert line.startswith(f"family attributes: scale {family['scale']:.1f}; adds +")
    manifest = json.loads((model_of(db, trained) / "manifest.json").read_text())
    assert manifest["training"]["families"] == [family]
    assert "country" in {feature["name"] for feature in manifest["features"]}
    kept = rows(
        db, "select name, value from cva_training_runs where kind = 'family' and value > -9"
    )
    assert dict(kept) == {name: family[name] for name in ("scale", "gain", "lower", "upper")}


def test_a_run_scores_and_explains_by_the_family(
    both: tuple[Path, Trained], rows: Any, cva: Any
) -> None:
    db, _ = both
    (found,) = rows(
        db,
        "select bool_and(p10 <= p50 and p50 <= p90), max(abs(value - probability * if_purchase)) "
        "from (select predicted_value_p10 as p10, predicted_value_p50 as p50, "
        "predicted_value_p90 as p90, predicted_value as value, purchase_probability as probability,"
        " predicted_value / purchase_probability as if_purchase from customer_value)",
    )
    assert found[0]
    # Of those who ordered once, lately, the country alone tells who comes back.
    means = rows(
        db,
        "select country, avg(predicted_value) from customer_value join customer_features "
        "using (customer_id) where orders_count = 1 and t_days < 40 group by 1 order by 1",
    )
    assert [name for name, _ in means] == ["AA", "BB"]
    assert means[0][1] > 1.2 * means[1][1]
    query = "select customer_id from customer_value order by predicted_value desc limit 1"
    ((customer,),) = rows(db, query)
    done = cva("explain", customer, "--db", db, "--members", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    logs = [one["weight"] * math.log(one["predicted_value"]) for one in told["members"]]
    expected = told["figures"]["predicted_value"]
    assert math.exp(math.fsum(logs)) == pytest.approx(expected, rel=1e-9)


def test_a_value_that_the_model_does_not_tell_apart_is_said(
    both: tuple[Path, Trained], cva: Any
) -> None:
    told = [
        cva("explain", "c1", "--db", both[0], "--set", f"country={value}").stdout
        for value in ("XX", "nan", "AA", "null")
    ]
    said = "country is none of those the model tells apart: AA, BB"
    assert [said in text for text in told] == [True, True, False, False]


@pytest.mark.parametrize("var", ["cva_features_off", "cva_families_off"])
def test_with_optional_families_off_the_files_are_those_of_orders_alone(
    folder: Path, both: tuple[Path, Trained], tmp_path: Path, var: str
) -> None:
    alone = folder / "orders" / "shop.duckdb"
    if not (alone.parent / "cva_models").exists():
        train_shop(open_shop(alone))
    (expected,) = (alone.parent / "cva_models" / "value").iterdir()
    shutil.copy(both[0], tmp_path / "shop.duckdb")
    shop = open_shop(tmp_path / "shop.duckdb", variables={var: ["attributes"]})
    trained = train_shop(shop)
    assert "families" not in trained.to_dict()
    for name in FILES:
        assert (model_of(shop.db, trained) / name).read_bytes() == (expected / name).read_bytes()


def test_killed_while_families_are_weighed_a_second_training_gives_the_same_bytes(
    both: tuple[Path, Trained], tmp_path: Path
) -> None:
    db, trained = both
    shutil.copy(db, tmp_path / "shop.duckdb")
    command = [sys.executable, "-m", "cva_sql.cli.app", "train", "--db", tmp_path / "shop.duckdb"]
    process = subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "CVA_TESTS_COLD": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(WEIGHING):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(timeout=60) == -signal.SIGKILL
    models = tmp_path / "cva_models" / "value"
    assert not models.exists() or not list(models.iterdir())
    again = train_shop(open_shop(tmp_path / "shop.duckdb"))
    assert again.version == trained.version
    for name in (*FILES, "manifest.json"):
        one, other = (model_of(at, trained) / name for at in (db, tmp_path / "shop.duckdb"))
        assert one.read_bytes() == other.read_bytes()
