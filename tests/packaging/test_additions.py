"""What CONTRIBUTING says adding a thing takes is all that it takes.

In a copy of the checkout a raw table with a family, a member of the ensemble, a mart and a mart
with a model of its own are added by exactly the files that it lists. The copy then makes its pages,
trains, scores and publishes with them.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import TABLES, write_shop

ROOT = Path(__file__).parents[2]
TABLE = runpy.run_path(str(ROOT / "tests/dbt/test_new_table.py"))  # the raw table `repairs`
MEMBER = runpy.run_path(str(ROOT / "tests/unit/test_members.py"))["TOY"].format(weight=0.25)
KIND = runpy.run_path(str(ROOT / "tests/unit/test_kinds.py"))["TOY"] + "\nSLOPE = -0.5\n"
# Of a feature that no customer lacks: who ordered more lately is less likely to leave.
KIND = KIND.replace("days_since_last_order", "decayed_orders").replace("100", "4")
MOST_FILES = {
    "A raw table with its family": 6,
    "A member of the value model": 2,
    "A mart": 2,
    "A mart with a model of its own": 4,
}
CATALOGUE = "dbt_project/macros/feature_catalog.sql"
LINES = {  # file -> (the text before which they go, the lines)
    **{f"dbt_project/{file}": found for file, found in TABLE["LINES"].items()},
    CATALOGUE: (
        "    {'name': 'returns_count'",
        """    {'name': 'repairs_count', 'family': 'repairs', 'unit': 'count', 'if_absent': 0,
     'is_base': true, 'label': "repairs", 'label_zh': "维修数",
     'description': "Repairs before as_of_date; 0 where there is none.",
     'sentence': "wrote {value} repair[s]", 'zero': "wrote no repair",
     'sentence_zh': "提交维修 {value} 次", 'zero_zh': "没有维修"},
    {'name': 'days_since_last_repair', 'family': 'repairs', 'unit': 'days',
     'is_base': true, 'label': "days since the last repair", 'label_zh': "距上次维修天数",
     'description': "Days from the last repair to as_of_date, 1 or more; null without a repair.",
     'sentence': "last repair {value} day[s] ago", 'sentence_zh': "{value} 天前最近一次维修"},
