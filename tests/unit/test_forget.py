"""`cva forget` leaves nothing of a person, harms nobody else, and goes on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql import CvaError, Shop, UsageError
from cva_sql.cli.forget.database import rewrite
from cva_sql.cli.forget.erasing import STEPS, Forgotten, forget_people
from cva_sql.cli.load.table import load_table
from cva_sql.cli.publish.publishing import publish_shop
from cva_sql.cli.run.publish import RUN_MARKER
from cva_sql.cli.shop.audit import COLUMNS
from cva_sql.cli.shop.forgotten import Tombstones
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.tables import make_table
from cva_sql.udfs.manifest import without_ids
from tests.people import CUSTOMERS, FILES, OTHER, PERSON, make_shop, write_old_manifest


@pytest.fixture
def shop(tmp_path: Path) -> ResolvedShop:
    return make_shop(tmp_path / "shop")


def forget(shop: ResolvedShop, *customers: str, **options: Any) -> Forgotten:
    with exclusive(shop):
        return forget_people(shop, customers, **options)


def texts_in(db: Path) -> Iterator[tuple[str, str]]:
    """Every row of every table of a database, as text, with the table's name."""
    with duckdb.connect(str(db), read_only=True) as con:
        tables = con.execute(
            "select schema_name, table_name from duckdb_tables() where not internal"
        ).fetchall()
        for schema, table in tables:
            for (row,) in con.execute(
                f'select cva_row::varchar from "{schema}"."{table}" as cva_row'
            ).fetchall():
                yield f"{schema}.{table}", row


def found_of(folder: Path, *words: str) -> list[str]:
    """Where a word is: tables, Parquet files, and the bytes of any file."""
    found = []
    for file in folder.rglob("*"):
        if file.is_symlink() or not file.is_file():
            continue
        data = file.read_bytes()
        found += [f"{file}: {word}" for word in words if word.encode() in data]
        if file.suffix == ".duckdb":
            found += [f"{file} {t}: {w}" for t, row in texts_in(file) for w in words if w in row]
        if file.suffix == ".parquet":
            rows = duckdb.sql(f"select r::varchar from '{file}' as r").fetchall()
            found += [f"{file}: {w}" for (row,) in rows for w in words if w in row]
    return found


WORDS = (PERSON, "Zelda", "zelda@example.org", "o-1-zelda", "o-2-zelda")


def test_nothing_is_found_in_any_table_file_or_byte(shop: ResolvedShop) -> None:
    folder = shop.db.parent
    before = found_of(folder, *WORDS)
    assert {word for word in WORDS if any(line.endswith(word) for line in before)} == set(WORDS)
    found = forget(shop, PERSON)
    assert found_of(folder, *WORDS) == []
    assert (found.people, found.new, found.left) == (1, 1, ())
    assert found.rows == {
        "cva_train.cva_training_examples": 1,
        "main.churn_alerts": 1,
        "main.customer_features": 1,
        "main.customer_value": 1,
        "main.cva_alert_acks": 1,
        "main.cva_training_runs": 1,
        "main_cva.int_cva__text_vectors": 2,
        "main_cva.int_cva__value_history": 1,
        "raw.customers": 1,
        "raw.order_items": 2,
        "raw.orders": 3,
        "raw.reviews": 3,
    }
    assert (found.published_rows, found.removed_runs) == (2, 2)


def test_others_keep_every_row_and_readers_what_they_read(shop: ResolvedShop) -> None:
    def others(db: Path) -> list[tuple[str, str]]:
        return sorted(
            (table, row)
            for table, row in texts_in(db)
            if not table.endswith(("cva_runs", "cva_forgotten", "text_vectors"))
            and not any(word in row for word in WORDS)
            and row != "{'order_id': shared, 'customer_id': NULL}"
        )

    current = shop.published / "current" / "cva.duckdb"
    before, read = others(shop.db), others(current)
    forget(shop, PERSON)
    assert others(shop.db) == before
    assert others(current) == read
    with duckdb.connect(str(shop.db), read_only=True) as con:
        said = con.execute("select reason from cva_runs where reason is not null").fetchall()
        assert said == [("there is no alert '[forgotten]'; expected one of 17",)]
        assert con.execute("select count(*) from raw.order_items").fetchall() == [(2,)]
        vectors = con.execute("select text_hash from main_cva.int_cva__text_vectors").fetchall()
        assert vectors == con.execute("select sha256('Both wrote this.')").fetchall()
        about = "select command, outcome, reason, row_count from cva_runs where command = 'forget'"
        assert con.execute(about).fetchall() == [("forget", "ok", None, 1)]
    with duckdb.connect(str(current), read_only=True) as con:
        assert con.execute("from cva_totals()").fetchall() == [(1,)]
        comments = "select comment from duckdb_columns() where column_name = 'reason_1'"
        assert con.execute(comments).fetchall() == [("why",)]
    assert (current.parent / RUN_MARKER).read_text().strip() == current.resolve().parent.name


