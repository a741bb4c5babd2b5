"""The memory limit is lowered while texts are read, and what it was before afterwards."""

from __future__ import annotations

import threading
from typing import Any

import duckdb
import pytest

from cva_sql.udfs.memory import KeptLimit, in_its_middle, lowered_memory_limit, size_in_bytes


def limit(con: Any) -> str:
    return str(con.execute("select current_setting('memory_limit')").fetchall()[0][0])


@pytest.mark.parametrize("before", ["18.8 GiB", "1 GB", "701MB", "12.4 GiB", "1.0 TiB"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_limit_is_given_back_however_it_ends(before: str, *, fails: bool) -> None:
    with duckdb.connect() as con:
        con.execute(f"set memory_limit = '{before}'")
        was = limit(con)
        for _ in range(20):  # what is shown is cut off: it must not creep
            try:
                with lowered_memory_limit(con, 700_000_000):
                    assert limit(con) == "667.5 MiB"
                    if fails:
                        raise OSError
            except OSError:
                pass
        assert limit(con) == was


def test_a_lower_limit_stays() -> None:
    with duckdb.connect() as con:
        con.execute("set memory_limit = '100MiB'")
        with lowered_memory_limit(con, 700_000_000):
            assert limit(con) == "100.0 MiB"
        assert limit(con) == "100.0 MiB"


def test_sizes() -> None:
    shown = ["1.0 KiB", "700MB", "3 bytes", "5B", "2.5 GiB", "-1", "1.2.3 MB", "max", "80%"]
    found = [1024.0, 7e8, 3.0, 5.0, 2.5 * 2**30, None, None, None, None]
    assert [size_in_bytes(text) for text in shown] == found
    assert (in_its_middle("512 bytes"), in_its_middle("80%")) == ("512 bytes", "80%")


def test_a_dbt_thread_gets_the_limit_back_with_the_next_cursor_after_a_failure() -> None:
    kept = KeptLimit()
    with duckdb.connect() as con:
        con.execute("set memory_limit = '2GiB'")
        kept.keep("2.0 GiB", "reader")
        con.execute("set memory_limit = '100MiB'")
        kept.keep("100.0 MiB", "reader")  # once more, without an end: the first one counts

        def restored_in(name: str) -> str:
            thread = threading.Thread(target=kept.restore, args=[con], name=name)
            thread.start()
            thread.join()
            return limit(con)

        assert restored_in("another") == "100.0 MiB"  # the reader is still at it
        assert restored_in("reader") == "2.0 GiB"
        con.execute("set memory_limit = '1GiB'")
        assert restored_in("reader") == "1.0 GiB"  # once
        kept.keep("3.0 GiB", "reader")
        kept.restore(con)  # dbt's main thread, at the end
        assert limit(con) == "3.0 GiB"
