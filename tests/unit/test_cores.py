"""The cores that this process may use, and what DuckDB may take, as one is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop import dbt_runner
from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.limits import duckdb_limits
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.cores import cores, cpu_quota
from cva_sql.udfs.errors import UsageError


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CVA_THREADS", "CVA_MEMORY_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    cores.cache_clear()
    yield
    cores.cache_clear()


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3.0),
        ("0::/a/b", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "200000 100000"}, 1.0),
        ("0::/../../../up", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "nonsense"}, None),
        ("0::/", {"cpu.max": "1 0"}, None),
        ("", {}, None),
        ("nonsense", {}, None),
        (
            "3:cpu,cpuacct:/d\n2:memory:/d",
            {
                "cpu,cpuacct/d/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/d/cpu.cfs_period_us": "100000",
            },
            2.0,
        ),
        ("3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_the_quota_of_a_container(
    groups: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="utf-8")
    (tmp_path / "groups").write_text(groups + "\n", encoding="utf-8")
    assert cpu_quota(tmp_path / "groups", root) == expected


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "nothing", tmp_path) is None


def test_affinity_and_the_variable_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores() == 1
    assert duckdb_limits() == {"threads": "1"}
    cores.cache_clear()
    monkeypatch.setenv("CVA_THREADS", "7")
    assert cores() == 7
    assert duckdb_limits() == {"threads": "7"}


def settings(con: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = con.execute(
        "select current_setting('memory_limit'), current_setting('threads')"
    ).fetchall()
    con.close()
    return found


def test_limits_reach_our_connections_and_dbts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVA_MEMORY_LIMIT", "500MB")
    monkeypatch.setenv("CVA_THREADS", "3")
    shop = ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "cva_models")
    assert settings(connect(shop.db)) == [("476.8 MiB", 3)]
    shop.work_dir.mkdir()
    dbt_runner._write_profile(shop, "main", {})
    profile = json.loads((shop.work_dir / "profiles.yml").read_text(encoding="utf-8"))
    output = profile["cva"]["outputs"]["run"]
    assert (output["threads"], output["config_options"]["threads"]) == (3, "3")
    con = duckdb.connect(config=output["config_options"])
    assert settings(con) == [("476.8 MiB", 3)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CVA_MEMORY_LIMIT", "lots"),
        ("CVA_MEMORY_LIMIT", "1kB"),
        ("CVA_MEMORY_LIMIT", "80%"),
        ("CVA_MEMORY_LIMIT", "1GB'; drop table x; --"),
        ("CVA_THREADS", "0"),
        ("CVA_THREADS", "-2"),
        ("CVA_THREADS", "two"),
        ("CVA_THREADS", "²"),
        ("CVA_THREADS", "99999"),
    ],
)
def test_what_is_no_limit_is_refused(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"^{name} is .*; expected a "):
        connect(tmp_path / "shop.duckdb")
