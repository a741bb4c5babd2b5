"""Reads pictures of products into a table of vectors, through an encoder that the user names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import reason_of
from cva_sql.cli.shop.history import Entry, recording
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from cva_sql.cli.embed.pictures import Found
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.vision import VisionEncoder

VECTORS, READINGS = "cva_image_vectors", "cva_image_readings"
COLUMNS = {
    VECTORS: {
        "product_id": ("varchar", "product, as staging names it"),
        "encoder_key": ("varchar", "which encoder, with how pictures are brought into its shape"),
        "pictures_count": ("integer", "pictures of the product"),
        "embedding": ("float[]", "mean of their vectors, of length 1"),
    },
    READINGS: {
        "picture_sha256": ("varchar", "the file, so that a copy is not read again"),
        "encoder_key": ("varchar", "which encoder read it"),
        "embedding": ("float[]", "vector of length 1"),
    },
}
BATCH = 128  # pictures to a commit
PRODUCTS_AT_A_TIME = 512
SAY_SECONDS = 2.0


@dataclass(frozen=True)
class Pictured:
    """What was done: `products` have a vector of these pictures, `read` pictures were read now.

    `unusable` maps files to why they were not read; `unknown` are files of products that are not
    in the shop. `several` products have more than one picture. `dropped` products had a vector of
    another encoder.
    """

    products: int
    pictures: int
    read: int
    several: int
    unusable: dict[str, str]
    unknown: tuple[str, ...]
    links: int
    others: int
    dropped: int
    seconds: float
    encoder_key: str
    width: int
    table: str
    is_used: bool


@recording("embed images", lambda found: Entry(rows=found.products))
def embed_images(shop: ResolvedShop, folder: Path, encoder_folder: Path) -> Pictured:
    """Reads the pictures that were not read yet, and gives each product the mean of its own.

    Killed on the way, it leaves the products' vectors as they were and goes on where it stopped.
    Raises UsageError and ModelError where the folder or the encoder is not what is expected.
    """
    import duckdb

    from cva_sql.cli.embed.pictures import find_pictures
    from cva_sql.cli.shop.connection import connect
    from cva_sql.udfs.vision import VisionEncoder

    encoder = VisionEncoder(encoder_folder)
    find_pictures(folder, ())  # before dbt takes its seconds
    products, is_used = _products_of(shop)
    found = find_pictures(folder, products)
    if not found.pictures:
        first = found.unknown[0]
        raise CvaError(
            f"no picture in {folder} is of a product of {shop.db}, which has {len(products):,}: "
            f"{first.relative_to(folder)} of none; load them with: cva load products"
        )
    started = time.monotonic()
    con = connect(shop.db)
    try:
        _make_tables(con, shop)
        hashes, read, unusable = _read_pictures(con, shop, encoder, found)
        counts = _write_vectors(con, shop, encoder.key, found, hashes)
    except duckdb.Error as error:
        raise CvaError(reason_of(error)) from None
    finally:
        con.close()
    return Pictured(
        **counts,
        pictures=len(hashes),
        read=read,
        unusable=unusable,
        unknown=tuple(str(path.relative_to(folder)) for path in found.unknown),
        links=found.links,
        others=found.others,
        seconds=round(time.monotonic() - started, 3),
        encoder_key=encoder.key,
        width=encoder.width,
        table=_place(shop, VECTORS),
        is_used=is_used,
    )


def _products_of(shop: ResolvedShop) -> tuple[list[str], bool]:
    """The shop's usable products, and whether vectors made here are what features look at."""
    from cva_sql.cli.shop.connection import connect, has_table
    from cva_sql.cli.shop.dbt_runner import run_dbt
    from cva_sql.cli.shop.progress import step

    if not has_table(shop.db, *shop.raw_table("products")):
        raise CvaError(
            f"{shop.db} has no table {'.'.join(shop.raw_table('products'))}, so no picture is of a"
            " product; load it with: cva load products"
        )
    with step("finding the products"):
        run_dbt(shop, "run", select=["stg_cva__products"])
    con = connect(shop.db)
    try:
        rows = con.execute(
            "select product_id, image_vector is not null "
            f"from {shop.schema}_cva.stg_cva__products where reject_reason is null"
        ).fetchall()
    finally:
        con.close()
    return [product for product, _ in rows], not any(has_own for _, has_own in rows)


def _place(shop: ResolvedShop, table: str) -> str:
    return f"{shop.schema}_cva.{table}"


def _make_tables(con: DuckDBPyConnection, shop: ResolvedShop) -> None:
    from cva_sql.cli.shop.connection import find_relation
    from cva_sql.cli.shop.tables import make_table

    for table, columns in COLUMNS.items():
        if find_relation(con, f"{shop.schema}_cva", table) is None:
            make_table(con, _place(shop, table), columns)