""",
    ),
}
FAMILY = """-- One row per spine row with a repair.
{{ config(materialized='view') }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

repairs as (
    select * from {{ ref('cva', 'stg_cva__repairs') }} where reject_reason is null
),

final as (
    select
        spine.customer_id,
        spine.as_of_date,
        count(*) as repairs_count,
        min({{ cva.days_between('repairs.opened_date', 'spine.as_of_date') }})
            as days_since_last_repair
    from spine
    inner join repairs on spine.customer_id = repairs.customer_id
    where repairs.opened_date < spine.as_of_date
    group by spine.customer_id, spine.as_of_date
)

select * from final
"""
FAMILY_YML = """models:
  - name: feat_cva__repairs
    description: One row per spine row with a repair.
    columns:
      - name: customer_id
        description: Customer, as text.
      - name: as_of_date
        description: Date looked from; facts of this day and later are not used.
      - name: repairs_count
        description: Repairs before as_of_date.
      - name: days_since_last_repair
        description: Days from the last repair to as_of_date, 1 or more.
"""
MART = """-- One row per value tier.
with value as (select * from {{ ref('cva', 'customer_value') }}),

final as (select value_tier, count(*) as customers_count from value group by value_tier)

select * from final
"""
MART_YML = """models:
  - name: tier_sizes
    description: One row per value tier.
    config:
      meta:
        cva:
          published: true
          question: "how many customers each tier has"
    columns:
      - name: value_tier
        description: Tier.
      - name: customers_count
        description: Customers in it.
"""
SCORED = """{{ config(materialized='table') }}
{{ cva.model_scores('toy', ref('cva', 'customer_features'), ['leaving_probability', 'log_odds']) }}
"""
SCORED_YML = """models:
  - name: toy
    description: One row per customer, by the toy.
    config:
      meta:
        cva:
          published: true
          question: "who leaves, according to a toy"
    columns:
      - {name: customer_id, description: Customer.}
      - {name: as_of_date, description: Date looked from.}
      - {name: leaving_probability, description: Probability of no order.}
      - {name: log_odds, description: Its log odds.}
      - {name: model_version, description: Which model.}
      - {name: model_hash, description: Its hash.}
"""
MEMBER_TEST = """from cva_sql.models_onnx.value.members.registry import ENSEMBLE, weights


def test_the_toy_is_a_fifth_of_the_ensemble() -> None:
    assert weights(ENSEMBLE)["toy"] == 0.2
"""
KIND_TEST = """from cva_sql.models_onnx.kinds.registry import other_kinds


def test_the_toy_is_a_kind() -> None:
    assert [kind.name for kind in other_kinds()] == ["toy"]
"""
MODELS = "dbt_project/models"
ADDED: dict[str, dict[str, str]] = {
    "A raw table with its family": {
        **{f"dbt_project/{file}": text for file, text in TABLE["FILES"].items()},
        f"{MODELS}/features/feat_cva__repairs.sql": FAMILY,
        f"{MODELS}/features/feat_cva__repairs.yml": FAMILY_YML,
    },
    "A member of the value model": {
        # What it needs is a feature of the new family.
        "models_onnx/value/members/toy.py": MEMBER.replace('"taste"', '"repairs_count"'),
        "tests/unit/test_toy_member.py": MEMBER_TEST,
    },
    "A mart": {
        f"{MODELS}/marts/tier_sizes.sql": MART,
        f"{MODELS}/marts/tier_sizes.yml": MART_YML,
    },
    "A mart with a model of its own": {
        "models_onnx/kinds/toy.py": KIND,
        f"{MODELS}/marts/toy.sql": SCORED,
        f"{MODELS}/marts/toy.yml": SCORED_YML,
        "tests/unit/test_toy.py": KIND_TEST,
    },
}
CHANGED = {"A raw table with its family": set(LINES)}
NAMES = {
    "A raw table with its family": ("repairs",),
    "A member of the value model": ("toy", "toy_member"),
    "A mart": ("tier_sizes",),
    "A mart with a model of its own": ("toy",),
}


def listed(heading: str) -> list[str]:
    """The files that CONTRIBUTING lists under a heading, with X in them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.split(r"^### ", text, flags=re.MULTILINE)
    (own,) = [part for part in section if part.startswith(f"{heading}\n")]
    (block,) = re.findall(r"```files\n(.*?)```", own, flags=re.DOTALL)
    return block.split()


@pytest.mark.parametrize("heading", MOST_FILES)
def test_the_files_added_are_those_that_contributing_lists(heading: str) -> None:
    files = listed(heading)
    assert len(files) <= MOST_FILES[heading]
    added = {*ADDED[heading], *CHANGED.get(heading, ())}
    assert len(added) == len(files)
    for file in files:
        assert added & {file.replace("X", name) for name in NAMES[heading]}, file


@dataclass(frozen=True)
class Copy:
    """A checkout with the additions, and the shop that was trained and run with it."""

    root: Path
    environment: dict[str, str]
    db: Path
    trained: dict[str, Any]

    def call(self, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=self.environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.db.parent / "published/current/cva.duckdb")) as con:
            return con.execute(query).fetchall()