def test_a_file_that_is_loaded_again_does_not_bring_them_back(shop: ResolvedShop) -> None:
    forget(shop, PERSON)
    counts = {}
    for table in FILES:
        for option in ({"replace": True}, {"append": True}):
            report = load_table(
                table, [shop.db.parent.parent / f"{table}.csv"], db=shop.db, **option
            )
            counts[table] = (report.rows_read, report.forgotten, report.table_now.rows)
    # A line of an order_id that somebody else has too may be theirs.
    assert counts == {
        "orders": (5, 3, 2),
        "order_items": (4, 2, 2),
        "reviews": (4, 3, 1),
        "customers": (2, 1, 1),
    }
    assert "left out: 1 row of people who were forgotten" in report.as_text()
    assert found_of(shop.db.parent, *WORDS) == []


def test_a_file_of_them_alone_is_refused_and_says_why(shop: ResolvedShop, tmp_path: Path) -> None:
    forget(shop, PERSON)
    file = tmp_path / "theirs.csv"
    file.write_text(CUSTOMERS.rsplit("\n", 2)[0])
    with pytest.raises(Exception, match=r"none of 1 rows is left \(1 of people who were forgotten"):
        load_table("customers", [file], db=shop.db, replace=True)


def test_tombstones_hold_salted_hashes_that_differ_between_shops(
    shop: ResolvedShop, tmp_path: Path
) -> None:
    other = make_shop(tmp_path / "other")
    forget(shop, PERSON)
    forget(other, PERSON)
    hashes = []
    for one in (shop, other):
        with duckdb.connect(str(one.db), read_only=True) as con:
            rows = con.execute("select kind, hash, salt from cva_forgotten").fetchall()
        assert {(kind, len(hashed), len(salt)) for kind, hashed, salt in rows} == {
            ("customer", 64, 32),
            ("order", 64, 32),
        }
        hashes.append({hashed for _, hashed, _ in rows})
    assert not hashes[0] & hashes[1]


def test_an_unknown_customer_stops_it_before_anything_is_done(shop: ResolvedShop) -> None:
    before = sorted(texts_in(shop.db))
    with pytest.raises(UsageError, match="nothing is kept of customer 'nobody-1', so nobody was"):
        forget(shop, PERSON, "nobody-1")
    assert sorted(texts_in(shop.db)) == before
    found = forget(shop, "nobody-1", even_if_unknown=True)
    assert (found.people, found.new, found.rows) == (1, 1, {})
    file = shop.db.parent.parent / "later.csv"
    file.write_text("order_id,customer_id,ordered_at,amount\nx,nobody-1,2024-01-01,1\n")
    report = load_table("orders", [file], db=shop.db, append=True)
    assert report.forgotten == 1
    assert found_of(shop.db.parent, "nobody-1") == []


def test_who_was_forgotten_before_is_no_error(shop: ResolvedShop) -> None:
    forget(shop, PERSON)
    again = forget(shop, PERSON)
    assert (again.people, again.new, again.rows, again.published_rows) == (1, 0, {}, 0)


