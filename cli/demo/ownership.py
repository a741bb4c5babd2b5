"""What in a folder is the demo's, as it made it: that alone is replaced when it is made again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.demo.sample_shop import BROWSING, TABLES, Browsing, ShopFacts, write_shop
from cva_sql.cli.shop.files import write_atomic, written_to
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MARKER = ".cva_demo"  # what it made: hashes of its files and fingerprints of its raw tables
FILES = "files"
MADE = (*TABLES, *BROWSING)
ASIDE = ".cva_demo_files_"  # where they are made


def refuse_others(folder: Path, db: Path) -> None:
    """Raises UsageError where the demo would replace what it did not make."""
    from cva_sql.cli.shop.connection import connect

    known = _known(folder)
    if (folder / FILES).is_symlink():
        raise _not_ours(folder / FILES)
    for table in MADE:
        file = folder / FILES / f"{table}.csv"
        if file.is_symlink() or (file.exists() and _hash(file) not in known):
            raise _not_ours(file)
    if db.is_symlink():
        raise _not_ours(db)
    if not db.exists():
        return
    con = connect(db, read_only=True)
    try:
        names = con.execute(
            "select table_name from information_schema.tables where table_schema = 'raw' "
            "and table_catalog = current_database() order by 1"
        ).fetchall()
        for (name,) in names:
            if _fingerprint(con, name) not in known:
                raise _not_ours(f"table raw.{name} in {db}")
        if not names and not known:
            raise _not_ours(db)
    finally:
        con.close()


def write_files(folder: Path, *, customers: int, seed: int) -> ShopFacts:
    """Writes the sample shop's files; they are known as the demo's before they are in place."""
    for left in folder.glob(f"{ASIDE}*"):  # by a demo that was killed
        shutil.rmtree(left, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=folder))
    try:
        facts = write_shop(aside, customers=customers, seed=seed, browsing=Browsing())
        _remember(folder, {_hash(aside / f"{table}.csv") for table in MADE})
        (folder / FILES).mkdir(exist_ok=True)
        for table in MADE:
            (aside / f"{table}.csv").replace(folder / FILES / f"{table}.csv")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return facts


def remember_table(folder: Path, db: Path, table: str) -> None:
    """Notes a raw table as the demo's, as it is now."""
    from cva_sql.cli.shop.connection import connect

    con = connect(db, read_only=True)
    try:
        _remember(folder, {_fingerprint(con, table)})
    finally:
        con.close()


def _fingerprint(con: DuckDBPyConnection, table: str) -> str:
    from cva_sql.cli.shop.sql_text import quoted

    rows = con.execute(
        "select count(*), bit_xor(md5_number(cast(cva_row as varchar)))::varchar "
        f"from raw.{quoted(table)} as cva_row"
    ).fetchall()
    return f"{table}: {rows[0]}"


def _known(folder: Path) -> set[str]:
    try:
        known: Any = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {str(one) for one in known} if isinstance(known, list) else set()


def _remember(folder: Path, made: set[str]) -> None:
    text = json.dumps(sorted(_known(folder) | made), indent=0)
    with written_to(folder):
        write_atomic(folder / MARKER, text.encode())


def _hash(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}; name another folder") from None


def _not_ours(what: object) -> UsageError:
    return UsageError(
        f"{what} is not what cva demo made, and it would be replaced; name another folder:"
        " cva demo DIR"
    )