def copy_checkout(root: Path, site: Path) -> None:
    """A checkout in `root`, imported as cva_sql where `site` is before all on the path."""
    heavy = shutil.ignore_patterns("__pycache__", "artefacts")
    for part in ("cli", "udfs", "models_onnx", "dbt_project", "docs"):
        shutil.copytree(ROOT / part, root / part, ignore=heavy)
    (root / "models_onnx" / "artefacts").symlink_to(ROOT / "models_onnx" / "artefacts")
    shutil.copy(ROOT / "README.md", root)
    (root / "tests" / "unit").mkdir(parents=True)
    shutil.copytree(ROOT / "tests" / "inputs", root / "tests" / "inputs")
    package = site / "cva_sql"
    package.mkdir()
    for part in ("cli", "udfs", "models_onnx", "dbt_project"):
        (package / part).symlink_to(root / part)
    for file in (root / "cli" / "public").iterdir():
        (package / file.name).symlink_to(file)
    for file, (before, lines) in LINES.items():
        text = (root / file).read_text(encoding="utf-8")
        assert text.count(before) == 1, file
        (root / file).write_text(text.replace(before, lines + before), encoding="utf-8")
    for files in ADDED.values():
        for file, text in files.items():
            assert not (root / file).exists()
            (root / file).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root, site, shop = (tmp_path_factory.mktemp(name) for name in ("checkout", "site", "shop"))
    copy_checkout(root, site)
    db = shop / "shop.duckdb"
    made = Copy(root, {**os.environ, "PYTHONPATH": str(site)}, db, {})
    made.call("docs/generate.py")
    write_shop(shop, customers=500)
    with duckdb.connect() as con:
        con.execute(
            "copy (select 't' || row_number() over () as repair_id, customer_id, "
            f"ordered_at as opened_at from '{shop / 'orders.csv'}' "
            f"where hash(order_id) % 7 = 0) to '{shop / 'repairs.csv'}'"
        )
    cva = ("-m", "cva_sql.cli.app")
    for table in (*TABLES, "repairs"):
        made.call(*cva, "load", table, shop / f"{table}.csv", "--db", db)
    trained = json.loads(made.call(*cva, "train", "--db", db, "--json"))
    made.call(*cva, "run", "--db", db)
    return Copy(root, made.environment, db, trained)


def test_the_table_feeds_features_training_and_rejects(copy: Copy) -> None:
    counted = copy.rows(
        "select sum(repairs_count), min(repairs_count), min(days_since_last_repair) > 0 "
        "from customer_features"
    )
    assert counted[0][0] > 100
    assert counted[0][1:] == (0, True)
    used = copy.rows("select max(valid_row_count) from cva_rejects where table_name = 'repairs'")
    assert used[0][0] == counted[0][0]
    families = copy.rows("select distinct family from customer_value_explain")
    assert ("repairs",) in families


def test_the_member_is_fitted_validated_and_part_of_the_ensemble(copy: Copy) -> None:
    assert {"toy", "ensemble", "mbgnbd"} <= set(copy.trained["scores"])
    assert copy.trained["is_deployed"], copy.trained["reason"]
    copy.call("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit")


def test_the_marts_are_published(copy: Copy) -> None:
    customers = copy.rows("select count(*) from customer_value")
    assert copy.rows("select sum(customers_count) from tier_sizes") == customers
    told = copy.rows(
        "select count(leaving_probability), count(distinct model_hash), min(model_version) from toy"
    )
    assert 0 < told[0][0] <= customers[0][0]
    assert told[0][1] == 1
    deployed = json.loads((copy.db.parent / "cva_models" / "deployed.json").read_text())
    assert deployed["toy"] == told[0][2]


def test_the_pages_tell_of_all_of_them(copy: Copy) -> None:
    copy.call("docs/generate.py", "--check")
    readme = (copy.root / "README.md").read_text(encoding="utf-8")
    assert "| `tier_sizes` | how many customers each tier has |" in readme
    pages = copy.root / "docs" / "reference"
    for page, word in (("tables", "repairs"), ("features", "repairs_count"), ("marts", "## toy")):
        assert word in (pages / f"{page}.md").read_text(encoding="utf-8")
    features = (copy.root / MODELS / "features" / "customer_features.yml").read_text()
    assert "Repairs before as_of_date; 0 where there is none." in features
