"""JSON has the limit of other texts, and what is said of a file names the one that was given."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.load.files import read_files
from cva_sql.udfs.errors import CvaError

KINDS = {"array": "[{}]".format, "lines": "{}".format, "packed": "[{}]".format}
PLAIN, ROUNDED = "1", "1001.10"  # an id that DuckDB would round, so that the rows are written anew


def orders(kind: str, number: str, note: str) -> bytes:
    row = '{{"order_id": {}, "note": "{}"}}'.format
    between = "\n" if kind == "lines" else ",\n"
    text = between.join([row(0, "y"), row(number, note), row(2, "y")])
    data = KINDS[kind](text).encode()
    return gzip.compress(data, 1) if kind == "packed" else data


@pytest.mark.parametrize("number", [PLAIN, ROUNDED])
@pytest.mark.parametrize("kind", ["array", "lines"])
def test_an_object_above_sixteen_million_bytes_is_read_whole(
    kind: str, number: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(orders(kind, number, "я" * 25_000_000))  # 50 MB, and 150 where it is spelt
    with duckdb.connect() as con:
        read_files(con, [file])
        found = con.execute("select order_id, strlen(note) from cva_text order by rowid").fetchall()
    assert found == [("0", 1), (number, 50_000_000), ("2", 1)]


@pytest.mark.parametrize(
    ("kind", "number", "size"),
    [
        ("array", PLAIN, 70_000_000),
        ("lines", PLAIN, 70_000_000),
        ("packed", ROUNDED, 70_000_000),
        ("lines", PLAIN, 140_000_000),
    ],
)
def test_an_object_above_the_limit_is_named_with_the_limit(
    kind: str, number: str, size: int, tmp_path: Path
) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(orders(kind, number, "x" * size))
    with duckdb.connect() as con, pytest.raises(CvaError) as error:
        read_files(con, [file])
    said = str(error.value)
    if size == 70_000_000:
        assert said.startswith(f"{file}: object 2 is longer than 64,000,000 bytes; leave out its")
    else:  # DuckDB does not get as far as to count
        assert (
            said == f"{file} has an object longer than 64,000,000 bytes; leave out its longest text"
        )
    assert len(said) < len(str(file)) + 200
    assert "cva_load_" not in said


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_an_error_names_the_file_that_was_given_not_its_copy(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    rows = [{"order_id": 1, "note": "y"}]
    good, broken = tmp_path / "good.json", tmp_path / "broken.json"
    good.write_text(json.dumps(rows))
    broken.write_bytes(pack(json.dumps(rows)[:-1].encode() + b',{"order_id": 1, "note": }]'))
    with duckdb.connect() as con, pytest.raises(CvaError) as error:
        read_files(con, [good, broken])
    assert str(error.value).startswith(f"{broken} cannot be read: ")
    assert f'in file "{broken}"' in str(error.value)