def test_every_id_of_a_person_goes(shop: ResolvedShop) -> None:
    with duckdb.connect(str(shop.db)) as con:
        con.execute(
            "create table main_cva.int_cva__customer_ids as"
            f" select unnest(['{PERSON}', 'old-zelda', 'older-zelda']) as raw_id,"
            f" '{PERSON}' as customer_id"
        )
        con.execute("insert into raw.orders select * replace ('old-zelda' as customer_id,"
                    " 'o-9' as order_id) from raw.orders where order_id = 'o-1-zelda'")  # fmt: skip
    found = forget(shop, "older-zelda")
    assert found.rows["raw.orders"] == 4
    assert found_of(shop.db.parent, *WORDS, "old-zelda", "older-zelda") == []
    assert forget(shop, "old-zelda").new == 0


def test_a_guest_goes_by_the_customer_key(shop: ResolvedShop) -> None:
    with duckdb.connect(str(shop.db)) as con:
        con.execute("alter table raw.orders add column email varchar")
        con.execute("insert into raw.orders (order_id, ordered_at, amount, email) values"
                    " ('guest-order', '2024-01-01', 5, 'Guest@Example.org')")  # fmt: skip
        con.execute("create table main_cva.int_cva__customer_ids as select 'key-'"
                    " || md5('guest@example.org') as raw_id, raw_id as customer_id")  # fmt: skip
        (key,) = con.execute("select raw_id from main_cva.int_cva__customer_ids").fetchall()[0]
    keyed = open_shop(shop.db, variables={"cva_customer_key": "lower(email)"})
    assert forget(keyed, key).rows["raw.orders"] == 1
    assert found_of(shop.db.parent, key, "guest-order", "Guest@Example.org") == []


def test_whoever_has_the_key_since_the_last_run_goes_too(shop: ResolvedShop) -> None:
    with duckdb.connect(str(shop.db)) as con:
        con.execute("alter table raw.orders add column email varchar")
        con.execute("insert into raw.orders (order_id, customer_id, ordered_at, amount, email) from"
                    " (values ('a', 'first-id', date '2024-01-01', 5, 'z@example.org'),"
                    " ('b', 'second-id', date '2024-01-01', 5, 'Z@example.org'))")  # fmt: skip
    keyed = open_shop(shop.db, variables={"cva_customer_key": "lower(email)"})
    assert forget(keyed, "second-id").rows["raw.orders"] == 2
    assert found_of(shop.db.parent, "first-id", "second-id") == []


def test_a_schema_that_is_called_like_ours_is_not(shop: ResolvedShop) -> None:
    with duckdb.connect(str(shop.db)) as con:
        con.execute("create schema cva_train_backup; create table cva_train_backup.mine as"
                    " select customer_id from main.customer_value")  # fmt: skip
    assert forget(shop, PERSON).left == ("cva_train_backup.mine, a table of your own",)


def test_what_a_killed_run_left_goes_where_nothing_is_published_anew(shop: ResolvedShop) -> None:
    forget(shop, PERSON)
    left = shop.published / ".unfinished-20240301T000000000000"
    left.mkdir()
    (left / "cva.duckdb").write_text(PERSON)
    assert forget(shop, PERSON).published_rows == 0
    assert not left.exists()


def test_an_order_that_comes_later_is_noted_for_its_lines(
    shop: ResolvedShop, tmp_path: Path
) -> None:
    forget(shop, PERSON)
    orders, lines = tmp_path / "later.csv", tmp_path / "lines.csv"
    orders.write_text(
        f"order_id,customer_id,ordered_at,amount\no-9,{PERSON},2024-02-01,1\n"
        f"o-3-yorick,{PERSON},2024-02-01,1\no-4-yorick,{OTHER},2024-02-01,1\n"
    )
    lines.write_text("order_id,product_id,quantity\no-9,p,1\no-3-yorick,p9,1\no-4-yorick,p,1\n")
    assert load_table("orders", [orders], db=shop.db, append=True).forgotten == 2
    assert load_table("order_items", [lines], db=shop.db, append=True).forgotten == 1


