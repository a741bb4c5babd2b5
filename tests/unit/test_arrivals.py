"""Files that come late, twice and in any order leave what one load of them all leaves."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.load.table import Into, Wanted
from cva_sql.cli.watch.arriving import Reading, load_arrivals, loaded_before
from cva_sql.cli.watch.folder import REJECTED, Settling
from cva_sql.cli.watch.folder import new_files as files_and_waiting

HOW = Reading(None, Wanted({}), Into(append=True))
START = datetime(2025, 1, 1, tzinfo=UTC)


def new_files(folder: Path, known: Any, settle: float = 0) -> list[Any]:
    """The files of a folder that holds no shop, though the tests put one there."""
    found, waiting = files_and_waiting(folder, known, Settling(settle))
    assert waiting == 0
    return [file for file in found if not file.name.endswith((".duckdb", ".wal"))]


STATUSES = ("paid", "shipped", "cancelled")
FILES = 30


def write_files(folder: Path, seed: int, *, has_versions: bool) -> list[str]:
    """Orders in several versions, their lines, and events twice; each file written at its time."""
    draw = random.Random(seed)
    folder.mkdir()
    names = []
    for number in range(1, FILES + 1):
        kind = draw.choice(("orders", "orders", "orders", "order_items", "reviews"))
        written = START + timedelta(hours=number)
        path = folder / f"{kind}-{number}.csv"
        ids = draw.sample(range(12), 5)
        if kind == "orders":
            rows: list[dict[str, Any]] = [
                {
                    "order_id": f"o{i}",
                    "customer_id": f"c{i % 3}",
                    "ordered_at": f"2024-12-{i + 1:02} 10:00:00",
                    "amount": draw.randint(1, 9) * 10,
                    "status": draw.choice(STATUSES),
                }
                for i in ids
            ]
            for row in rows if has_versions else ():
                row["updated_at"] = (START + timedelta(minutes=draw.randint(0, 900))).strftime(
                    "%Y-%m-%d %H:%M:%S"
                )
        elif kind == "order_items":
            rows = [
                {"order_id": f"o{i}", "product_id": f"p{j}", "quantity": draw.randint(1, 3),
                 "unit_price": 5}
                for i in ids
                for j in range(draw.randint(1, 3))
            ]  # fmt: skip
        else:
            rows = [
                {"review_id": f"r{i}", "customer_id": f"c{i % 3}",
                 "reviewed_at": "2024-12-20 08:00:00", "rating": draw.randint(1, 5),
                 "body": f"version {number} 🎉"}
                for i in ids
            ]  # fmt: skip
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        os.utime(path, (written.timestamp(), written.timestamp()))
        names.append(path.name)
    return names


def take(db: Path, folder: Path, names: Sequence[str], size: int) -> None:
    """Loads the files as they arrive, some at a time."""
    found = {file.name: file for file in new_files(folder, {}, 0)}
    for first in range(0, len(names), size):
        part = [found[name] for name in names[first : first + size]]
        taken = load_arrivals(db, folder, part, HOW)
        assert not taken.rejected


def tables(db: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(db), read_only=True) as con:
        names = con.execute("select table_name from duckdb_tables() where schema_name = 'raw'")
        return {
            name: con.execute(f"select columns(*)::varchar from raw.{name} order by all").fetchall()
            for (name,) in names.fetchall()
        }


@pytest.mark.parametrize("has_versions", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_arrival_does_not_matter(
    tmp_path: Path, seed: int, *, has_versions: bool
) -> None:
    folder = tmp_path / "in"
    names = write_files(folder, seed, has_versions=has_versions)
    take(tmp_path / "whole.duckdb", folder, names, len(names))
    late = [*names, *names[:5]]  # some come twice
    random.Random(seed + 100).shuffle(late)
    take(tmp_path / "late.duckdb", folder, late, 3)
    whole, by_and_by = tables(tmp_path / "whole.duckdb"), tables(tmp_path / "late.duckdb")
    columns = [
        name
        for name, *_ in duckdb.connect(str(tmp_path / "whole.duckdb"), read_only=True)
        .execute("describe raw.orders")
        .fetchall()
    ]
    assert {"loaded_from", "status_versions", "status_changed_at"} <= set(columns)
    assert {name: sorted(map(sorted_row, rows)) for name, rows in whole.items()} == {
        name: sorted(map(sorted_row, rows)) for name, rows in by_and_by.items()
    }


def sorted_row(row: tuple[Any, ...]) -> list[str]:
    """A row whatever the order of its columns, which is that in which they came."""
    return sorted(str(value) for value in row)


def test_one_load_of_all_says_the_same_of_statuses(tmp_path: Path) -> None:
    """What `cva load` makes of one file with all versions is what arrivals make of it in parts."""
    from cva_sql.cli.load.table import load_table

    folder = tmp_path / "in"
    write_files(folder, 7, has_versions=True)
    orders = sorted(folder.glob("orders-*"))
    random.Random(1).shuffle(orders)
    take(tmp_path / "parts.duckdb", folder, [path.name for path in orders], 1)
    load_table("orders", orders, db=tmp_path / "one.duckdb")
    newest = (
        "select order_id, amount, status, updated_at, status_changed_at from raw.orders order by 1"
    )
    with duckdb.connect(str(tmp_path / "parts.duckdb"), read_only=True) as con:
        parts = con.execute(newest).fetchall()
    with duckdb.connect(str(tmp_path / "one.duckdb"), read_only=True) as con:
        one = con.execute(newest).fetchall()
    # Two versions of one moment have no order in one file.
    tied = {row[0] for row in one if [r[0] for r in one].count(row[0]) > 1}
    assert [row for row in parts if row[0] not in tied] == [r for r in one if r[0] not in tied]


def test_numbers_in_names_sort_as_people_count(tmp_path: Path) -> None:
    for name, amount in (("orders-9.csv", 10), ("orders-10.csv", 20)):
        (tmp_path / name).write_text(
            f"order_id,customer_id,ordered_at,amount\no1,c1,2025-01-01,{amount}\n"
        )
    db = tmp_path / "shop.duckdb"
    found = new_files(tmp_path, {}, 0)
    assert [file.name for file in found] == ["orders-9.csv", "orders-10.csv"]
    load_arrivals(db, tmp_path, found[::-1], HOW)
    assert [row[3] for row in tables(db)["orders"]] == ["20.0000"]


def test_a_file_that_cannot_be_loaded_goes_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "orders-1.csv").write_text("order_id,customer_id,ordered_at\no1,c1,2025-01-01\n")
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "orders-2.csv").write_bytes(b"")
    (tmp_path / "orders-3.csv").write_text(
        "order_id,customer_id,ordered_at,amount\no1,c1,2025-01-01,5\n"
    )
    (tmp_path / ".hidden.csv").write_text("x\n")
    (tmp_path / "orders-4.csv.part").write_text("order_id\n")
    db = tmp_path / "shop.duckdb"
    taken = load_arrivals(db, tmp_path, new_files(tmp_path, {}, 0), HOW)
    assert (taken.files, taken.rows) == (1, 1)
    assert sorted(taken.rejected) == ["notes.txt", "orders-1.csv"]
    rejected = tmp_path / REJECTED
    assert "has no column amount" in (rejected / "orders-1.csv.reason.txt").read_text()
    assert "call it e.g. orders-notes.txt" in (rejected / "notes.txt.reason.txt").read_text()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert {".hidden.csv", "orders-2.csv", "orders-3.csv", "orders-4.csv.part"} <= set(left)
    assert new_files(tmp_path, loaded_before(db)) == []
    # Mended under the same name it is taken, and a second bad one is not put over the first.
    (tmp_path / "orders-1.csv").write_text("order_id\n")
    found = [f for f in new_files(tmp_path, loaded_before(db), 0) if f.name == "orders-1.csv"]
    load_arrivals(db, tmp_path, found, HOW)
    assert (tmp_path / REJECTED / "orders-1-2.csv").is_file()


def test_a_file_that_grows_is_read_again(tmp_path: Path) -> None:
    db, path = tmp_path / "shop.duckdb", tmp_path / "in" / "orders.jsonl"
    path.parent.mkdir()
    line = '{"order_id": "o%d", "customer_id": "c1", "ordered_at": "2025-01-01", "amount": 5}\n'
    path.write_text(line % 1)
    load_arrivals(db, path.parent, new_files(path.parent, loaded_before(db), 0), HOW)
    assert new_files(path.parent, loaded_before(db), 0) == []
    path.write_text(line % 1 + line % 2)
    load_arrivals(db, path.parent, new_files(path.parent, loaded_before(db), 0), HOW)
    assert len(tables(db)["orders"]) == 2


HEADER = "order_id,customer_id,ordered_at,amount,status\n"


def arrive(folder: Path, db: Path, name: str, text: str, hours: int) -> None:
    """Writes a file, so many hours after START, and loads what is new."""
    path = folder / name
    path.write_text(text)
    written = (START + timedelta(hours=hours)).timestamp()
    os.utime(path, (written, written))
    load_arrivals(db, folder, new_files(folder, loaded_before(db)), HOW)


def changed_at(db: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute("select status, status_changed_at::varchar from raw.orders").fetchall()


def test_a_status_is_dated_by_the_file_that_brought_it(tmp_path: Path) -> None:
    folder, db = tmp_path / "in", tmp_path / "shop.duckdb"
    folder.mkdir()
    row = "o1,c1,2024-12-01 10:00:00,20,{}\n"
    arrive(folder, db, "orders.csv", HEADER + row.format("paid"), 1)
    assert changed_at(db) == [("paid", None)]
    arrive(folder, db, "orders.csv", HEADER + row.format("cancelled"), 5)  # written again
    assert changed_at(db) == [("cancelled", "2025-01-01 05:00:00")]


def test_what_a_load_changed_between_two_files_stays_dated(tmp_path: Path) -> None:
    from cva_sql.cli.load.table import load_table

    folder, db = tmp_path / "in", tmp_path / "shop.duckdb"
    folder.mkdir()
    row = "o1,c1,2024-12-01 10:00:00,20,{}\n"
    arrive(folder, db, "orders-2.csv", HEADER + row.format("paid"), 2)
    other = tmp_path / "corrected.csv"
    other.write_text(HEADER + row.format("cancelled"))
    load_table("orders", [other], db=db, append=True)
    ((status, since),) = changed_at(db)
    assert status == "cancelled"
    assert since is not None
    arrive(folder, db, "orders-1.csv", HEADER + row.format("paid"), 1)  # a late one
    assert changed_at(db) == [(status, since)]


def test_rows_without_a_key_and_names_alike_go_by_no_order(tmp_path: Path) -> None:
    def load(names: Sequence[str], db: Path) -> dict[str, list[tuple[Any, ...]]]:
        take(db, tmp_path / "in", names, 1)
        return tables(db)

    (tmp_path / "in").mkdir()
    line = "c1,2024-12-01 10:00:00,5,fine\n"
    for name, count in (("reviews-1.csv", 2), ("reviews-2.csv", 1)):
        head = "customer_id,reviewed_at,rating,body\n"
        (tmp_path / "in" / name).write_text(head + line * count)
    for name, amount in (("orders-1.csv", 1), ("orders-01.csv", 2)):
        (tmp_path / "in" / name).write_text(f"{HEADER}o1,c1,2024-12-01 10:00:00,{amount},paid\n")
        os.utime(tmp_path / "in" / name, (0, 0))
    names = [path.name for path in (tmp_path / "in").iterdir()]
    found = load(sorted(names), tmp_path / "a.duckdb")
    assert [len(found["reviews"]), len(found["orders"])] == [2, 1]
    other = load(sorted(names, reverse=True), tmp_path / "b.duckdb")
    assert other["orders"] == found["orders"]
    assert len(other["reviews"]) == 2  # of either file: they say the same


def test_a_file_whose_writer_pauses_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text('{"order_id": "o1", "customer_id": "c1", "ordered_at": "2025-01-01", "amo')
    settling = Settling(100)
    for age, is_ready in ((50, False), (500, False), (2000, True)):
        os.utime(path, (datetime.now(UTC).timestamp() - age,) * 2)
        found, waiting = files_and_waiting(tmp_path, {}, settling)
        assert (len(found), waiting) == ((1, 0) if is_ready else (0, 1))
    path.write_text(path.read_text() + 'unt": 5}\n')
    os.utime(path, (datetime.now(UTC).timestamp() - 150,) * 2)
    assert len(files_and_waiting(tmp_path, {}, settling)[0]) == 1
    path.write_text("")
    os.utime(path, (0, 0))
    assert files_and_waiting(tmp_path, {}, settling) == ([], 0)


def test_a_file_that_was_put_back_is_read_again(tmp_path: Path) -> None:
    from cva_sql.cli.watch.sources import Folder

    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "orders-1.csv").write_text("order_id,customer_id,ordered_at\no1,c1,2025-01-01\n")
    os.utime(folder / "orders-1.csv", (0, 0))
    source = Folder(folder, tmp_path / "shop.duckdb", HOW, Settling(0))
    assert source.take().rejected == ("orders-1.csv",)
    (folder / REJECTED / "orders-1.csv").rename(folder / "orders-1.csv")
    assert source.take().rejected == ("orders-1.csv",)


def test_the_shops_own_files_do_not_arrive(tmp_path: Path) -> None:
    from cva_sql.cli.app import app
    from cva_sql.udfs.errors import UsageError

    (tmp_path / "orders-1.csv").write_text(f"{HEADER}o1,c1,2024-12-01,5,paid\n")
    call = ["watch", "--raw", str(tmp_path), "--db", str(tmp_path / "shop.duckdb"), "--once"]
    with pytest.raises(UsageError, match=r"holds shop\.duckdb of the shop"):
        app(call, standalone_mode=False)
