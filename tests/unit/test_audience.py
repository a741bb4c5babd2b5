"""`cva audience`: who is in the file, in the importer's columns, and who may read it."""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from cva_sql.cli.audience.formats import (
    FORMATS,
    Sheet,
    first_name,
    google_email,
    last_name,
    meta_phone,
    normal_email,
    normal_phone,
)
from cva_sql.cli.audience.selection import make_audience
from cva_sql.cli.audience.writing import write_sheet
from cva_sql.cli.shop.owner import Owned, claim
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import CvaError


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        (" Ann.Lee@Example.COM ", "ann.lee@example.com"),
        ("ann@lee", None),
        ("ann", None),
        ("", None),
        (None, None),
        ("a@b@c.de", None),
        ("ann@x..de", None),
    ],
)
def test_an_email_is_normal_or_none(given: str | None, normal: str | None) -> None:
    assert normal_email(given) == normal


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("+49 (30) 123-45.67", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("030 1234567", None),
        ("+0 30 1234567", None),
        ("call me", None),
        (None, None),
    ],
)
def test_a_phone_number_has_its_country_or_is_none(given: str | None, normal: str | None) -> None:
    assert normal_phone(given) == normal


def test_google_and_meta_hash_their_own_normal_form() -> None:
    row = {"email": "ann.lee+shop@gmail.com", "phone": "+49301234567"}
    assert google_email(row) == hashed("annlee@gmail.com")
    assert google_email({"email": "ann.lee+shop@x.de"}) == hashed("ann.lee+shop@x.de")
    assert meta_phone(row) == hashed("49301234567")
    assert google_email({"email": None}) is meta_phone({"phone": None}) is None


def test_a_name_is_parted_at_its_first_blank() -> None:
    assert (first_name({"name": " Ann van Lee"}), last_name({"name": "Ann van Lee"})) == (
        "Ann",
        "van Lee",
    )
    assert (first_name({"name": None}), last_name({"name": "Ann"})) == (None, None)


@pytest.mark.parametrize("to", ["csv", "xlsx"])
def test_only_the_owner_may_read_the_file_and_nothing_in_it_is_run(tmp_path: Path, to: str) -> None:
    out = tmp_path / f"a.{to}"
    write_sheet(
        Sheet(("name", "phone", "value"), [["=1+1", "+49301234567", 1.005], [None] * 3]), out, to
    )
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    if to == "csv":
        rows = list(csv.reader(out.open()))
        assert rows == [["name", "phone", "value"], ["'=1+1", "+49301234567", "1.0"], [""] * 3]
    else:
        page = openpyxl.load_workbook(out).active
        assert [cell.value for cell in page[2]] == ["'=1+1", "+49301234567", 1.0]
    assert list(tmp_path.iterdir()) == [out]


@pytest.fixture(scope="module")
def reachable(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample shop, each customer with an e-mail of two spellings and a phone number."""
    db: Path = sample_shop.copy_to(tmp_path_factory.mktemp("reachable") / "shop")
    with duckdb.connect(str(db)) as con:
        con.execute("alter table raw.customers add column email varchar")
        con.execute("alter table raw.customers add column name varchar")
        con.execute(
            "update raw.customers set email = ' ' || upper(customer_id) || '@X.de',"
            " name = 'Ann Lee'"
        ).fetchall()
    return db


def test_an_audience_is_who_consented_and_is_not_suppressed(
    reachable: Path, cva: Any, rows: Any, tmp_path: Path
) -> None:
    consenting = [
        row[0]
        for row in rows(
            reachable,
            "select customer_id from customer_value inner join (select customer_id,"
            " arg_max(marketing_consent, coalesce(valid_from, signed_up_at)) as consent"
            " from main_cva.stg_cva__customers group by 1) using (customer_id)"
            " where value_tier = 'high' and consent order by predicted_value desc, customer_id",
        )
    ]
    no = tmp_path / "no.csv"
    no.write_text(f"email,why\n{consenting[0].upper()}@x.de,asked\n{consenting[1]},asked\n")
    out = tmp_path / "vip.csv"
    call = ["audience", "value_tier = 'high'", "--to", "klaviyo", "--out", out, "--db", reachable]
    done = cva(*call, "--suppress", no, "--json")
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(out.open()))
    assert [row["Email"] for row in found] == [f"{c.lower()}@x.de" for c in consenting[2:]]
    assert list(found[0])[:5] == list(FORMATS["klaviyo"].columns)
    said = json.loads(done.stdout)
    assert said["rows"] == len(found)
    assert said["left_out"]["suppressed"] == 2
    ((high,),) = rows(reachable, "select count(*) from customer_value where value_tier = 'high'")
    assert len(found) + sum(said["left_out"].values()) == high
    # Nothing of it stays beside the shop, and what is there is not replaced unasked.
    assert not (reachable.parent / ".cva" / "audience").exists()
    again = cva(*call)
    assert again.returncode == 2
    assert "exists; name another file, or say --replace" in again.stderr


def test_what_another_shop_published_is_no_audience(tmp_path: Path) -> None:
    shops = []
    for name in ("shop.duckdb", "other.duckdb"):
        duckdb.connect(str(tmp_path / name)).close()
        shops.append(open_shop(tmp_path / name, need=Need.NOTHING))
    claim(shops[0], Owned.PUBLISHED)
    with pytest.raises(CvaError, match=r"belongs to shop\.duckdb, not to other"):
        make_audience(shops[1], "true", "csv")


def test_what_cannot_be_is_one_line(sample_shop: Any, cva: Any, tmp_path: Path) -> None:
    for condition, said in (
        ("nothing > 1", 'Referenced column "nothing" not found'),
        ("(select 1) = 1", "is not one expression over the columns of a row"),
        ("value_tier = 'high'", "no email or phone in customers or orders; load one"),
    ):
        done = cva("audience", condition, "--out", tmp_path / "a.csv", "--db", sample_shop.db)
        assert done.returncode == 2
        assert said in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
