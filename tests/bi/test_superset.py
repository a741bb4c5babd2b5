"""The dashboard for Superset in examples/superset, over what a sample shop published: make test-bi.

It is imported as a person would import it, into a Superset of the test's own. The picture is left
in build/superset.png, to be looked at.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen
from zipfile import ZipFile

import duckdb
import pytest
import yaml

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BUNDLE = ROOT / "examples" / "superset"
PLACE = "duckdb:////data/published/current/cva.duckdb"  # in the bundle, for the user to change
PICTURE = ROOT / "build" / "superset.png"
FILTERS = {
    "value_tier": "high",
    "lifecycle_stage": "active",
    "rfm_segment": "champions",
    "acquisition_channel": "organic",
}
CHARTS = 9
START_SECONDS = 120


@dataclass(frozen=True)
class Superset:
    """Its Python, the environment it runs in, and what it answered."""

    python: Path
    env: dict[str, str]
    charts: dict[str, Any]
    duckdb: str

    def rows(self, chart: str, column: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.charts[chart]["answers"][column]
        return found


def yamls(folder: str) -> list[dict[str, Any]]:
    files = sorted((BUNDLE / folder).rglob("*.yaml"))
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture(scope="module")
def published(sample_shop: Any) -> Path:
    return Path(sample_shop.run.published).resolve()


@pytest.fixture(scope="module")
def superset(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Superset:
    python = os.environ.get("SUPERSET")
    if not python:
        pytest.fail("SUPERSET is not set; run: make test-bi")
    home = tmp_path_factory.mktemp("superset")
    bundle = home / "bundle.zip"
    with ZipFile(bundle, "w") as file:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            text = path.read_text(encoding="utf-8").replace(PLACE, f"duckdb:///{published}")
            file.writestr(f"superset/{path.relative_to(BUNDLE)}", text)
    env = {
        **os.environ,
        "SUPERSET_HOME": str(home),
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "CVA_BI_SECRET": secrets.token_hex(),
        "SCARF_ANALYTICS": "false",  # nothing is told to anybody
    }
    done = subprocess.run(
        [python, HERE / "asked.py", bundle, json.dumps(FILTERS)],
        env=env, cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    return Superset(Path(python), env, answers["charts"], answers["version"])


def test_every_chart_has_rows(superset: Superset) -> None:
    assert superset.duckdb.startswith("1.")  # the one that the lock brings
    assert len(superset.charts) == CHARTS == len(yamls("charts"))
    assert [name for name in superset.charts if not superset.rows(name)] == []


def test_figures_are_those_of_the_table(superset: Superset, published: Path, rows: Any) -> None:
    customers, value, orders = rows(
        published,
        "select count(*), sum(predicted_value), sum(predicted_orders) from customer_value",
    )[0]
    assert superset.rows("Customers") == [{"customers": customers}]
    assert superset.rows("Predicted value")[0]["predicted_value_sum"] == pytest.approx(value)
    assert superset.rows("Expected orders")[0]["predicted_orders_sum"] == pytest.approx(orders)
    risk = rows(
        published,
        "select sum(money_at_stake) from churn_alerts where state in ('new', 'open', 'acted')",
    )[0]
    assert superset.rows("Money at risk")[0]["money_at_risk"] == pytest.approx(risk[0])
    tiers = superset.rows("Customers by tier and stage")
    assert sum(row["customers"] for row in tiers) == customers


@pytest.mark.parametrize("column", FILTERS)
def test_a_filter_reaches_every_chart_about_customers(
    column: str, superset: Superset, published: Path, rows: Any
) -> None:
    reached = {name for name, found in superset.charts.items() if column in found["answers"]}
    assert len(reached) == CHARTS - 1  # cohorts have none of these columns
    kept = superset.rows("Customers", column)[0]["customers"]
    with duckdb.connect(str(published), read_only=True) as con:
        sql = superset.charts["Customers"]["sql"]
        query = f"select count(*) from ({sql}) where {column} = '{FILTERS[column]}'"
        assert con.execute(query).fetchall() == [(kept,)]
    assert 0 < kept < superset.rows("Customers")[0]["customers"]


def test_columns_are_those_that_the_queries_give(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as con:
        for dataset in yamls("datasets"):
            found = con.execute(f"describe {dataset['sql']}").fetchall()
            said = [(column["column_name"], column["type"]) for column in dataset["columns"]]
            assert said == [(name, kind) for name, kind, *_ in found]


def test_the_dashboard_names_charts_and_filters_that_are_there() -> None:
    (dashboard,) = yamls("dashboards")
    cells = [cell["meta"] for cell in dashboard["position"].values()
             if isinstance(cell, dict) and cell["type"] == "CHART"]  # fmt: skip
    assert {cell["uuid"] for cell in cells} == {chart["uuid"] for chart in yamls("charts")}
    filters = dashboard["metadata"]["native_filter_configuration"]
    assert [one["targets"][0]["column"]["name"] for one in filters] == list(FILTERS)
    names = {dataset["uuid"] for dataset in yamls("datasets")}
    assert {one["targets"][0]["datasetUuid"] for one in filters} <= names


@pytest.fixture
def address(superset: Superset, tmp_path: Path) -> Iterator[str]:
    """Superset on loopback, for as long as the test lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    log = tmp_path / "superset.log"
    with log.open("w") as said:
        server = subprocess.Popen(
            [superset.python, "-m", "gunicorn", "--bind", url.removeprefix("http://"),
             "--threads", "8", "--timeout", "120", "superset.app:create_app()"],
            env=superset.env, cwd=tmp_path, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                with urlopen(f"{url}/health", timeout=5):
                    break
            except (URLError, OSError):
                assert server.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < until, log.read_text()[-2000:]
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_a_browser_draws_the_whole_dashboard(superset: Superset, address: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail("chromium is not there; install it: apt-get install chromium")
    PICTURE.parent.mkdir(exist_ok=True)
    url = f"{address}/superset/dashboard/customer-value/"
    done = subprocess.run(
        [superset.python, HERE / "pictured.py", chromium, url, str(CHARTS), PICTURE],
        env=superset.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {"failed": [], "drawn": CHARTS, "errors": [], "empty": []}
    assert PICTURE.stat().st_size > 50_000
