"""A disk that runs full: one line with the folder and the bytes, and nothing is left or lost."""

from __future__ import annotations

import os
import resource
import runpy
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.publish import publish
from cva_sql.cli.shop.dbt_runner import _write_profile
from cva_sql.cli.shop.files import write_files
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import CvaError

HERE = Path(__file__).parent
HEADER = "order_id,customer_id,ordered_at,amount\n"
RUNS = [f"2026010{day}T000000000000" for day in (1, 2)]


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """The folder on a disk of so many bytes; without a right to mount, files of at most those."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    is_mounted = os.getuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not is_mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def orders(file: Path, count: int) -> Path:
    rows = (f"{n},{n % 500},2024-01-{n % 28 + 1:02d},{n % 97 + 1}.5\n" for n in range(count))
    file.write_text(HEADER + "".join(rows))
    return file


def told(error: pytest.ExceptionInfo[CvaError], folder: Path) -> None:
    assert str(error.value).startswith(f"{folder} has no room: about ")
    assert " bytes are needed, " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("size", [4096, 65536, 1_000_000])
def test_a_load_leaves_no_new_database(tmp_path: Path, disk: Path, size: int) -> None:
    file = orders(tmp_path / "orders.csv", 150_000)
    with small_disk(disk, size):
        with pytest.raises(CvaError) as error:
            load_table("orders", [file], db=disk / "shop.duckdb")
        told(error, disk)
        assert list(disk.iterdir()) == []


def test_a_load_leaves_the_rows_that_were_there(tmp_path: Path, disk: Path) -> None:
    file, few = orders(tmp_path / "orders.csv", 150_000), orders(tmp_path / "few.csv", 3)
    db = disk / "shop.duckdb"
    with small_disk(disk, 1_000_000):
        load_table("orders", [few], db=db)
        with pytest.raises(CvaError) as error:
            load_table("orders", [file], db=db, replace=True)
        told(error, disk)
        with duckdb.connect(str(db), read_only=True) as con:
            assert con.execute("select count(*) from raw.orders").fetchall() == [(3,)]


@pytest.mark.parametrize("size", [8192, 65536, 1_000_000])
def test_publishing_leaves_nothing(tmp_path: Path, disk: Path, size: int) -> None:
    publish_tables = runpy.run_path(str(HERE / "test_publish_file.py"))["publish_tables"]
    publish_tables(tmp_path, "range as n from range(400000)")
    shop = open_shop(tmp_path / "shop.duckdb", need=Need.NOTHING, published=disk)
    with small_disk(disk, size):
        with pytest.raises(CvaError) as error:
            publish(shop, RUNS[1])
        told(error, disk)
        assert {path.name for path in disk.iterdir()} <= {".cva_database"}


def test_the_profile_stays_whole(tmp_path: Path, disk: Path) -> None:
    db = tmp_path / "shop.duckdb"
    duckdb.connect(str(db)).close()
    shop = replace(open_shop(db, need=Need.NOTHING), work_at=disk)
    with small_disk(disk, 8192):
        _write_profile(shop, "main", {})
        before = (disk / "profiles.yml").read_bytes()
        with pytest.raises(OSError, match=r"[Nn]o space|large"):
            (disk / "filler").write_bytes(b"x" * 100_000)
        with pytest.raises(CvaError) as error:
            _write_profile(shop, "another" * 1200, {})
        told(error, disk)
        assert (disk / "profiles.yml").read_bytes() == before
        assert {path.name for path in disk.iterdir()} == {"profiles.yml", "filler"}


def test_files_are_written_whole_or_not_at_all(disk: Path) -> None:
    with small_disk(disk, 4096):
        with pytest.raises(CvaError) as error:
            write_files(disk / "out", {"model.onnx": b"x" * 50_000})
        told(error, disk / "out")
        assert list((disk / "out").iterdir()) == []
