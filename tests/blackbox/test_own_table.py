"""A table of customers without orders: trained, scored in SQL, and what is wrong said in a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.udfs.register import register, unregister

Cva = Callable[..., Any]
ASKED = ("--table", "customers.csv", "--key", "user_id", "--target")
CUSTOMERS = """
with draws as (select i, hash(i * 7 + 1) / 1.8446744e19 as a, hash(i * 11 + 2) / 1.8446744e19 as b,
    hash(i * 13 + 3) / 1.8446744e19 as c from range(1000) as t(i))
select 'u' || i as user_id, (a * 20)::int as click_count,
    case when b < 0.3 then 0 else round(200 * b * c, 2) end as purchase_amount,
    case when i % 50 > 0 then round(1 + 4 * c, 1) end as rating_score,
    round(2 * a * 20 + 8 * c + 10 * b - 5, 1) as value_score,
    date '2024-01-01' + (i % 300)::int as joined, 3 as version, value_score * 2 as twice,
    case when a < 0.5 then 'mail' else 'shop' end as channel, 'note ' || i as remark
from draws
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with duckdb.connect() as con:
        con.execute(f"copy ({CUSTOMERS}) to '{tmp_path / 'customers.csv'}' (header)")
    return tmp_path


def test_five_columns_are_learned_and_scored_in_sql(folder: Path, cva: Cva) -> None:
    done = cva("train", *ASKED, "value_score", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["loss"] == "squared error"  # some scores are below 0
    assert found["function"] == "cva_predict_customers"
    assert "as there is no --time" in found["tested"]
    assert set(found["scores"]) == {"ensemble", "linear", "mean"}
    assert found["scores"]["linear"]["r2"] > 0.9 > 0.1 > found["scores"]["mean"]["r2"]
    assert found["scores"]["ensemble"]["mae"] < found["scores"]["mean"]["mae"]
    told = "\n".join(found["notes"])
    for line in (
        "joined is DATE and left out",
        "version is left out: it is constant",
        "twice is left out: it is the target itself",
        "remark is left out: it has 1,000 different texts",
    ):
        assert line in told
    again = json.loads(cva("train", *ASKED, "value_score", "--json", cwd=folder).stdout)
    assert again["version"] == found["version"]
    with duckdb.connect() as con:
        register(con, models_dir=folder / "cva_models")
        rows = con.execute(
            "select value_score, cva_predict_customers(t).prediction, "
            f"cva_predict_customers(t).model_version from '{folder / 'customers.csv'}' as t"
        ).fetchall()
        unregister(con)
    actual, predicted = np.array([row[:2] for row in rows], dtype=float).T
    assert np.corrcoef(actual, predicted)[0, 1] > 0.95
    assert {row[2] for row in rows} == {found["version"]}
    printed = cva("score", "--table", "customers.csv", cwd=folder)
    assert printed.returncode == 0, printed.stderr
    first = next(csv.DictReader(io.StringIO(printed.stdout)))
    assert float(first["prediction"]) == pytest.approx(predicted[0])


def test_spend_with_zeros_is_learned_by_tweedie_and_forward_in_time(folder: Path, cva: Cva) -> None:
    asked = ("purchase_amount", "--time", "joined", "--name", "amount", "--json")
    found = json.loads(cva("train", *ASKED, *asked, cwd=folder).stdout)
    assert found["loss"] == "tweedie deviance"
    assert found["tested"].startswith("forward in time, on rows from 2024-05-")
    assert found["function"] == "cva_predict_amount"
    assert 480 < found["rows"] <= 500  # days stay whole
    printed = cva("score", "--table", "customers.csv", "--name", "amount", cwd=folder).stdout
    told = [float(row["prediction"]) for row in csv.DictReader(io.StringIO(printed))]
    assert min(told) >= 0


def test_a_time_before_which_nobody_bought_is_learned_all_the_same(
    tmp_path: Path, cva: Cva
) -> None:
    rows = [f"u{n},2024-01-{n // 10 + 1:02},{max(0, n - 100)},{n % 7}" for n in range(200)]
    head = "user_id,joined,purchase_amount,click_count"
    (tmp_path / "late.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    asked = ("--table", "late.csv", "--key", "user_id", "--target", "purchase_amount")
    done = cva("train", *asked, "--time", "joined", cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert "ValueError" not in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("no_such",), "--target no_such: customers.csv has user_id, click_count"),
        (("channel",), "--target channel is VARCHAR; expected a column of numbers"),
        (("user_id",), "--key, --target and --time have to be columns apart"),
        (("version",), "version is 3 in every row: nothing to learn"),
        (("value_score", "--time", "channel"), "--time channel is VARCHAR; expected dates"),
        (("value_score", "--name", "changed"), "--name changed: expected a-z, 0-9 and _"),
        (("value_score", "--key", "channel"), "customers.csv has 2 values of channel in several"),
    ],
)
def test_what_cannot_be_learned_is_one_line(
    folder: Path, cva: Cva, arguments: tuple[str, ...], line: str
) -> None:
    done = cva("train", *ASKED, *arguments, cwd=folder)
    assert done.returncode != 0
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "cva_models" / "deployed.json").exists()


def test_few_rows_and_absent_files_are_one_line(folder: Path, cva: Cva) -> None:
    head = (folder / "customers.csv").read_text(encoding="utf-8").splitlines()[:20]
    (folder / "few.csv").write_text("\n".join(head) + "\n", encoding="utf-8")
    few = cva(
        "train", "--table", "few.csv", "--key", "user_id", "--target", "value_score", cwd=folder
    )
    assert "few.csv has 19 usable rows; 50 or more are needed" in few.stderr
    absent = cva("train", "--table", "gone.csv", "--key", "k", "--target", "y", cwd=folder)
    assert "--table gone.csv: there is no such file" in absent.stderr
    untrained = cva("score", "--table", "customers.csv", cwd=folder)
    assert "--name customers: no such model is deployed (there are: none)" in untrained.stderr
    alone = cva("train", "--table", "customers.csv", cwd=folder)
    assert "--table needs --key and --target" in alone.stderr