def _read_pictures(
    con: DuckDBPyConnection, shop: ResolvedShop, encoder: VisionEncoder, found: Found
) -> tuple[dict[Path, str], int, dict[str, str]]:
    """The sha256 of each usable file, how many were read now, and why others are not; commits."""
    from cva_sql.cli.shop.progress import say

    table = _place(shop, READINGS)
    known = {
        sha256
        for (sha256,) in con.execute(
            f"select picture_sha256 from {table} where encoder_key = ?", [encoder.key]
        ).fetchall()
    }
    files = [path for paths in found.pictures.values() for path in paths]
    hashes, unusable, read, said = dict[Path, str](), dict[str, str](), 0, time.monotonic()
    for first in range(0, len(files), BATCH):
        batch = files[first : first + BATCH]
        new: dict[str, NDArray[Any]] = {}
        for path, (sha256, vector, why) in zip(batch, _look(encoder, batch, known), strict=True):
            if why:
                unusable[f"{path.parent.name}/{path.name}"] = why
            else:
                hashes[path] = sha256
                if vector is not None:
                    new[sha256] = vector
        if new:
            rows = [(sha256, encoder.key, vector) for sha256, vector in new.items()]
            _insert(con, table, rows)
            known |= new.keys()
            read += len(new)
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            say(f"  {first + len(batch):,} of {len(files):,} pictures")
    return hashes, read, unusable


def _look(
    encoder: VisionEncoder, batch: Sequence[Path], known: set[str]
) -> Iterator[tuple[str, NDArray[Any] | None, str]]:
    """Of each file its sha256, its vector where that is not known, and why it is not usable."""
    from cva_sql.cli.embed.pictures import Unusable, decode, read_picture
    from cva_sql.udfs.threads import pool

    def look(path: Path) -> tuple[str, NDArray[Any] | None, str]:
        try:
            data = read_picture(path)
            sha256 = hashlib.sha256(data).hexdigest()
            if sha256 in known:
                return sha256, None, ""
            vector = encoder.vector_of(decode(data))
            return sha256, vector, "" if vector is not None else "the encoder says nothing of it"
        except Unusable as error:
            return "", None, str(error)

    return pool().map(look, batch)


def _insert(con: DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Adds rows whose last value is a vector."""
    import pyarrow as pa

    *others, vectors = zip(*rows, strict=True)
    columns = [pa.array(values) for values in others]
    columns.append(pa.array([vector.tolist() for vector in vectors], pa.list_(pa.float32())))
    given = pa.table(dict(zip([f"c{n}" for n in range(len(columns))], columns, strict=True)))
    con.register("cva_given", given)
    try:
        con.execute(f"insert into {table} from cva_given").fetchall()
    finally:
        con.unregister("cva_given")


def _write_vectors(
    con: DuckDBPyConnection, shop: ResolvedShop, key: str, found: Found, hashes: dict[Path, str]
) -> dict[str, int]:
    """The products, the several and the dropped of `Pictured`.

    All in one transaction: whoever looks sees the vectors of one encoder.
    """
    table = _place(shop, VECTORS)
    of_product = {
        product: shas
        for product, paths in found.pictures.items()
        if (shas := [hashes[path] for path in paths if path in hashes])
    }
    con.execute("begin").fetchall()
    try:
        dropped = con.execute(f"delete from {table} where encoder_key <> ?", [key]).fetchall()
        others = _place(shop, READINGS)
        con.execute(f"delete from {others} where encoder_key <> ?", [key]).fetchall()
        products, written = list(of_product), 0
        for first in range(0, len(products), PRODUCTS_AT_A_TIME):
            part = {name: of_product[name] for name in products[first : first + PRODUCTS_AT_A_TIME]}
            written += _write_part(con, shop, key, part)
        con.execute("commit").fetchall()
    except BaseException:
        con.execute("rollback").fetchall()
        raise
    several = sum(len(shas) > 1 for shas in of_product.values())
    return {"products": written, "several": several, "dropped": int(dropped[0][0])}


def _write_part(
    con: DuckDBPyConnection, shop: ResolvedShop, key: str, part: dict[str, list[str]]
) -> int:
    """Puts the means of some products' pictures in the place of what they had; how many."""
    import numpy as np

    wanted = sorted({sha256 for shas in part.values() for sha256 in shas})
    vectors = dict(
        con.execute(
            f"select picture_sha256, embedding from {_place(shop, READINGS)} "
            "where encoder_key = ? and picture_sha256 in (select unnest(?))",
            [key, wanted],
        ).fetchall()
    )
    rows = []
    for product, shas in part.items():
        mean = np.mean([np.asarray(vectors[sha256], dtype=np.float64) for sha256 in shas], axis=0)
        length = float(np.linalg.norm(mean))
        if length > 0:
            rows.append((product, key, len(shas), (mean / length).astype(np.float32)))
    table = _place(shop, VECTORS)
    con.execute(f"delete from {table} where product_id in (select unnest(?))", [list(part)])
    if rows:
        _insert(con, table, rows)
    return len(rows)