def test_a_damaged_database_is_said_in_a_line(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: broken")

    monkeypatch.setattr("cva_sql.cli.person.raw.raw_sources", fail)
    with pytest.raises(CvaError, match=r"shop\.duckdb: "):
        forget(shop, PERSON)


def test_ids_are_taken_out_as_whole_words() -> None:
    known = Tombstones("salt", frozenset({sha256(b"salt1234567").hexdigest()}))
    said = "there is no '1234567', 12345678 or x1234567; 1234567."
    assert known.redacted(said) == "there is no '[forgotten]', 12345678 or x1234567; [forgotten]."
    few = Tombstones("salt", frozenset({sha256(b"salt17").hexdigest()}))
    assert (few.names_in("17 of 20"), few.names_in("17 of 20", counts=True)) == ([], ["17"])


def test_a_table_of_the_users_own_is_named_and_left(shop: ResolvedShop) -> None:
    with duckdb.connect(str(shop.db)) as con:
        con.execute("create table raw.sales as select customer_id as buyer, * exclude (customer_id)"
                    " from raw.orders; drop table raw.orders")  # fmt: skip
        con.execute("create schema mine; create table mine.calls as select customer_id"
                    " from main.customer_value; create table main.cva_export as from mine.calls;"
                    " create view mine.v as from mine.calls")  # fmt: skip
    mapped = open_shop(
        shop.db,
        variables={
            "cva_orders_identifier": "sales",
            "cva_orders_columns": {"customer_id": "buyer"},
        },
    )
    found = forget(mapped, PERSON)
    assert found.left == (
        "raw.sales, which has no mark of cva load; staging leaves them out",
        "main.cva_export, a table of your own",
        "mine.calls, a table of your own",
    )
    assert "raw.sales" not in found.rows
    with duckdb.connect(str(shop.db), read_only=True) as con:
        assert con.execute("select count(*) from raw.sales").fetchall() == [(5,)]
        assert con.execute("from mine.calls order by all").fetchall() == [(OTHER,), (PERSON,)]
        # The lines of their orders are cva's own, and go by the orders in the user's table.
        assert con.execute("select count(*) from raw.order_items").fetchall() == [(2,)]


def test_reports_and_workbooks_go_where_cva_wrote_them(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shop.db.parent
    monkeypatch.chdir(folder.parent)
    publish_shop(shop, str(folder / "customer_value.xlsx"))
    publish_shop(shop, str(folder.parent / "changed.xlsx"))
    with zipfile.ZipFile(folder.parent / "changed.xlsx", "a") as book:
        book.writestr("note.txt", "mine")
    from cva_sql.cli.report.mark import marked

    page = f'<html><meta charset="utf-8">\n<td>{PERSON}</td></html>'
    (folder / "report.html").write_text(marked(page, shop.db))
    (folder / "other.html").write_text(marked(page.replace(PERSON, "x"), shop.db))
    (folder / "notes.html").write_text(page)
    found = forget(shop, PERSON)
    assert [Path(file).name for file in found.removed_files] == [
        "report.html",
        "customer_value.xlsx",
    ]
    assert sorted(line.split(",")[0].rsplit("/", 1)[1] for line in found.left) == [
        "changed.xlsx",
        "notes.html",
    ]
    assert (folder / "other.html").exists()


def test_of_the_work_folder_goes_what_is_dbts_and_caches_alone(shop: ResolvedShop) -> None:
    work = shop.work_dir
    for name in ("target-list", "logs"):
        (work / name).mkdir(exist_ok=True)
        (work / name / "mine.txt").write_text("mine")
    forget(shop, PERSON)
    left = {str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()}
    assert left == {
        ".cva_database",
        "shop.duckdb.lock",
        "target-list/mine.txt",
        "logs/mine.txt",
    }


def test_a_rare_category_of_a_model_is_said(shop: ResolvedShop) -> None:
    folder = shop.models_dir / "value" / "v1"
    folder.mkdir(parents=True)
    feature = {"name": "country", "kind": "category", "values": ["DE"]}
    # A model of before, of what is a number by now.
    number = {"name": "size", "kind": "category", "values": ["large"]}
    manifest = {
        "version": "v1",
        "features": [feature, number],
        "training": {"distributions": {"inputs": [{"name": "country", "texts": ["", "LI"]}]}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with duckdb.connect(str(shop.db)) as con:
        con.execute("alter table customer_features add column size integer default 3")
    assert forget(shop, PERSON).notes[0] == (
        "model v1 tells country 'LI' apart, which nobody else has now; it is gone with a training:"
        " cva train"
    )


def test_a_manifest_of_before_that_names_them_names_nobody(shop: ResolvedShop) -> None:
    file = shop.models_dir / "value" / "old" / "manifest.json"
    before = json.loads(file.read_text())
    read = without_ids(before["training"])
    with duckdb.connect(str(shop.db)) as con:
        make_table(con, "main.cva_model_audit", COLUMNS)
        con.execute(
            "insert into cva_model_audit (what, kind, version, model_hash, manifest_hash)"
            " values ('trained', 'value', 'old', 'of the model', 'of before')"
        )
    os.utime(file, (5, 5))
    found = forget(shop, PERSON)
    after = json.loads(file.read_text())
    assert after["training"] == read == without_ids(after["training"])
    assert {**after, "training": None} == {**before, "training": None}
    assert OTHER not in file.read_text()
    assert file.stat().st_mtime == 5
    assert f"{file} named customers, and names nobody now; scores stay as they were" in found.notes
    with duckdb.connect(str(shop.db), read_only=True) as con:
        said = "select what, version, model_hash, manifest_hash from cva_model_audit"
        digest = sha256(file.read_bytes()).hexdigest()
        assert con.execute(said).fetchall()[1:] == [("redacted", "old", "of the model", digest)]
    assert forget(shop, PERSON).notes == ()


def test_who_is_in_a_manifest_of_before_alone_is_known(shop: ResolvedShop) -> None:
    file = write_old_manifest(shop.models_dir / "recommend" / "v1")
    file.write_text(file.read_text().replace(PERSON, "ghost-1"))
    other = write_old_manifest(shop.models_dir / "value" / "v2")
    assert forget(shop, "ghost-1").new == 1
    assert "ghost-1" not in file.read_text()
    assert PERSON in other.read_text()


def test_a_manifest_that_cannot_be_changed_is_named(shop: ResolvedShop, tmp_path: Path) -> None:
    models = shop.models_dir / "value"
    broken = write_old_manifest(models / "broken")
    broken.write_text(broken.read_text()[:-1])
    odd = write_old_manifest(models / "odd")
    odd.write_text(odd.read_text().replace("spend", "spent"))
    elsewhere = write_old_manifest(tmp_path / "elsewhere")
    before = elsewhere.read_text()
    (models / "linked").symlink_to(elsewhere.parent)
    found = forget(shop, PERSON)
    assert found.left == (
        f"{broken}, which names them and is no JSON; remove it",
        f"{models / 'linked' / 'manifest.json'}, which names them and is a link; remove it",
        f"{odd}, which names them and is not as a training writes it; remove it",
    )
    assert elsewhere.read_text() == before


def test_an_odd_row_of_a_manifest_hides_nobody(shop: ResolvedShop) -> None:
    models = shop.models_dir / "value"
    files = {name: write_old_manifest(models / name) for name in ("row", "kind", "other")}
    raw = json.loads(files["row"].read_text())
    named = raw["training"]["outliers"]
    kinds = {"row": [7, *named], "kind": {PERSON: 9000.5}, "other": [{"spend": 5.0}, *named[1:]]}
    for name, outliers in kinds.items():
        raw["training"]["outliers"] = outliers
        files[name].write_text(json.dumps(raw))
    found = forget(shop, PERSON)
    assert found.left == (
        f"{files['kind']}, which names them and is not as a training writes it; remove it",
        f"{files['row']}, which names them and is not as a training writes it; remove it",
    )
    assert OTHER in files["other"].read_text()


def test_a_manifest_that_cannot_be_written_stops_nothing(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(shop.db)) as con:
        make_table(con, "main.cva_model_audit", COLUMNS)
        con.execute(
            "insert into cva_model_audit (what, kind, version, model_hash, manifest_hash)"
            " values ('trained', 'value', 'old', 'of the model', 'of before')"
        )

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = shop.models_dir / "value" / "old" / "manifest.json"
    before = file.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("cva_sql.cli.forget.models.write_atomic", refuse)
        found = forget(shop, PERSON)
    said = "which names them and cannot be written (Permission denied); remove it"
    assert found.left == (f"{file}, {said}",)
    assert (found.published_rows, found.removed_runs, file.read_bytes()) == (2, 2, before)
    changes = "select count(*) from cva_model_audit where what = 'redacted'"
    for rows in (0, 1):
        with duckdb.connect(str(shop.db), read_only=True) as con:
            assert con.execute(changes).fetchall() == [(rows,)]
        forget(shop, PERSON)
    assert found_of(shop.db.parent, *WORDS) == []


def test_the_file_keeps_what_else_is_in_it(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(tmp_path / "x.duckdb")) as con:
        con.execute(f"attach '{db}' as shop (storage_version 'v1.2.0'); use shop")
        con.execute("create sequence s start 5; select nextval('s'); create table t (id int primary"
                    " key, n int default nextval('s')); create index i on t(n); create view a as"
                    " from t; create macro f(x) as x + 1; comment on view a is 'kept'")  # fmt: skip
        con.execute("insert into t values (1, 2)")
    db.chmod(0o640)
    rewrite(db)
    assert db.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.duckdb", "x.duckdb"]
    with duckdb.connect(str(db)) as con:
        assert con.execute("select f(n), nextval('s') from a").fetchall() == [(3, 6)]
        assert con.execute("select index_name from duckdb_indexes()").fetchall() == [("i",)]
        kept = "select comment from duckdb_views() where not internal"
        assert con.execute(kept).fetchall() == [("kept",)]
        version = "select tags['storage_version'] from duckdb_databases() where not internal"
        assert con.execute(version).fetchall()[0][0].startswith("v1.2.0")


def test_a_link_to_a_database_stays_one(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop")
    shop.db.rename(shop.db.with_name("real.duckdb"))
    shop.db.symlink_to("real.duckdb")
    rewrite(shop.db)
    assert shop.db.is_symlink()
    with duckdb.connect(str(shop.db), read_only=True) as con:
        assert con.execute("select count(*) from raw.orders").fetchall() == [(5,)]


KILLED = """
import os, signal, sys
from pathlib import Path
from cva_sql.cli.forget import database, erasing, leftovers, models, published
from cva_sql.cli.run import publish
from cva_sql.cli.shop.forgotten import Tombstones
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop

db, place, customer = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if place in erasing.STEPS:
    erasing.STEPS[place] = die
else:
    module, name = place.split(".")
    setattr({"database": database, "publish": publish, "published": published,
             "leftovers": leftovers, "models": models}[module], name, die)
shop = open_shop(Path(db))
with exclusive(shop):
    erasing.forget_people(shop, [customer])
"""
KILLS = [*STEPS, "database.sync", "database._redact", "publish.sync", "published.copy_marts",
         "publish._remove_old", "leftovers.clear_pages", "models.write_atomic"]  # fmt: skip


@pytest.mark.parametrize("place", KILLS)
def test_after_a_kill_the_same_command_goes_on(shop: ResolvedShop, place: str) -> None:
    current = shop.published / "current" / "cva.duckdb"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(shop.db), place, PERSON], check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    with duckdb.connect(str(current), read_only=True) as con:  # the former run, or the new one
        assert con.execute("select count(*) from customer_value").fetchall()[0][0] in (1, 2)
    with duckdb.connect(str(shop.db), read_only=True) as con:
        assert con.execute("select count(*) from raw.orders").fetchall()[0][0] in (2, 5)
    forget(shop, PERSON)
    assert found_of(shop.db.parent, *WORDS) == []
    assert [path for path in shop.db.parent.iterdir() if ".cva-" in path.name] == []


Call = Callable[..., subprocess.CompletedProcess[str]]


def test_the_command_says_what_went_and_never_whom(shop: ResolvedShop, cva: Call) -> None:
    done = cva("forget", PERSON, "--db", shop.db)
    assert done.returncode == 0, done.stderr
    assert PERSON not in done.stdout + done.stderr
    assert done.stdout.startswith("forgotten: 1 customer\n")
    assert "3 rows of raw.orders" in done.stdout
    done = cva("forget", PERSON, "--db", shop.db, "--json")
    assert json.loads(done.stdout)["new"] == 0
    done = cva("forget", "nobody", "--db", shop.db)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_in_python_one_or_several(shop: ResolvedShop) -> None:
    api = Shop(shop.db)
    assert api.forget([PERSON, OTHER]).people == 2
    assert api.forget(PERSON).new == 0
    with pytest.raises(UsageError, match="nothing is kept of customer"):
        api.person(PERSON)
