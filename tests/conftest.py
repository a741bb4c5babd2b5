"""One warm Python and one sample shop, trained and run, for all processes of a test run."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import TABLES, write_shop
from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.build import Run, run_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.training import Trained, train_shop

CUSTOMERS = 800
AT_ONCE = 2  # most of a run is dbt reading its project on one core
WARM = "CVA_TESTS_WARM"  # the folder of what stands in for python, cva and dbt
WARM_SERVER = pytest.StashKey[subprocess.Popen[str]]()

Cva = Callable[..., subprocess.CompletedProcess[str]]
Rows = Callable[..., list[tuple[Any, ...]]]
Together = Callable[[Sequence[Callable[[], Any]]], list[Any]]


@dataclass(frozen=True)
class SampleShop:
    """A shop that was trained and run: where it is, what both found, how long a run took."""

    db: Path
    trained: Trained
    run: Run
    run_seconds: float

    @property
    def models_dir(self) -> Path:
        return self.db.parent / "cva_models"

    @property
    def model_folder(self) -> Path:
        return self.models_dir / "value" / str(self.trained.version)

    def copy_to(self, folder: Path) -> Path:
        """The database of a copy in `folder`, with models, published runs and dbt's files."""
        shutil.copytree(self.db.parent, folder, symlinks=True, dirs_exist_ok=True)
        return folder / self.db.name


def pytest_configure(config: pytest.Config) -> None:
    """Starts the warm server, once for all processes of a test run: see warm/server.py."""
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    if hasattr(config, "workerinput") or not hasattr(os, "pidfd_open"):
        return
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "warm" / "server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    os.environ[WARM] = server.stdout.readline().strip()
    config.stash[WARM_SERVER] = server


def pytest_unconfigure(config: pytest.Config) -> None:
    if WARM_SERVER in config.stash:
        config.stash[WARM_SERVER].communicate()


@pytest.fixture(scope="session", autouse=True)
def _warm_python() -> Iterator[None]:
    """Whatever a test starts with `sys.executable` passes through the warm server's client."""
    real = sys.executable
    if WARM in os.environ:
        sys.executable = str(Path(os.environ[WARM]) / "python")
    yield
    sys.executable = real


@pytest.fixture(scope="session")
def sample_shop(tmp_path_factory: pytest.TempPathFactory) -> SampleShop:
    """Built by the first process of a test run that asks; each process has a copy of its own."""
    here = tmp_path_factory.getbasetemp()
    shared = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    with (shared / "sample_shop.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        facts = shared / "sample_shop.pickle"
        if not facts.exists():
            built = build_sample_shop(tmp_path_factory.mktemp("files"), shared / "sample_shop")
            facts.write_bytes(pickle.dumps(built))
    built = pickle.loads(facts.read_bytes())
    folder = tmp_path_factory.mktemp("shop")
    db = built.copy_to(folder)
    published = folder / Path(built.run.published).relative_to(built.db.parent)
    return replace(built, db=db, run=replace(built.run, published=str(published)))


def build_sample_shop(files: Path, folder: Path) -> SampleShop:
    folder.mkdir()
    db = folder / "shop.duckdb"
    write_shop(files, customers=CUSTOMERS)
    for table in TABLES:
        load_table(table, [files / f"{table}.csv"], db=db)
    shop = open_shop(db)
    trained = train_shop(shop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVA_TESTS_COLD", "1")  # those that tests kill are no quicker
        started = time.monotonic()
        run = run_shop(shop)
    return SampleShop(db, trained, run, time.monotonic() - started)


@pytest.fixture(scope="session")
def cva() -> Cva:
    """Runs `cva` with these arguments in a process of its own."""

    def call(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cva_sql.cli.app", *map(str, arguments)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
            **options,
        )

    return call


@pytest.fixture(scope="session")
def rows() -> Rows:
    """The rows of a query on a database that nobody writes."""

    def read(db: Path, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(db), read_only=True) as con:
            return con.execute(query).fetchall()

    return read


@pytest.fixture(scope="session")
def scored() -> Callable[[Path], dict[str, list[tuple[Any, ...]]]]:
    """Every value of the tables that a user reads, but the time of the run."""

    def read(db: Path) -> dict[str, list[tuple[Any, ...]]]:
        with duckdb.connect(str(db), read_only=True) as con:
            return {
                "customer_features": con.execute(
                    "from main.customer_features order by customer_id"
                ).fetchall(),
                "customer_value_explain": con.execute(
                    "from main.customer_value_explain order by customer_id, rank"
                ).fetchall(),
                "customer_value": con.execute(
                    "select * exclude (scored_at) from main.customer_value order by customer_id"
                ).fetchall(),
            }

    return read


@pytest.fixture(scope="session")
def together() -> Together:
    """The results of several calls, two at a time."""

    def call_all(calls: Sequence[Callable[[], Any]]) -> list[Any]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    return call_all
