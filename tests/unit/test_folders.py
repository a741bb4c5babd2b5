"""Folders beside a database: whose they are, and what happens where they cannot be used."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.init.scan.proposal import scan_database
from cva_sql.cli.run.publish import KEPT_RUNS, _remove_old, check_place
from cva_sql.cli.run.scores import read_scores
from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.owner import MARKER, Owned, adopt, claim, owner_of
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError, UsageError

HERE = Path(__file__).parent


def shop_of(folder: Path, name: str = "shop.duckdb") -> ResolvedShop:
    with duckdb.connect(str(folder / name)) as con:
        con.execute("create table if not exists t as select 1 as a")
    return open_shop(folder / name, need=Need.NOTHING)


def one_line(error: pytest.ExceptionInfo[CvaError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("which", Owned)
def test_a_second_database_is_refused_and_told_the_options(tmp_path: Path, which: Owned) -> None:
    claim(shop_of(tmp_path), which)
    second = shop_of(tmp_path, "other.duckdb")
    with pytest.raises(CvaError, match=r"belongs to shop\.duckdb, not to other") as error:
        claim(second, which)
    assert all(
        option in one_line(error) for option in ("--published", "--models-dir", "--work-dir")
    )
    assert "--adopt" not in str(error.value)
    assert owner_of(which.folder(second)) == "shop.duckdb"
    elsewhere = tmp_path / "elsewhere"
    claim(replace(second, published_at=elsewhere, models_dir=elsewhere, work_at=elsewhere), which)
    assert owner_of(elsewhere) == "other.duckdb"


def test_a_database_that_was_renamed_adopts_its_folders(tmp_path: Path) -> None:
    claim(shop_of(tmp_path), *Owned)
    (tmp_path / "shop.duckdb").rename(tmp_path / "new.duckdb")
    renamed = shop_of(tmp_path, "new.duckdb")
    with pytest.raises(CvaError, match=r"renamed or moved.*cva run --db .*new\.duckdb --adopt"):
        claim(renamed, *Owned)
    adopt(renamed)
    claim(renamed, *Owned)
    with pytest.raises(UsageError, match=r"belongs to new\.duckdb, which is still there"):
        adopt(shop_of(tmp_path, "third.duckdb"))


def test_a_moved_folder_stays_its_databases(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    claim(shop_of(tmp_path / "a"), *Owned)
    (tmp_path / "a").rename(tmp_path / "b")
    claim(shop_of(tmp_path / "b"), *Owned)


def test_two_databases_of_one_name_do_not_share_a_folder_elsewhere(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    first, second = (
        replace(shop_of(tmp_path / name), published_at=tmp_path / "out") for name in "ab"
    )
    claim(first, Owned.PUBLISHED)
    claim(first, Owned.PUBLISHED)
    with pytest.raises(CvaError, match=r"belongs to .*/a/shop\.duckdb, not to shop\.duckdb"):
        claim(second, Owned.PUBLISHED)


def test_folders_from_before_are_the_first_databases(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    (tmp_path / "published").mkdir()
    claim(shop, Owned.PUBLISHED)
    assert (tmp_path / "published" / MARKER).read_text() == "shop.duckdb\n"


def test_published_scores_of_another_database_are_not_given(tmp_path: Path) -> None:
    claim(shop_of(tmp_path), Owned.PUBLISHED)
    with pytest.raises(CvaError, match=r"belongs to shop\.duckdb"):
        read_scores(shop_of(tmp_path, "other.duckdb"), None, True)


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_folder(path: Path) -> None:
    path.mkdir()


def make_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def make_link(path: Path) -> None:
    other = path.parent.parent / "other"
    other.write_text("mine")
    path.symlink_to(other)


ODD = [
    ("published", make_file, "published is a file; expected a folder.*--published"),
    ("published", make_dangling, "published is a link to nothing.*--published"),
    ("published/current", make_file, "current is no link of cva's"),
    ("published/current", make_folder, "current is no link of cva's"),
    ("published/current", make_dangling, "current is a link to nowhere, not to a run"),
    (".cva", make_file, "is a file; expected a folder"),
    (".cva", make_dangling, "is a link to nothing"),
    (".cva/shop.duckdb.lock", make_folder, "lock cannot be opened"),
    (".cva/shop.duckdb.lock", make_dangling, "lock is a link"),
    (".cva/shop.duckdb.lock", make_link, "lock is a link"),
    (".cva/profiles.yml", make_link, "profiles.yml is a link"),
    (".cva/texts-shop.journal", make_link, "journal is a link"),
    (".cva/logs", make_dangling, "logs is a link"),
    (".cva/logs/dbt.log", make_link, "dbt.log is a link"),
    ("cva_models", make_file, "cva_models is a file.*--models-dir"),
    ("cva_models", make_dangling, "cva_models is a link to nothing.*--models-dir"),
]


def use_all(shop: ResolvedShop) -> None:
    with exclusive(shop):
        check_place(shop)
        claim(shop, Owned.MODELS)


@pytest.mark.parametrize(("name", "make", "said"), ODD)
def test_what_is_no_folder_or_file_of_ours_is_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    shop = shop_of(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    with pytest.raises(CvaError, match=said) as error:
        use_all(shop)
    one_line(error)
    if path.exists() and path.is_file():
        assert path.read_text() == "mine"


def test_the_lock_does_not_empty_a_file(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    lock = tmp_path / ".cva" / "shop.duckdb.lock"
    lock.parent.mkdir()
    lock.write_text("mine")
    with (
        exclusive(shop),
        pytest.raises(CvaError, match="in use by another process"),
        exclusive(shop),
    ):
        pass
    assert lock.read_text() == "mine"


def test_between_two_turns_of_dbt_no_other_process_opens_the_database(tmp_path: Path) -> None:
    """Not even to look: the next turn would find it open there, and fail."""
    shop = shop_of(tmp_path)
    holder = f"""
