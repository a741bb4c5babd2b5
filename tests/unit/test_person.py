"""`cva person` shows everything that is kept of one person, and nothing of anybody else."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cva_sql import Shop, UsageError
from cva_sql.cli.person.reading import Person, read_person
from cva_sql.cli.person.report import as_text
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from tests.people import OTHER, PERSON, make_shop, write_old_manifest

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    return make_shop(tmp_path_factory.mktemp("person") / "shop")


def counts(person: Person) -> dict[str, tuple[str, int]]:
    return {kept.table: (kept.of, len(kept.rows)) for kept in person.tables}


def test_every_table_with_something_of_them_is_shown(shop: ResolvedShop) -> None:
    person = read_person(shop, PERSON)
    assert counts(person) == {
        "raw.orders": ("raw", 3),
        "raw.order_items": ("raw", 2),  # not those of an order_id that another has too
        "raw.customers": ("raw", 1),
        "raw.reviews": ("raw", 3),  # one names an order of theirs alone
        "cva_train.cva_training_examples": ("cva", 1),
        "main.churn_alerts": ("cva", 1),
        "main.customer_features": ("cva", 1),
        "main.customer_value": ("cva", 1),
        "main.cva_alert_acks": ("cva", 1),
        "main.cva_training_runs": ("cva", 1),
        "main_cva.int_cva__text_vectors": ("cva", 3),
        "main_cva.int_cva__value_history": ("cva", 1),
        "current/churn_alerts": ("published", 1),
        "current/customer_value": ("published", 1),
    }
    assert person.reasons == (f"reason of {PERSON}",)
    assert OTHER not in str(person)
    rows = {kept.table: kept.rows for kept in person.tables}
    assert rows["raw.customers"][0]["email"] == "zelda@example.org"
    assert rows["main.churn_alerts"][0]["state"] == "acted"  # noted since the last run
    assert rows["main_cva.int_cva__text_vectors"][0]["embedding"] == "1 numbers"


def test_any_id_of_a_person_finds_all_of_them(shop: ResolvedShop, tmp_path: Path) -> None:
    merged = make_shop(tmp_path / "merged")
    with duckdb.connect(str(merged.db)) as con:
        con.execute(
            f"create table main_cva.int_cva__customer_ids as select unnest(['{PERSON}', 'old']) as"
            f" raw_id, '{PERSON}' as customer_id"
        )
        con.execute("insert into raw.orders (order_id, customer_id) values ('o-9', 'old')")
    for name in ("old", PERSON):
        person = read_person(merged, name)
        assert (person.customer_id, person.ids) == (PERSON, (PERSON, "old"))
        assert counts(person)["raw.orders"] == ("raw", 4)


def test_a_manifest_of_before_that_names_them_is_shown(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop")
    file = write_old_manifest(shop.models_dir / "value" / "v2")
    file.write_text(file.read_text().replace(PERSON, "ghost-1"))
    old = str(shop.models_dir / "value" / "old" / "manifest.json")
    assert read_person(shop, PERSON).manifests == (old,)
    ghost = read_person(shop, "ghost-1")
    assert (ghost.manifests, ghost.tables) == ((str(file),), ())
    said = f"models whose manifest names them; cva forget takes the name out:\n  {file}"
    assert as_text(ghost).endswith(said)


def test_tables_of_the_users_own_are_shown_as_such(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop")
    with duckdb.connect(str(shop.db)) as con:
        con.execute("create table main.calls as select customer_id from customer_value")
        con.execute("create table raw.people as select customer_id as who, name from raw.customers;"
                    " drop table raw.customers")  # fmt: skip
    mapped = open_shop(
        shop.db,
        variables={
            "cva_customers_identifier": "people",
            "cva_customers_columns": {"customer_id": "who"},
        },
    )
    found = counts(read_person(mapped, PERSON))
    assert found["main.calls"] == ("own", 1)
    assert found["raw.people"] == ("raw", 1)


def test_nobody_is_an_error_of_one_line(shop: ResolvedShop) -> None:
    with pytest.raises(UsageError, match="nothing is kept of customer 'nobody' in"):
        read_person(shop, "nobody")


def test_the_text_is_for_a_person_and_json_has_every_value(shop: ResolvedShop, cva: Call) -> None:
    done = cva("person", PERSON, "--db", shop.db)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"customer {PERSON}\nas of 2024-02-01: predicted_value 10.0\n")
    for said in ("email zelda@example.org", "main.customer_value: 1 row", "state acted",
                 "main_cva.int_cva__value_history: 1 row", "(what they are worth)"):  # fmt: skip
        assert said in done.stdout
    done = cva("person", PERSON, "--db", shop.db, "--json")
    found = json.loads(done.stdout)
    assert found["customer_id"] == PERSON
    assert {table["table"] for table in found["tables"]} >= {"raw.orders", "main.customer_value"}
    assert Shop(shop.db).person(PERSON).customer_id == PERSON


def test_files_are_for_their_owner_and_overwrite_nothing(
    shop: ResolvedShop, cva: Call, tmp_path: Path
) -> None:
    done = cva("person", PERSON, "--db", shop.db, "--to", tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path / n) for n in ("person.txt", "person.json")]
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads((tmp_path / "person.json").read_text())["ids"] == [PERSON]
    done = cva("person", PERSON, "--db", shop.db, "--to", tmp_path / "person.txt")
    assert (done.returncode, "exists; name another file" in done.stderr) == (2, True)
    done = cva("person", PERSON, "--db", shop.db, "--to", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["customer_id"] == PERSON