import sys
from pathlib import Path
from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.holder import held
with held(Path({str(shop.db)!r})):
    connect(Path({str(shop.db)!r})).close()  # the holder itself may
    print("held", flush=True)
    sys.stdin.read()
"""
    (tmp_path / ".cva").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for look in (
            lambda: connect(shop.db, read_only=True),
            lambda: open_shop(shop.db, need=Need.ORDERS),
            lambda: scan_database(shop.db),
        ):
            with pytest.raises(CvaError, match="is in use by another process; wait for it") as said:
                look()
            one_line(said)
        process.communicate()
    connect(shop.db).close()


def test_who_asks_whether_it_is_held_keeps_nobody_from_holding_it(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    with exclusive(shop):
        pass
    with (tmp_path / ".cva" / "shop.duckdb.lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        connect(shop.db, read_only=True).close()  # two may ask at a time
        threading.Timer(0.05, lambda: fcntl.flock(asking, fcntl.LOCK_UN)).start()
        with exclusive(shop):
            pass


def test_looking_at_a_file_keeps_the_lock_of_a_connection_to_it(tmp_path: Path) -> None:
    """A second handle that is closed would let go of it, and two processes could write."""
    shop = shop_of(tmp_path)
    with duckdb.connect(str(shop.db)) as con:
        con.execute("insert into t values (2)")
        connect(shop.db).close()
        code = f"import duckdb; duckdb.connect({str(shop.db)!r})"
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert "Could not set lock on file" in other.stderr


def test_old_runs_go_by_time_and_nothing_else_does(tmp_path: Path) -> None:
    root = tmp_path / "published"
    root.mkdir()
    names = [f"2026010{day}T000000000000" for day in range(1, 8)]
    for name in [*names, "20250101T000000000000", "backup", "aaa"]:
        (root / name).mkdir()
        (root / name / "cva.duckdb").write_text("x")
    for name in names:
        (root / name / ".cva_run").write_text(name)
    (root / "copy").mkdir()
    (root / "copy" / ".cva_run").write_text(names[0])
    (root / "current").symlink_to(names[0])
    _remove_old(root)
    kept = {path.name for path in root.iterdir()}
    newest = set(names[-KEPT_RUNS:])
    assert kept == {*newest, names[0], "current", "backup", "aaa", "copy", "20250101T000000000000"}


AS_OTHER = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from test_publish_file import publish_tables
from cva_sql.cli.run import publish as module
from cva_sql.cli.shop.resolver import Need, open_shop
publish_tables(Path(sys.argv[3]), "1 as n")  # imports what another user may not read
AWAY
folder = Path(sys.argv[1])
file = publish_tables(folder, "1 as n")
shop = open_shop(folder / "shop.duckdb", need=Need.NOTHING)
for n in range(5):
    last = module.publish(shop, f"2026020{n + 1}T000000000000")
import duckdb
try:
    duckdb.connect(str(last / "cva.duckdb"))
    print("written")
except duckdb.Error as error:
    print("refused")
try:
    (last / "new").touch()
    print("written")
except PermissionError:
    print("refused")
print(len(duckdb.connect(str(last / "cva.duckdb"), read_only=True).sql("from mine").fetchall()))
print(len([p for p in (folder / "published").iterdir() if p.is_dir() and not p.is_symlink()]))
(folder / "published").chmod(0o500)
try:
    module.publish(shop, "20260301T000000000000")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_published_files_are_read_only_and_old_ones_still_go(tmp_path: Path) -> None:
    """As a user that has no right to write into them: root has."""
    is_root = os.getuid() == 0
    away = "os.setgroups([]); os.setgid(65534); os.setuid(65534)" if is_root else ""
    folder = Path(tempfile.mkdtemp())  # pytest's own is closed to others
    if is_root:
        os.chown(folder, 65534, 65534)
    done = subprocess.run(
        [sys.executable, "-c", AS_OTHER.replace("AWAY", away), *map(str, (folder, HERE, tmp_path))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CVA_TESTS_COLD": "1", "HOME": str(folder)},
    )
    lines = done.stdout.splitlines()
    assert lines[:4] == ["refused", "refused", "1", "3"], done.stderr
    assert "CvaError" in lines[4]
    assert "cannot be written: permission denied" in lines[4]


def test_the_next_command_names_the_shop_as_it_was_named() -> None:
    plain = ResolvedShop(Path("my shop.duckdb"), Path("cva_models"))
    assert plain.command("run") == "cva run --db 'my shop.duckdb'"
    shop = replace(plain, models_dir=Path("m"), published_at=Path("p"), work_at=Path("w"))
    named = "--db 'my shop.duckdb' --models-dir m"
    assert shop.command("run") == f"cva run {named} --published p --work-dir w"
    assert shop.command("train") == f"cva train {named} --work-dir w"
    assert shop.command("report") == f"cva report {named}"
    assert shop.command("load orders FILE") == "cva load orders FILE --db 'my shop.duckdb'"


def test_a_link_where_dbt_writes_is_refused(tmp_path: Path) -> None:
    """dbt would write through it: its own files lie deeper than ours."""
    shop = shop_of(tmp_path)
    outside = tmp_path / "outside"
    outside.write_text("of somebody else", encoding="utf-8")
    for place in ("logs/dbt.log", "target/partial_parse.msgpack", "target/run/cva"):
        link = shop.work_dir / place
        link.parent.mkdir(parents=True)
        link.symlink_to(outside)
        with pytest.raises(CvaError, match="is a link, which cva does not write through"):
            claim(shop, Owned.WORK)
        shutil.rmtree(shop.work_dir)
    claim(shop, Owned.WORK)
